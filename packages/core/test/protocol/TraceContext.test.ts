import { assert, describe, it } from "@effect/vitest"
import * as TraceContext from "@spindle/core/TraceContext"
import { Context, Option, Tracer } from "effect"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const spanId = "00f067aa0ba902b7"

describe("toSpan", () => {
  it("returns the span that a traceparent names, with its sampling flag", () => {
    for (const [flags, sampled] of [
      ["01", true],
      ["00", false],
      ["03", true],
      ["02", false]
    ] as const) {
      const span = Option.getOrThrow(TraceContext.toSpan({ traceparent: `00-${traceId}-${spanId}-${flags}` }))
      assert.deepStrictEqual(
        [span._tag, span.traceId, span.spanId, span.sampled],
        ["ExternalSpan", traceId, spanId, sampled]
      )
    }
  })

  it("accepts a later version that has the fields of this one", () => {
    assert.isTrue(Option.isSome(TraceContext.toSpan({ traceparent: `01-${traceId}-${spanId}-01` })))
  })

  it("accepts a later version with more fields after those of this one", () => {
    const span = TraceContext.toSpan({ traceparent: `cc-${traceId}-${spanId}-01-what-the-future-brings` })
    assert.strictEqual(Option.getOrThrow(span).spanId, spanId)
  })

  it("leaves out a tracestate that is malformed or too large, and keeps the span", () => {
    const stateOf = (tracestate: string) =>
      TraceContext.traceStateOf(
        Option.getOrThrow(TraceContext.toSpan({ traceparent: `00-${traceId}-${spanId}-01`, tracestate }))
      )
    assert.strictEqual(stateOf("rojo=00f067aa0ba902b7,tenant@vendor=a b"), "rojo=00f067aa0ba902b7,tenant@vendor=a b")
    for (const malformed of ["nonsense", "UPPER=1", "a=\nb", "a=1,,=2", `a=${"x".repeat(600)}`, "a=1,".repeat(40)]) {
      assert.isUndefined(stateOf(malformed), malformed)
    }
  })

  it("returns none for a traceparent that is malformed, of version ff, or all zero", () => {
    const malformed = [
      "",
      "nonsense",
      `00-${traceId}-${spanId}`,
      `00-${traceId.slice(1)}-${spanId}-01`,
      `00-${traceId}-${spanId}0-01`,
      `00-${traceId}-${spanId}-01-more`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `ff-${traceId}-${spanId}-01`,
      `00-${"0".repeat(32)}-${spanId}-01`,
      `00-${traceId}-${"0".repeat(16)}-01`
    ]
    for (const traceparent of malformed) {
      assert.isTrue(Option.isNone(TraceContext.toSpan({ traceparent })), traceparent)
    }
  })
})

describe("fromSpan", () => {
  it("names a span so that toSpan finds it again", () => {
    for (const sampled of [true, false]) {
      const span = Tracer.externalSpan({ traceId, spanId, sampled })
      const trace = TraceContext.fromSpan(span)
      assert.strictEqual(trace.traceparent, `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`)
      const back = Option.getOrThrow(TraceContext.toSpan(trace))
      assert.deepStrictEqual([back.traceId, back.spanId, back.sampled], [traceId, spanId, sampled])
    }
  })

  it("carries the trace state of the nearest span above that has one", () => {
    const trace = { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "vendor=1" }
    const parent = TraceContext.toSpan(trace)
    const span = new Tracer.NativeSpan({
      name: "below",
      parent,
      annotations: Context.empty(),
      links: [],
      startTime: 0n,
      kind: "internal",
      sampled: true
    })
    assert.strictEqual(TraceContext.fromSpan(span).tracestate, "vendor=1")
    assert.deepStrictEqual(TraceContext.fromSpan(Option.getOrThrow(parent)), trace)
  })
})

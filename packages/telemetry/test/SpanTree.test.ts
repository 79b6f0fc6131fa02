import { assert, describe, it } from "@effect/vitest"
import type { SpanData } from "@spindle/telemetry"
import * as SpanTree from "@spindle/telemetry/SpanTree"

const span = (name: string, parent?: string, more: Partial<SpanData> = {}): SpanData => ({
  traceId: "t",
  spanId: name,
  parentSpanId: parent,
  name,
  kind: "internal",
  startNanos: 0n,
  endNanos: 1_500_000n,
  attributes: {},
  events: [],
  links: [],
  status: "unset",
  statusMessage: undefined,
  ...more
})

describe("SpanTree", () => {
  it("builds trees from spans in any order, children in the order of their start", () => {
    const tree = SpanTree.make([
      span("late", "root", { startNanos: 2n }),
      span("leaf", "early"),
      span("early", "root", { startNanos: 1n }),
      span("root")
    ])
    assert.deepStrictEqual(SpanTree.shape(tree.roots), [
      {
        name: "root",
        children: [
          { name: "early", children: [{ name: "leaf", children: [] }] },
          { name: "late", children: [] }
        ]
      }
    ])
    assert.strictEqual(SpanTree.find(tree, ({ name }) => name === "leaf")?.span.parentSpanId, "early")
    assert.isUndefined(SpanTree.find(tree, ({ name }) => name === "nobody"))
  })

  it("does not mix traces whose spans share ids", () => {
    const tree = SpanTree.make([span("root"), span("child", "root", { traceId: "other" })])
    assert.lengthOf(tree.roots, 2)
  })

  it("names spans whose parent is neither there nor a caller", () => {
    const tree = SpanTree.make([span("of a caller", "caller"), span("orphan", "gone"), span("root")])
    assert.deepStrictEqual(
      SpanTree.orphans(tree, ["caller"]).map(({ name }) => name),
      ["orphan"]
    )
  })

  it("is written with durations, and with the outcome of spans that did not complete", () => {
    const text = SpanTree.render(
      SpanTree.make([
        span("root", undefined, { endNanos: 2_345_000_000n }),
        span("one", "root", { endNanos: 12_000_000n, status: "error", attributes: { "error.type": "RateLimited" } }),
        span("two", "root", { attributes: { "spindle.outcome": "aborted", "spindle.abort.reason": "Deadline" } })
      ])
    )
    assert.strictEqual(
      text,
      [
        "   2.35 s  root",
        "    12 ms  ├─ one  (failed: RateLimited)",
        "  1.50 ms  └─ two  (aborted: Deadline)",
        ""
      ].join("\n")
    )
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Tracer } from "effect"

const throws = (): never => {
  throw new Error("the exporter is broken")
}

type SpanOptions = ConstructorParameters<typeof Tracer.NativeSpan>[0]

class Unending extends Tracer.NativeSpan {
  override end(): void {
    throws()
  }
}

/** Takes no attribute after its start. */
class Unannotated extends Tracer.NativeSpan {
  override attribute(key: string, value: unknown): void {
    if (/\.(status|decision|finish_reasons|outcome)$/.test(key)) throws()
    super.attribute(key, value)
  }
}

class Unlinked extends Tracer.NativeSpan {
  override addLinks(): void {
    throws()
  }
}

describe("a broken tracer", () => {
  for (const [when, span] of [
    ["begins", throws],
    ["is annotated", (options: SpanOptions) => new Unannotated(options)],
    ["ends", (options: SpanOptions) => new Unending(options)]
  ] as const) {
    it.effect(`S5 stops no turn and no session when a span ${when}`, () =>
      Effect.gen(function* () {
        const harness = yield* Harness.make({
          script: [[Model.call("add", { a: 1 }, "call-1")], [Model.text("done")], [Model.text("again")]],
          tools: { add: { run: () => Effect.succeed(2), policy: { approval: "ask" } } },
          approvals: { decide: () => Effect.succeed({ _tag: "Approved", scope: "once" }) }
        })
        for (const answer of ["done", "again"]) {
          const end = yield* harness.run("hi")
          assert.strictEqual(end._tag === "TurnCompleted" && end.lastMessage, answer)
          yield* harness.session.awaitIdle
        }
      }).pipe(Effect.withTracer(Tracer.make({ span })))
    )
  }

  it.effect("S5 P1 takes no receipt of input that steers when a span is linked", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: [[Model.gate("open"), Model.text("one")], [Model.text("two")]] })
      yield* Effect.withSpan(harness.submit("hi"), "first")
      yield* harness.model.awaitGate("open")
      assert.strictEqual((yield* Effect.withSpan(harness.submit("more"), "second"))._tag, "Steered")
      yield* harness.model.open("open")
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
    }).pipe(Effect.withTracer(Tracer.make({ span: (options) => new Unlinked(options) })))
  )
})

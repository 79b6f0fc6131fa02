import { assert, describe, it } from "@effect/vitest"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Tracer } from "effect"

const throws = (): never => {
  throw new Error("the exporter is broken")
}

class Unending extends Tracer.NativeSpan {
  override end(): void {
    throws()
  }
}

describe("a broken tracer", () => {
  for (const [when, span] of [
    ["begins", throws],
    ["ends", (options: ConstructorParameters<typeof Tracer.NativeSpan>[0]) => new Unending(options)]
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
})

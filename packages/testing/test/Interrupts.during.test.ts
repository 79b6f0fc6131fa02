import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Interrupts from "@spindle/testing/Interrupts"

const during = { modes: ["during"] } as const

describe("mode during", () => {
  it("does not come between the beginning of an uninterruptible region and the region", () => {
    const report = Interrupts.explore(
      (stage) =>
        Effect.gen(function* () {
          let held = 0
          const acquired = Effect.acquireRelease(
            Effect.sync(() => void held++),
            () => Effect.sync(() => void held--)
          )
          const opened = Stream.unwrap(Effect.as(acquired, Stream.fromEffect(Effect.sleep(1))))
          yield* stage.attack(Stream.runDrain(Stream.concat(Stream.fromEffectDrain(Effect.sleep(1)), opened)))
          return held
        }),
      { ...during, invariant: (held) => held === 0 }
    )
    assert.deepStrictEqual(report.smallest, [])
    assert.isAbove(report.points, 20)
  })

  it("finds a loss when an operation ends its own fiber, which mode before does not", () => {
    const handing: Interrupts.Program<string, never> = (stage) =>
      Effect.gen(function* () {
        let kept = "message"
        // taken in one operation, which hands it on in the same step
        const take = Effect.sync(() => {
          const message = kept
          kept = ""
          return message
        })
        yield* stage.attack(
          Effect.andThen(
            Effect.sleep(1),
            Effect.map(take, (message) => void (kept = message))
          )
        )
        return kept
      })
    const isKept = { invariant: (kept: string) => kept === "message" }
    assert.deepStrictEqual(Interrupts.explore(handing, { ...isKept, modes: ["before"] }).smallest, [])
    const report = Interrupts.explore(handing, { ...isKept, ...during })
    assert.strictEqual(report.smallest[0]?.decisions.mode, "during")
  })

  it("runs its action even in a fiber with its own tracer", () => {
    const report = Interrupts.explore(
      (stage) =>
        Effect.gen(function* () {
          const done = yield* Deferred.make<void>()
          let hits = 0
          yield* stage.arm({ hit: Effect.sync(() => void hits++) })
          const own = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
          const traced = yield* Effect.forkChild(
            Effect.withTracer(Effect.andThen(Effect.sleep(1), Deferred.succeed(done, undefined)), own)
          )
          yield* Deferred.await(done)
          yield* Fiber.await(traced)
          yield* stage.disarm
          return hits
        }),
      { ...during, actions: [["hit"]], invariant: (hits) => hits <= 1 }
    )
    assert.deepStrictEqual(report.smallest, [])
    // the last step may end the points before its action comes
    assert.isAtLeast(report.points, report.steps - 1)
  })
})

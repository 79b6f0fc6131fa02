import { assert, describe, it } from "@effect/vitest"
import type { SubmissionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as Bridge from "@spindle/delegate/Bridge"
import * as Delegate from "@spindle/delegate/Delegate"
import * as Limits from "@spindle/delegate/Limits"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Family from "./fixtures/family.ts"
import { journalWith } from "../../core/test/fixtures/journals.ts"

const oneAtATime = Effect.provideService(Limits.Limits, { ...Limits.defaults, concurrent: 1 })

/** A delegate that has worked and settled. */
const rested = Effect.tap(Delegate.start(Family.endless), (child) =>
  Effect.andThen(child.submit(Op.userInput("one")), child.settled)
)

const submission = (id: string, op: Op.Op): Op.Submission => ({ id: id as SubmissionId, op })

describe("the slot of a delegate", () => {
  it.effect("D6 input that was offered to the queue needs one too", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const id = yield* family.run(
        Effect.gen(function* () {
          const child = yield* rested
          yield* Delegate.start(Family.endless)
          yield* Queue.offer(child.submissions, submission("raw", Op.userInput("two")))
          // the queue keeps its order, so the interrupt comes after the input
          yield* child.submit(Op.interrupt)
          yield* child.settled
          return child.delegateId
        }).pipe(oneAtATime)
      )
      const turns = family.told(id).filter(({ _tag }) => _tag === "TurnStarted")
      assert.lengthOf(turns, 1)
    })
  )

  it.effect("D6 input that is withdrawn while it waits for room in the bridge has none", () =>
    Effect.gen(function* () {
      const writing = yield* Latch.make(true)
      const journal = yield* journalWith((append) => Effect.andThen(writing.await, append))
      const family = yield* Family.make({ journal })
      const started = yield* family.run(
        Effect.gen(function* () {
          const child = yield* rested
          yield* writing.close
          const inHand = yield* Effect.forkChild(child.submit(Op.rollback(1)), { startImmediately: true })
          for (let count = 0; count < Bridge.defaultCapacity; count++) {
            yield* Queue.offer(child.submissions, submission(`${count}`, Op.interrupt))
          }
          const withdrawn = yield* Effect.forkChild(child.submit(Op.userInput("two")), { startImmediately: true })
          yield* Fiber.interrupt(withdrawn)
          yield* writing.open
          yield* Fiber.join(inHand)
          yield* child.submit(Op.interrupt)
          return yield* Delegate.start(Family.endless)
        }).pipe(oneAtATime)
      )
      assert.lengthOf(started.path, 2)
    })
  )
})

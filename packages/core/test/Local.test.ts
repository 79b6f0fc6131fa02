import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { Journal } from "@spindle/core/Journal"
import * as Local from "@spindle/core/Local"
import type { Session } from "@spindle/core/Session"
import * as Sessions from "@spindle/core/Sessions"
import * as Task from "@spindle/core/Task"
import { Turn, type TurnSession } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Layer } from "effect"

const count = Local.make(() => ({ value: 0 }))
const increment = (owner: Local.Owner) => ++Local.get(count, owner).value

/** A task that counts in its turn, twice, and in its session, and returns the three counts. */
const counting = Task.make(
  "counting",
  Effect.map(Turn, (turn) => [increment(turn), increment(turn), increment(turn.session)]),
  { lastMessage: String }
)

const countsIn = (session: Session) =>
  Effect.map(Effect.flatten(Effect.map(session.start(counting), ({ outcome }) => outcome)), (outcome) =>
    outcome._tag === "Completed" ? outcome.value : []
  )

describe("a local", () => {
  it.effect("has one value for each turn, and one for each session, its forks and resumes excepted", () =>
    Effect.gen(function* () {
      const all = yield* Sessions.Sessions
      const session = yield* all.create()
      assert.deepStrictEqual(yield* countsIn(session), [1, 2, 1])
      assert.deepStrictEqual(yield* countsIn(session), [1, 2, 2])
      assert.deepStrictEqual(yield* countsIn(yield* all.fork(session.sessionId)), [1, 2, 1])
      yield* all.close(session.sessionId)
      assert.deepStrictEqual(yield* countsIn(yield* all.open(session.sessionId)), [1, 2, 1])
    }).pipe(
      Effect.provide(
        Sessions.layer(Agent.make({})).pipe(
          Layer.provide(Layer.effect(Journal, SessionHarness.memoryJournal)),
          Layer.provide(ScriptedModel.make([]).layer)
        )
      )
    )
  )

  it.effect("has the same value in the abort hook of a turn as in its task", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const hasCounted = yield* Deferred.make<void>()
      const seen: Array<number> = []
      const body = Effect.flatMap(Turn, (turn) =>
        Effect.andThen(Deferred.succeed(hasCounted, void increment(turn)), Effect.never)
      )
      const abortHook = (turn: Turn) => Effect.sync(() => void seen.push(increment(turn)))
      const { outcome } = yield* h.session.start(Task.make("hanging", body, { abortHook }))
      yield* Deferred.await(hasCounted)
      yield* h.session.abort()
      yield* outcome
      assert.deepStrictEqual(seen, [2])
    })
  )

  it("is made from its owner, by the first call", () => {
    const made: Array<ReadonlyArray<string>> = []
    const depth = Local.make(({ path }: Pick<TurnSession, "path" | "locals">) => {
      made.push(path)
      return path.length
    })
    const owner = { path: ["a", "b"] as unknown as TurnSession["path"], locals: new Local.Locals() }
    assert.deepStrictEqual(made, [])
    assert.deepStrictEqual([Local.get(depth, owner), Local.get(depth, owner)], [2, 2])
    assert.deepStrictEqual(made, [["a", "b"]])
  })

  it("keeps a value of undefined", () => {
    let calls = 0
    const none = Local.make(() => void calls++)
    const owner = { locals: new Local.Locals() }
    Local.get(none, owner)
    Local.get(none, owner)
    assert.strictEqual(calls, 1)
  })
})

import { assert, describe, it } from "@effect/vitest"
import type { SessionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import * as History from "@spindle/core/History"
import * as SessionState from "@spindle/core/SessionState"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Exit, Schema, Scope } from "effect"
import { id, reasonOf, running, send, userTexts } from "./fixtures/submissions.ts"
import { assertTurns } from "./fixtures/turns.ts"

/** The texts of users and of the model in the history, in order. */
const textsOf = (harness: Harness.SessionHarness) =>
  Effect.map(harness.session.snapshot, ({ items }) =>
    items.flatMap((item) => {
      if (item._tag === "UserMessage") return [Input.textOf(item.content)]
      return item._tag === "AssistantMessage" || item._tag === "DeveloperMessage" ? [item.text] : []
    })
  )

const rolledBack = (harness: Harness.SessionHarness) =>
  harness.records().flatMap((record) => (record._tag === "RolledBack" ? [record.turns] : []))

/** A session after turns with these inputs; the model replies to each with its number. */
const after = Effect.fnUntraced(function* (
  inputs: ReadonlyArray<string>,
  options: Harness.HarnessOptions = {},
  scope?: Scope.Scope
) {
  const made = Harness.make({ script: (_, index) => [Model.text(`answer ${index + 1}`)], ...options })
  const harness = yield* scope === undefined ? made : Effect.provideService(made, Scope.Scope, scope)
  for (const input of inputs) yield* harness.run(input)
  return harness
})

const say = (text: string) =>
  Task.make(
    "says",
    Effect.flatMap(Turn, (turn) => turn.say(text))
  )

describe("rollback", () => {
  it.effect("J4 removes the last turns from the history and from later prompts, and is a record", () =>
    Effect.gen(function* () {
      const harness = yield* after(["a", "b", "c"])
      const before = harness.records()
      const { usage } = yield* harness.session.snapshot
      const receipt = yield* harness.session.submit(Op.rollback(2))
      assert.strictEqual(receipt._tag, "Accepted")
      assert.deepStrictEqual(yield* textsOf(harness), ["a", "answer 1"])
      assert.deepStrictEqual(rolledBack(harness), [2])
      assert.deepStrictEqual(harness.records().slice(0, before.length), before)
      assert.lengthOf(harness.records(), before.length + 1)
      const rolled = yield* harness.session.snapshot
      assert.deepStrictEqual([rolled.usage, rolled.turnCount], [usage, 3])

      yield* harness.run("d")
      assert.deepStrictEqual(userTexts(harness.requests.at(-1)), ["a", "d"])
      yield* harness.session.submit(Op.rollback(1))
      assert.deepStrictEqual(yield* textsOf(harness), ["a", "answer 1"])
      assertTurns(harness.events)
    })
  )

  it.effect(
    "J4 counts a turn that carried user input once, and removes its steered input and the notices after it",
    () =>
      Effect.gen(function* () {
        const harness = yield* running()
        yield* send(harness.session, "steered")
        yield* harness.model.open("held")
        yield* harness.session.awaitIdle
        yield* (yield* harness.session.start(say("aside"))).outcome
        yield* harness.run("second")
        yield* (yield* harness.session.start(say("another"))).outcome
        yield* harness.session.submit(Op.rollback(1))
        assert.deepStrictEqual(yield* textsOf(harness), ["first", "first", "steered", "answer 1", "aside"])
        yield* harness.session.submit(Op.rollback(9))
        assert.deepStrictEqual(yield* textsOf(harness), [])
        assert.deepStrictEqual(rolledBack(harness), [1, 1])
      })
  )

  it.effect(
    "J4 of more turns than there are removes all, reports how many, and keeps items that no user asked for",
    () =>
      Effect.gen(function* () {
        const harness = yield* after([])
        yield* (yield* harness.session.start(say("welcome"))).outcome
        yield* harness.run("a")
        for (const turns of [7, 1]) {
          assert.strictEqual((yield* harness.session.submit(Op.rollback(turns)))._tag, "Accepted")
          assert.deepStrictEqual(yield* textsOf(harness), ["welcome"])
        }
        assert.deepStrictEqual(rolledBack(harness), [1, 0])
      })
  )

  it.effect("J4 P1 is rejected while a turn runs, and for any count that is not an integer of at least 1", () =>
    Effect.gen(function* () {
      const harness = yield* running()
      assert.deepStrictEqual(reasonOf(yield* harness.session.submit(Op.rollback(1))), {
        _tag: "TurnRunning",
        turnId: harness.turnId
      })
      yield* harness.model.open("held")
      yield* harness.session.awaitIdle
      for (const turns of [0, -1, 1.5, Number.NaN]) {
        assert.deepStrictEqual(reasonOf(yield* harness.session.submit(Op.rollback(turns))), {
          _tag: "InvalidTurnCount",
          turns
        })
      }
      assert.deepStrictEqual(rolledBack(harness), [])
      assert.deepStrictEqual(yield* textsOf(harness), ["first", "first"])
    })
  )

  it.effect("J4 P6 with a repeated id runs once, even after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const scope = yield* Scope.make()
      const harness = yield* after(["a", "b", "c"], { journal }, scope)
      const once = { id: id("back"), op: Op.rollback(1) }
      const receipt = yield* harness.session.submit(once)
      assert.deepStrictEqual(yield* harness.session.submit(once), receipt)
      assert.deepStrictEqual(yield* textsOf(harness), ["a", "answer 1", "b", "answer 2"])
      yield* Scope.close(scope, Exit.void)
      const resumed = yield* after([], { journal, resume: harness.session.sessionId })
      assert.deepStrictEqual(yield* resumed.session.submit(once), receipt)
      assert.deepStrictEqual(yield* textsOf(resumed), ["a", "answer 1", "b", "answer 2"])
    })
  )

  it.effect("J4 removes an aborted turn with its marker, and keeps queued input waiting", () =>
    Effect.gen(function* () {
      const harness = yield* running()
      yield* send(harness.session, "later", "queue")
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.strictEqual((yield* harness.session.submit(Op.rollback(1)))._tag, "Accepted")
      const { items, waiting } = yield* harness.session.snapshot
      assert.deepStrictEqual([items, waiting], [[], [id("later")]])
      yield* harness.run("next")
      assert.deepStrictEqual(harness.requests.slice(1).map(userTexts), [["later"], ["later", "next"]])
    })
  )

  it.effect("J4 runs the session start hooks again if their contexts were removed, and only then", () =>
    Effect.gen(function* () {
      let count = 0
      const hooks = { sessionStart: () => Effect.sync(() => ({ contexts: [`context ${++count}`] })) }
      const harness = yield* after(["a", "b"], { hooks })
      yield* harness.session.submit(Op.rollback(1))
      yield* harness.run("c")
      assert.deepStrictEqual(yield* textsOf(harness), ["context 1", "a", "answer 1", "c", "answer 3"])
      yield* harness.session.submit(Op.rollback(2))
      yield* harness.run("d")
      assert.deepStrictEqual(yield* textsOf(harness), ["context 2", "d", "answer 4"])
    })
  )
})

describe("rollback and resume", () => {
  const Step = Schema.Union([Schema.Literals(["input", "task", "abort", "resume"]), Schema.Literals([1, 2, 3])])
  it.effect.prop(
    "J3 J4 a resumed session has the same history as the live one, whatever was rolled back",
    [Schema.Array(Step).check(Schema.isMaxLength(12))],
    ([steps]) =>
      Effect.gen(function* () {
        const journal = yield* Harness.memoryJournal
        let scope = yield* Scope.make()
        let harness = yield* after([], { journal }, scope)
        let expected: ReadonlyArray<ReadonlyArray<string>> = []
        let count = 0
        for (const step of steps) {
          const name = `${count++}`
          if (step === "input") {
            yield* harness.run(name)
            expected = [...expected, [name]]
          } else if (step === "task") {
            yield* (yield* harness.session.start(say(name))).outcome
          } else if (step === "abort") {
            yield* harness.session.start(Task.make("never", Effect.never))
            yield* harness.session.abort()
            yield* harness.session.awaitIdle
          } else if (step === "resume") {
            const { items } = yield* harness.session.snapshot
            yield* Scope.close(scope, Exit.void)
            scope = yield* Scope.make()
            harness = yield* after([], { journal, resume: harness.session.sessionId }, scope)
            assert.deepStrictEqual((yield* harness.session.snapshot).items, items)
          } else {
            yield* harness.session.submit(Op.rollback(step))
            expected = expected.slice(0, Math.max(0, expected.length - step))
          }
        }
        const { items } = yield* harness.session.snapshot
        assert.deepStrictEqual(
          items.flatMap((item) =>
            item._tag === "UserMessage" && item.fragment === undefined ? [Input.textOf(item.content)] : []
          ),
          expected.flat()
        )
        const { records } = yield* journal.load(harness.session.sessionId)
        assert.deepStrictEqual(History.toArray(SessionState.fold(records).history), items)
        assertTurns(records)
        yield* Scope.close(scope, Exit.void)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 100 } }
  )

  it.effect("J4 a fork up to a turn that was rolled back later contains it, and a complete fork does not", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const scope = yield* Scope.make()
      const harness = yield* after(["a", "b"], { journal }, scope)
      yield* harness.session.submit(Op.rollback(1))
      yield* Scope.close(scope, Exit.void)
      const { records } = yield* journal.load(harness.session.sessionId)
      const rollback = records.findIndex((record) => record._tag === "RolledBack")
      for (const [name, kept, texts] of [
        ["before", records.slice(0, rollback), ["a", "answer 1", "b", "answer 2"]],
        ["whole", records, ["a", "answer 1"]]
      ] as const) {
        const sessionId = name as SessionId
        yield* Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), (writer) => writer.append(kept)))
        assert.deepStrictEqual(yield* textsOf(yield* after([], { journal, resume: sessionId })), [...texts])
      }
    })
  )
})

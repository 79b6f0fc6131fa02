import { assert, describe, it } from "@effect/vitest"
import type { Item } from "@spindle/core/Item"
import * as Replay from "@spindle/testing/Replay"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"
import { TestClock } from "effect/testing"

const { call, drop, fail, finish, pieces, reasoning, text } = ScriptedModel

const tools: { readonly [name: string]: SessionHarness.TestTool } = {
  add: { run: ({ a, b }) => Effect.succeed(Number(a) + Number(b)) },
  break: { run: () => Effect.fail("it broke") }
}

/** Submits texts one after the other, and lets time pass for tries. */
const converse = Effect.fnUntraced(function* (harness: SessionHarness.SessionHarness, texts: ReadonlyArray<string>) {
  for (const one of texts) {
    yield* harness.submit(one)
    yield* TestClock.adjust("1 minute")
    yield* harness.session.awaitIdle
  }
})

const texts = ["hi", "and then?", "once more"]

/**
 * A session with reasoning, tools that succeed and fail, an answer that broke off, a failed turn, and one without
 * reported usage.
 */
const recorded = Effect.gen(function* () {
  const harness = yield* SessionHarness.make({
    tools,
    script: [
      [reasoning("thinking"), call("add", { a: 1, b: 2 }, "a"), call("break", {}, "b"), call("none", {}, "c")],
      [pieces("half"), drop],
      [text("It is ", "three."), finish(undefined)],
      [fail("Unauthorized")],
      [text("bye")]
    ]
  })
  yield* converse(harness, texts)
  return harness
})

const replaying = ({ model, tools: recordedTools }: Replay.Replay) =>
  SessionHarness.make({ model, tools: recordedTools })

const shapes = (items: ReadonlyArray<Item>) =>
  items.map((item) => ({ ...item, id: undefined, submissionId: undefined }))

describe("Replay", () => {
  it.effect("an equal conversation gets the same responses, and leaves the same history", () =>
    Effect.gen(function* () {
      const first = yield* recorded
      const replay = Replay.make(first.records())
      assert.strictEqual(replay.leftCount(), 5)
      const again = yield* replaying(replay)
      yield* converse(again, texts)
      assert.strictEqual(replay.mismatch(), undefined)
      assert.strictEqual(replay.leftCount(), 0)
      const [one, other] = [yield* first.session.snapshot, yield* again.session.snapshot]
      assert.deepStrictEqual(shapes(other.items), shapes(one.items))
      assert.deepStrictEqual([other.usage, other.turnCount], [one.usage, one.turnCount])
      assert.deepStrictEqual(again.tags(), first.tags())
    })
  )

  it.effect("the recorded inputs, submitted one after the other, are the same conversation", () =>
    Effect.gen(function* () {
      const first = yield* recorded
      const replay = Replay.make(first.records())
      const again = yield* replaying(replay)
      for (const op of replay.inputs) {
        yield* again.session.submit(op)
        yield* TestClock.adjust("1 minute")
        yield* again.session.awaitIdle
      }
      assert.deepStrictEqual(again.tags(), first.tags())
    })
  )

  it.effect("the first request that differs fails with a diff, and no later one is answered", () =>
    Effect.gen(function* () {
      const replay = Replay.make((yield* recorded).records())
      const again = yield* replaying(replay)
      yield* converse(again, ["hi", "and now?", "once more"])
      const told = [
        `request 4 differs at item 8:`,
        `  AssistantMessage {"text":"It is three."}`,
        `- UserMessage {"content":[{"_tag":"Text","text":"and then?"}]}`,
        `+ UserMessage {"content":[{"_tag":"Text","text":"and now?"}]}`
      ].join("\n")
      assert.strictEqual(replay.mismatch()?.replace(/at item \d+/, "at item 8"), told)
      assert.deepStrictEqual(
        again.records().flatMap((record) => (record._tag === "TurnFailed" ? [record.error.message] : [])),
        [replay.mismatch(), replay.mismatch()]
      )
    })
  )

  it.effect("a request beyond the recorded ones, a call with other arguments and an unrecorded call are reported", () =>
    Effect.gen(function* () {
      const records = (yield* recorded).records()
      const beyond = Replay.make(records)
      const again = yield* replaying(beyond)
      yield* converse(again, [...texts, "more"])
      assert.strictEqual(beyond.mismatch(), "request 6 was not recorded")

      const other = Replay.make(records)
      const told = yield* Effect.flip(other.answer("a", { a: 1, b: 3 }))
      assert.strictEqual(told, `call a of add differs:\n- {"a":1,"b":2}\n+ {"a":1,"b":3}`)
      assert.strictEqual(yield* Effect.flip(Replay.make(records).answer("z", {})), "call z was not recorded")
    })
  )

  it.effect("an aborted response or call never ends, so that it can be aborted again", () =>
    Effect.gen(function* () {
      const script = [[call("wait", {}, "a")], [...pieces("so far"), ScriptedModel.hang]]
      const interrupted = Effect.fnUntraced(function* (harness: SessionHarness.SessionHarness) {
        for (const one of ["hi", "again"]) {
          yield* harness.submit(one)
          yield* TestClock.adjust("1 second")
          assert.isTrue(yield* harness.session.abort())
          yield* harness.session.awaitIdle
        }
        return harness
      })
      const first = yield* Effect.flatMap(
        SessionHarness.make({ script, tools: { wait: { run: () => Effect.never } } }),
        interrupted
      )
      const replay = Replay.make(first.records())
      const again = yield* Effect.flatMap(replaying(replay), interrupted)
      assert.strictEqual(replay.mismatch(), undefined)
      assert.strictEqual(replay.model.openCount(), 0)
      assert.deepStrictEqual(again.tags(), first.tags())
    })
  )
})

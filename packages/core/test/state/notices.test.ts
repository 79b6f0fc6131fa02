/** Notices: messages of programs in the inbox, which are not the user's words (contract P2, P5, D7, J4). */
import { assert, describe, it } from "@effect/vitest"
import * as Compaction from "@spindle/core/Compaction"
import * as History from "@spindle/core/History"
import * as Op from "@spindle/core/Op"
import * as SessionState from "@spindle/core/SessionState"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"
import { id, running, userTexts } from "../fixtures/submissions.ts"
import { abortedOf, assertTurns, itemsOf } from "../fixtures/turns.ts"

const notice = (text: string, delivery?: "steer" | "queue" | "wait") => Op.notice("tests", text, { delivery })
const noticesOf = (items: ReturnType<typeof itemsOf>) =>
  items.flatMap((item) =>
    item._tag === "UserMessage" && item.fragment === "tests" ? [[item.submissionId, item.content]] : []
  )

describe("a notice", () => {
  it.effect("P5 starts a turn and reaches the model without a prompt hook", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const harness = yield* SessionHarness.make({
        script: () => [ScriptedModel.text("noted")],
        hooks: {
          userPromptSubmit: (_, text) =>
            Effect.sync(() => void seen.push(text)).pipe(Effect.as({ block: true, contexts: ["no"] }))
        }
      })
      const receipt = yield* harness.session.submit({ id: id("n"), op: notice("the build is green") })
      assert.strictEqual(receipt._tag, "Started")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(seen, [])
      assert.deepStrictEqual(noticesOf(itemsOf(harness.events)), [
        [id("n"), [{ _tag: "Text", text: "the build is green" }]]
      ])
      const [request] = harness.requests
      assert.deepStrictEqual(userTexts(request), [])
      assert.include(JSON.stringify(request!.items), "the build is green")
      const accepted = harness.records().find((record) => record._tag === "InputAccepted")
      assert.strictEqual(accepted?._tag === "InputAccepted" && accepted.fragment, "tests")
    })
  )

  it.effect("P1 P2 that waits starts no turn and is carried by the next one, after the words that started it", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script: () => [ScriptedModel.text("fine")] })
      const receipt = yield* harness.session.submit({ id: id("n"), op: notice("later", "wait") })
      assert.deepStrictEqual(receipt, { _tag: "Queued", submissionId: id("n"), position: 0 })
      assert.strictEqual((yield* harness.session.snapshot).status, "idle")
      yield* harness.run("hello")
      assert.deepStrictEqual(userTexts(harness.requests[0]), ["hello"])
      assert.lengthOf(noticesOf(itemsOf(harness.events)), 1)
    })
  )

  it.effect("P2 that steers a turn is kept by an abort, not returned with the user's words", () =>
    Effect.gen(function* () {
      const { events, session } = yield* running()
      yield* session.submit({ id: id("n"), op: notice("aside") })
      yield* session.submit({ id: id("w"), op: Op.userInput("words") })
      yield* session.abort()
      yield* session.awaitIdle
      const { kept, returned } = abortedOf(events)
      assert.deepStrictEqual(
        returned.map(({ submissionId }) => submissionId),
        [id("w")]
      )
      assert.deepStrictEqual(kept, [id("n")])
      assert.deepStrictEqual((yield* session.snapshot).waiting, [id("n")])
    })
  )

  it.effect("J4 makes no turn that a rollback counts, and no words that a compaction keeps", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script: (_, index) => [ScriptedModel.text(`answer ${index}`)] })
      const { session } = harness
      yield* harness.run("one")
      yield* session.submit(notice("in between"))
      yield* session.awaitIdle
      const { items } = yield* session.snapshot
      assert.deepStrictEqual(Compaction.plan(items).kept.length, 1)
      assert.strictEqual(SessionState.userTurnCount(SessionState.fold(harness.records())), 1)
      yield* session.submit(Op.rollback(1))
      assert.deepStrictEqual((yield* session.snapshot).items, [])
      assertTurns(harness.events)
    })
  )

  it.effect("P1 P6 has the limits and the receipts of input", () =>
    Effect.gen(function* () {
      const { session } = yield* SessionHarness.make({ config: { inboxCapacity: 1, inputLimit: 8 } })
      const reason = (op: Op.Op) =>
        Effect.map(session.submit(op), (receipt) => (receipt._tag === "Rejected" ? receipt.reason._tag : receipt._tag))
      assert.strictEqual(yield* reason(notice(" ")), "EmptyInput")
      assert.strictEqual(yield* reason(notice("a long notice")), "InputTooLarge")
      const first = yield* session.submit({ id: id("n"), op: notice("short", "wait") })
      assert.deepStrictEqual(yield* session.submit({ id: id("n"), op: notice("short", "wait") }), first)
      assert.strictEqual(yield* reason(notice("more", "wait")), "InboxFull")
      assert.isFalse(History.isUserInput({ _tag: "UserMessage", id: "0" as never, content: [], fragment: "tests" }))
    })
  )
})

/** Compaction at the endpoint of a provider (contract S11, J3, I5, I7). */
import { assert, describe, it } from "@effect/vitest"
import * as Compaction from "@spindle/core/Compaction"
import * as CompactTask from "@spindle/core/CompactTask"
import * as Op from "@spindle/core/Op"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Option } from "effect"
import { compact, compactionTags, historyOf, long, summarizing, summary, textsOf } from "../fixtures/compactions.ts"
import { assertTurns, terminals, warningsOf } from "../fixtures/turns.ts"

/** A session with two turns, whose provider compacts with these responses. */
const make = (compact: Model.Script, options: Harness.HarnessOptions = {}) =>
  Effect.gen(function* () {
    const model = Model.make(summarizing, { compact })
    const harness = yield* Harness.make({ model, tasks: [CompactTask.kind], ...options })
    if (options.resume === undefined) {
      yield* harness.run("one")
      yield* harness.run("two")
    }
    return { ...harness, compactions: model.compactions }
  })

const completedOf = ({ records }: Harness.SessionHarness) =>
  records().flatMap((record) =>
    record._tag === "TaskNote" ? Option.toArray(CompactTask.CompactionCompleted.decode(record)) : []
  )

describe("the compact task of a provider with an endpoint", () => {
  it.effect("S11 replaces the history by one record with the sealed summary, and asks the model for nothing", () =>
    Effect.gen(function* () {
      const harness = yield* make([[Model.sealedSummary("xyz"), Model.finish({ input: 900, output: 20, total: 920 })]])
      const count = harness.records().length
      assert.strictEqual((yield* compact(harness))._tag, "TurnCompleted")
      assert.deepStrictEqual(harness.tags().slice(count), compactionTags)
      assert.deepStrictEqual([harness.requests.length, harness.compactions.length], [2, 1])
      const [asked] = harness.compactions
      assert.deepStrictEqual([asked!.instructions, asked!.tools], [undefined, []])
      const history = yield* historyOf(harness)
      const unreadable = `${Compaction.summaryHeading}\n\n${Compaction.unreadableSummary}`
      assert.deepStrictEqual(textsOf(history), ["one", "two", unreadable])
      const last = history.at(-1)
      assert.deepStrictEqual(last?._tag === "UserMessage" ? last.sealed : undefined, {
        encrypted: "xyz",
        sealedBy: "scripted"
      })
      assert.strictEqual(completedOf(harness)[0]?.remote, true)
      const responded = harness.records().findLast(({ _tag }) => _tag === "ModelResponded")
      assert.strictEqual(responded?._tag === "ModelResponded" ? responded.usage.total : 0, 920)
      assertTurns(harness.events)
    })
  )

  it.effect("S11 keeps a summary that the provider writes as text", () =>
    Effect.gen(function* () {
      const harness = yield* make([[Model.text("a ", "summary")]])
      yield* compact(harness)
      assert.deepStrictEqual(textsOf(yield* historyOf(harness)), ["one", "two", summary])
    })
  )

  for (const [name, answer, warning] of [
    ["fails", [Model.fail("ServerError")], "scripted did not compact the conversation"],
    ["has no such path", [Model.fail("InvalidRequest")], "scripted did not compact the conversation"],
    ["breaks off", [Model.sealedSummary("xyz"), Model.drop], "scripted did not compact the conversation"],
    ["finds the conversation too long", [Model.fail("ContextWindowExceeded")], "scripted did not compact"],
    ["frees too little", [Model.sealedSummary(long.repeat(2))], "frees too little"],
    ["returns nothing", [Model.text(" ")], "frees too little"],
    ["dies", [Model.die(new Error("a bug"))], "scripted did not compact the conversation: a bug"]
  ] as const) {
    it.effect(`S11 asks the model for a summary, with a warning, when the endpoint ${name}`, () =>
      Effect.gen(function* () {
        const harness = yield* make([answer])
        assert.strictEqual((yield* compact(harness))._tag, "TurnCompleted")
        assert.deepStrictEqual(textsOf(yield* historyOf(harness)), ["one", "two", summary])
        assert.deepStrictEqual([harness.requests.length, harness.compactions.length], [3, 1])
        const warnings = warningsOf(harness.records())
        assert.strictEqual(warnings.length, 1)
        assert.include(warnings[0], warning)
        assert.isUndefined(completedOf(harness)[0]?.remote)
        assertTurns(harness.events)
      })
    )
  }

  it.effect("S11 fails with the typed error of the model when the endpoint and the model both fail", () =>
    Effect.gen(function* () {
      const model = Model.make(
        ({ items }, index) =>
          index < 2
            ? [Model.text(`re ${index} ${long}`)]
            : [Model.fail(items.length > 0 ? "Unauthorized" : "Connection")],
        { compact: [[Model.fail("Unauthorized")]] }
      )
      const harness = yield* make([], { model })
      const before = yield* historyOf(harness)
      const end = yield* compact(harness)
      assert.deepInclude(end._tag === "TurnFailed" ? end.error : {}, { tag: "ModelFailed" })
      assert.deepStrictEqual(yield* historyOf(harness), before)
    })
  )

  it.effect("S11 I5 leaves the history as it was when it is aborted, and closes the connection", () =>
    Effect.gen(function* () {
      const harness = yield* make([[Model.sealedSummary("xyz"), Model.gate("g")]])
      const before = yield* historyOf(harness)
      yield* harness.session.submit(Op.startTask("compact"))
      yield* harness.model.awaitGate("g")
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.strictEqual(terminals(harness.events).at(-1)?._tag, "TurnAborted")
      assert.strictEqual(harness.model.openCount(), 0)
      const after = yield* historyOf(harness)
      assert.deepStrictEqual(after.slice(0, before.length), before)
      assert.isFalse(harness.records().some(({ _tag }) => _tag === "HistoryReplaced"))
      assertTurns(harness.events)
    })
  )

  it.effect("S11 J3 compacts by itself, and a resumed session has the sealed summary", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const options = { journal, config: { compactFromTokens: 2_500 } }
      const sessionId = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* make(() => [Model.sealedSummary("xyz")], options)
          yield* harness.run("three")
          yield* harness.run("four")
          assert.isAbove(harness.compactions.length, 0)
          return harness.session.sessionId
        })
      )
      const again = yield* make([], { journal, resume: sessionId })
      const sealed = (yield* historyOf(again)).flatMap((item) =>
        item._tag === "UserMessage" && item.sealed !== undefined ? [item.sealed.encrypted] : []
      )
      assert.deepStrictEqual(sealed, ["xyz"])
    })
  )
})

/** Compaction that a client asks for (contract S11, S3, P1, J3, J4, I5, I7). */
import { assert, describe, it } from "@effect/vitest"
import * as CompactTask from "@spindle/core/CompactTask"
import type { Item } from "@spindle/core/Item"
import type * as NoteKind from "@spindle/core/NoteKind"
import * as Op from "@spindle/core/Op"
import * as SessionState from "@spindle/core/SessionState"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Option } from "effect"
import {
  answers,
  compact,
  compactionTags,
  historyOf,
  long,
  summarizing,
  summary,
  textsOf
} from "../fixtures/compactions.ts"
import { assertTurns, terminals } from "../fixtures/turns.ts"

const make = (options: Harness.HarnessOptions = {}) =>
  Harness.make({ script: summarizing, tasks: [CompactTask.kind], ...options })

const failureOf = (end: ReturnType<typeof terminals>[number]) => (end._tag === "TurnFailed" ? end.error : undefined)

describe("the compact task", () => {
  it.effect("S11 S3 leaves the user's messages and one summary, by one record, between two notes", () =>
    Effect.gen(function* () {
      const harness = yield* make()
      yield* harness.run("one")
      yield* harness.run("two")
      const count = harness.records().length
      assert.strictEqual((yield* compact(harness))._tag, "TurnCompleted")
      assert.deepStrictEqual(harness.tags().slice(count), compactionTags)
      assert.deepStrictEqual(textsOf(yield* historyOf(harness)), ["one", "two", summary])
      const noteOf = <A>(kind: NoteKind.NoteKind<A>) =>
        harness.records().flatMap((record) => (record._tag === "TaskNote" ? Option.toArray(kind.decode(record)) : []))
      const [started] = noteOf(CompactTask.CompactionStarted)
      const [completed] = noteOf(CompactTask.CompactionCompleted)
      assert.strictEqual(started?.trigger, "manual")
      assert.isAbove(completed!.tokensBefore, completed!.tokensAfter)
      assert.strictEqual(completed?.droppedItems, 0)
      yield* harness.run("three")
      assert.deepStrictEqual(textsOf(harness.requests.at(-1)!.items), ["one", "two", summary, "three"])
      assertTurns(harness.events)
    })
  )

  it.effect("S11 asks without tools and without the agent's instructions, which the next request has once", () =>
    Effect.gen(function* () {
      const instructions = "Never touch main."
      const harness = yield* make({
        instructions,
        tools: { work: { run: () => Effect.succeed("") } },
        hooks: { sessionStart: () => Effect.succeed({ contexts: ["Use tabs."] }) }
      })
      yield* harness.run("one")
      yield* compact(harness)
      const asked = harness.requests.at(-1)!
      assert.deepStrictEqual(asked.tools, [])
      assert.notInclude(JSON.stringify(asked), instructions)
      assert.notInclude(JSON.stringify(asked), "Use tabs.")
      yield* harness.run("two")
      const next = harness.requests.at(-1)!
      assert.strictEqual(next.instructions, instructions)
      assert.strictEqual(JSON.stringify(next.items).split("Use tabs.").length, 2)
    })
  )

  it.effect("S11 fails without a request when the user's messages alone leave too little to gain", () =>
    Effect.gen(function* () {
      const harness = yield* make({ script: [[Model.text("ok")]] })
      yield* harness.run(long)
      const before = yield* historyOf(harness)
      assert.deepInclude(failureOf(yield* compact(harness)), { tag: "CompactionFailed" })
      assert.strictEqual(harness.requests.length, 1)
      assert.deepStrictEqual(yield* historyOf(harness), before)
    })
  )

  for (const [name, answer, message] of [
    ["an empty summary", [Model.text(" \n")], "the model wrote no summary"],
    ["no text at all", [Model.call("work", {}, "c")], "the model wrote no summary"],
    ["a summary that is as long as what it replaces", [Model.text(long, long)], "it would free too little"],
    ["a model that fails", [Model.fail("Unauthorized")], "scripted Unauthorized"]
  ] as const) {
    it.effect(`S11 leaves the history as it was for ${name}`, () =>
      Effect.gen(function* () {
        const harness = yield* make({ script: answers(() => answer) })
        yield* harness.run("one")
        yield* harness.run("two")
        const before = yield* historyOf(harness)
        assert.include(failureOf(yield* compact(harness))?.message, message)
        assert.deepStrictEqual(yield* historyOf(harness), before)
        assert.strictEqual((yield* harness.run("three"))._tag, "TurnCompleted")
        assertTurns(harness.events)
      })
    )
  }

  it.effect("S11 leaves the oldest items out of a summary that does not fit, and fails when nothing is left", () =>
    Effect.gen(function* () {
      const fits = (items: ReadonlyArray<Item>) => textsOf(items).length <= 4
      const harness = yield* make({
        script: answers((items) => (fits(items) ? [Model.text("a summary")] : [Model.fail("ContextWindowExceeded")]))
      })
      for (const text of ["one", "two", "three"]) yield* harness.run(text)
      assert.strictEqual((yield* compact(harness))._tag, "TurnCompleted")
      assert.deepStrictEqual(textsOf(yield* historyOf(harness)), ["one", "two", "three", summary])
      const dropped = harness
        .records()
        .flatMap((record) =>
          record._tag === "TaskNote" ? Option.toArray(CompactTask.CompactionCompleted.decode(record)) : []
        )
      assert.isAbove(dropped[0]!.droppedItems, 0)
      const never = yield* make({ script: answers(() => [Model.fail("ContextWindowExceeded")]) })
      yield* never.run("one")
      assert.include(failureOf(yield* compact(never))?.message, "context window")
    })
  )

  it.effect("S11 runs the hooks before and after it, and one of them can deny it", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const harness = yield* make({
        hooks: {
          preCompact: (_, trigger) => Effect.sync(() => ({ deny: log.push(trigger) === 1, reason: "not now" })),
          postCompact: (_, trigger) => Effect.sync(() => void log.push(`after ${trigger}`))
        }
      })
      yield* harness.run("one")
      yield* harness.run("two")
      const before = yield* historyOf(harness)
      const reason = "cannot compact the conversation: a hook denied it: not now"
      assert.strictEqual(failureOf(yield* compact(harness))?.message, reason)
      assert.deepStrictEqual([yield* historyOf(harness), harness.requests.length], [before, 2])
      assert.strictEqual((yield* compact(harness))._tag, "TurnCompleted")
      assert.deepStrictEqual(log, ["manual", "manual", "after manual"])
    })
  )

  for (const hook of ["preCompact", "postCompact"] as const) {
    it.effect(`S11 I3 is aborted while ${hook} hangs, and the session continues`, () =>
      Effect.gen(function* () {
        const entered = yield* Deferred.make<void>()
        const hang = () => Effect.andThen(Deferred.succeed(entered, undefined), Effect.never)
        const harness = yield* make({ hooks: { [hook]: hang } })
        yield* harness.run("one")
        yield* harness.run("two")
        yield* harness.session.submit(Op.startTask("compact"))
        yield* Deferred.await(entered)
        yield* harness.session.abort()
        yield* harness.session.awaitIdle
        assert.strictEqual(terminals(harness.events).at(-1)?._tag, "TurnAborted")
        const texts = textsOf(yield* historyOf(harness))
        assert.strictEqual(texts.includes(summary), hook === "postCompact")
        assert.strictEqual((yield* harness.run("three"))._tag, "TurnCompleted")
        assertTurns(harness.events)
      })
    )
  }

  it.effect("P1 S11 waits while another compaction runs, and then has nothing left to free", () =>
    Effect.gen(function* () {
      const harness = yield* make({ script: answers(() => [Model.gate("g"), Model.text("a summary")]) })
      yield* harness.run("one")
      yield* harness.run("two")
      yield* harness.session.submit(Op.startTask("compact"))
      yield* harness.model.awaitGate("g")
      const second = yield* harness.session.submit(Op.startTask("compact"))
      assert.strictEqual(second._tag, "Queued")
      yield* harness.model.open("g")
      yield* harness.session.awaitIdle
      const ends = terminals(harness.events).slice(-2)
      assert.deepStrictEqual(
        ends.map(({ _tag }) => _tag),
        ["TurnCompleted", "TurnFailed"]
      )
      assert.deepStrictEqual(textsOf(yield* historyOf(harness)), ["one", "two", summary])
      assertTurns(harness.events)
    })
  )

  it.effect("S11 P2 keeps the history and the input that an abort finds waiting", () =>
    Effect.gen(function* () {
      const harness = yield* make({ script: answers(() => [...Model.pieces("half"), Model.gate("g")]) })
      yield* harness.run("one")
      const before = yield* historyOf(harness)
      yield* harness.session.submit(Op.startTask("compact"))
      yield* harness.model.awaitGate("g")
      yield* harness.submit("waiting")
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      const after = yield* harness.session.snapshot
      assert.deepStrictEqual(after.items.slice(0, before.length), before)
      assert.strictEqual(after.waiting.length, 1)
      assertTurns(harness.events)
    })
  )

  it.effect("J3 J4 is found again by a resume, and a rollback to before it restores what was", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const sessionId = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* make({ journal })
          yield* harness.run("one")
          yield* harness.run("two")
          yield* compact(harness)
          const live = yield* harness.session.snapshot
          const folded = SessionState.fold(harness.records())
          assert.deepStrictEqual(live.seq, folded.seq)
          return harness.session.sessionId
        })
      )
      const again = yield* make({ journal, resume: sessionId })
      assert.deepStrictEqual(textsOf(yield* historyOf(again)), ["one", "two", summary])
      yield* again.session.submit(Op.rollback(1))
      const texts = textsOf(yield* historyOf(again))
      assert.deepStrictEqual([texts[0], texts.length], ["one", 2])
      assert.isTrue(texts[1]!.startsWith("re 0"))
    })
  )
})

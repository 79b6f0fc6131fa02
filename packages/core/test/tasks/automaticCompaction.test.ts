/** Compactions that a turn makes by itself (contract S11, P2, P4, I6). */
import { assert, describe, it } from "@effect/vitest"
import * as CompactTask from "@spindle/core/CompactTask"
import { Fragments } from "@spindle/core/Fragments"
import * as History from "@spindle/core/History"
import type { Item } from "@spindle/core/Item"
import { Model as ModelService } from "@spindle/core/Model"
import * as Session from "@spindle/core/Session"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Option, Stream } from "effect"
import { answers, isAside, long, reporting, summarizing, summary, textsOf } from "../fixtures/compactions.ts"
import { assertTurns, warningsOf } from "../fixtures/turns.ts"

const throws = (): never => {
  throw new Error("a bug")
}
const limited = { compactFromTokens: 2_500 }
const make = (options: Harness.HarnessOptions = {}) =>
  Harness.make({ script: summarizing, config: limited, ...options })
const triggers = ({ records }: Pick<Harness.SessionHarness, "records">) =>
  records().flatMap((record) =>
    record._tag === "TaskNote"
      ? Option.toArray(CompactTask.CompactionStarted.decode(record)).map((one) => one.trigger)
      : []
  )
const replacedCount = ({ tags }: Pick<Harness.SessionHarness, "tags">) =>
  tags().filter((tag) => tag === "HistoryReplaced").length
const itemsOf = ({ session }: Harness.SessionHarness) => Effect.map(session.snapshot, ({ items }) => items)

/** A tool whose output has 1,000 tokens. */
const reading = { read: { run: () => Effect.succeed(long) } }
/** Calls the tool so many times, then says something. */
const callsThenSays =
  (count: number): Model.Script =>
  ({ items }, index) =>
    isAside(items)
      ? [Model.text("a summary"), reporting(items, 3)]
      : index < count
        ? [Model.call("read", {}, `c${index}`), reporting(items, 2)]
        : [Model.text("done"), reporting(items, 1)]

describe("a turn that reaches the limit of its context", () => {
  it.effect("S11 compacts before it takes its input, which follows the summary", () =>
    Effect.gen(function* () {
      const harness = yield* make()
      for (const text of ["one", "two", "three"]) yield* harness.run(text)
      assert.deepStrictEqual(triggers(harness), [])
      yield* harness.run("four " + "y".repeat(2_000))
      assert.deepStrictEqual(triggers(harness), ["limit"])
      const sent = textsOf(harness.requests.at(-1)!.items)
      assert.deepStrictEqual(sent.slice(0, 4), ["one", "two", "three", summary])
      assert.isTrue(sent[4]?.startsWith("four"))
      assertTurns(harness.events)
    })
  )

  it.effect("S11 I6 compacts between its requests, once the calls have their results", () =>
    Effect.gen(function* () {
      const harness = yield* make({ tools: reading, script: callsThenSays(3) })
      assert.strictEqual((yield* harness.run("read it all"))._tag, "TurnCompleted")
      assert.deepStrictEqual(triggers(harness), ["limit"])
      assert.deepStrictEqual(textsOf(harness.requests.at(-1)!.items), ["read it all", summary])
      assertTurns(harness.events)
    })
  )

  it.effect("S11 uses 90 % of the model's window by default, and no limit for a model of unknown size", () =>
    Effect.gen(function* () {
      const run = Effect.fnUntraced(function* (contextWindow: number | undefined) {
        const scripted = Model.make(summarizing)
        const harness = yield* Harness.make({
          model: scripted,
          factory: (agent, options) =>
            Effect.provideService(Session.make(agent, options), ModelService, { ...scripted.model, contextWindow })
        })
        for (const text of ["one", "two", "three", "four"]) yield* harness.run(text)
        return triggers(harness).length
      })
      assert.strictEqual(yield* run(undefined), 0)
      assert.strictEqual(yield* run(10_000), 0)
      assert.strictEqual(yield* run(3_000), 1)
    })
  )

  it.effect("S11 P2 continues with the history as it was when its compaction fails, and does not try again", () =>
    Effect.gen(function* () {
      const harness = yield* make({ script: answers(() => [Model.text("")]), config: { compactFromTokens: 500 } })
      yield* harness.run("one")
      assert.strictEqual((yield* harness.run("two"))._tag, "TurnCompleted")
      assert.deepStrictEqual(warningsOf(harness.records()), [
        "the conversation was not compacted: cannot compact the conversation: the model wrote no summary"
      ])
      assert.strictEqual(replacedCount(harness), 0)
      const texts = textsOf(yield* itemsOf(harness))
      assert.deepStrictEqual(
        texts.filter((_, index) => index % 2 === 0),
        ["one", "two"]
      )
      assertTurns(harness.events)
    })
  )

  for (const [what, broken] of [
    ["model dies", { stream: () => Stream.die(new Error("a bug")) }],
    ["model throws", { stream: throws }],
    ["endpoint throws", { stream: throws, compact: throws }]
  ] as const) {
    it.effect(`S11 P2 carries its input, as later turns do, when the compaction fails because the ${what}`, () =>
      Effect.gen(function* () {
        const scripted = Model.make(answers(() => [Model.text("")]))
        const stream: typeof scripted.model.stream = (request) =>
          isAside(request.items) ? broken.stream() : scripted.model.stream(request)
        const model = { ...scripted.model, ...broken, stream }
        const harness = yield* make({
          model: scripted,
          config: { compactFromTokens: 500 },
          factory: (agent, options) => Effect.provideService(Session.make(agent, options), ModelService, model)
        })
        for (const text of ["one", "two", "three"]) {
          assert.strictEqual((yield* harness.run(text))._tag, "TurnCompleted")
        }
        const failed = "the conversation was not compacted: a bug"
        assert.deepStrictEqual(
          warningsOf(harness.records()).filter((one) => one === failed),
          [failed, failed]
        )
        assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [])
        assertTurns(harness.events)
      })
    )
  }

  it.effect("S11 P2 returns the input of a turn whose compaction is aborted, which a client may send again", () =>
    Effect.gen(function* () {
      const harness = yield* make({
        script: answers(() => [Model.gate("g")]),
        config: { compactFromTokens: 500 }
      })
      yield* harness.run("one")
      const before = yield* itemsOf(harness)
      yield* harness.submit("two")
      yield* harness.model.awaitGate("g")
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      const end = harness.records().at(-1)!
      assert.strictEqual(end._tag, "TurnAborted")
      assert.deepStrictEqual(
        end._tag === "TurnAborted" && [...end.returned.map(({ submissionId }) => submissionId), ...end.kept].length,
        1
      )
      assert.deepStrictEqual((yield* itemsOf(harness)).slice(0, before.length), before)
      assertTurns(harness.events)
    })
  )

  it.effect("S11 makes at most so many compactions, and none with a bound of 0", () =>
    Effect.gen(function* () {
      const harness = yield* make({
        tools: reading,
        script: callsThenSays(20),
        config: { compactFromTokens: 1_500, turnCompactions: 2 }
      })
      assert.strictEqual((yield* harness.run("read"))._tag, "TurnCompleted")
      assert.strictEqual(replacedCount(harness), 2)
      const none = yield* make({
        tools: reading,
        script: callsThenSays(5),
        config: { compactFromTokens: 1_500, turnCompactions: 0 }
      })
      yield* none.run("read")
      assert.strictEqual(replacedCount(none), 0)
    })
  )

  it.effect("P4 S11 carries input that steers it while it compacts", () =>
    Effect.gen(function* () {
      const harness = yield* make({
        tools: reading,
        script: (request, index) =>
          isAside(request.items)
            ? [Model.gate("g"), Model.text("a summary")]
            : (callsThenSays(3) as (...args: Parameters<Extract<Model.Script, Function>>) => Model.Answer)(
                request,
                index
              )
      })
      yield* harness.submit("read")
      yield* harness.model.awaitGate("g")
      assert.strictEqual((yield* harness.submit("and this"))._tag, "Steered")
      yield* harness.model.open("g")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(textsOf(yield* itemsOf(harness)), ["read", summary, "and this", "done"])
      assertTurns(harness.events)
    })
  )
})

describe("fragments of the program", () => {
  it.effect("S11 are recorded again after a compaction in the middle of a turn, once, and are part of no summary", () =>
    Effect.gen(function* () {
      const rules = { name: "rules", text: `Use tabs. ${"z".repeat(200)}` }
      const harness = yield* Effect.provideService(
        make({ tools: reading, script: callsThenSays(3) }),
        Fragments,
        (known) =>
          Effect.succeed({ fragments: known.some(({ name }) => name === rules.name) ? [] : [rules], warnings: [] })
      )
      yield* harness.run("read it all")
      const [asked] = harness.requests.filter(({ items }) => isAside(items))
      assert.notInclude(JSON.stringify(asked), "Use tabs.")
      assert.deepStrictEqual(textsOf(harness.requests.at(-1)!.items), ["read it all", summary, rules.text])
      assertTurns(harness.events)
    })
  )
})

describe("a model that refuses the context", () => {
  /** Refuses more than 1,500 tokens. */
  const refusing: Model.Script = ({ items }, index) =>
    isAside(items)
      ? [Model.text("a summary")]
      : History.estimateAll(items) > 1_500
        ? [Model.fail("ContextWindowExceeded")]
        : [Model.text(`re ${index} ${long}`)]

  it.effect("S11 gets the request again after one compaction, with the input", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: refusing })
      yield* harness.run("one")
      yield* harness.run("two")
      assert.strictEqual((yield* harness.run("three"))._tag, "TurnCompleted")
      assert.deepStrictEqual(triggers(harness), ["overflow"])
      assert.deepStrictEqual(textsOf(harness.requests.at(-1)!.items), ["one", "two", "three", summary])
      assertTurns(harness.events)
    })
  )

  it.effect("S11 fails the turn when the compaction fails, and keeps the input in the history", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        script: ({ items }: { readonly items: ReadonlyArray<Item> }, index: number) =>
          index === 0
            ? [Model.text(long)]
            : isAside(items)
              ? [Model.fail("Unauthorized")]
              : [Model.fail("ContextWindowExceeded")]
      })
      yield* harness.run("one")
      const end = yield* harness.run("two")
      assert.include(end._tag === "TurnFailed" && end.error.message, "ContextWindowExceeded")
      assert.deepStrictEqual(warningsOf(harness.records()), [
        "the conversation was not compacted: scripted Unauthorized"
      ])
      assert.deepStrictEqual(textsOf(yield* itemsOf(harness)).at(-1), "two")
      assertTurns(harness.events)
    })
  )
})

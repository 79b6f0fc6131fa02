/** Values that JSON cannot represent reach no record: what is acknowledged can be read back (contract J1, J5). */
import { assert, describe, it } from "@effect/vitest"
import type { CallId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as RecordCodec from "@spindle/core/RecordCodec"
import { ModelFailed } from "@spindle/core/SessionError"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect, Schedule } from "effect"

/** Each record is read back from its line as it is. */
const assertReadable = (records: ReadonlyArray<JournalRecord>) => {
  for (const record of records) {
    assert.deepStrictEqual(RecordCodec.decodeLine(RecordCodec.encode(record)), record)
  }
}

const asking = Task.make(
  "asks",
  Effect.flatMap(Turn, (turn) => turn.ask({ kind: "question", payload: {} }))
)
const cycle: { self?: unknown } = {}
cycle.self = cycle
const nested = (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth)) as unknown

describe("an answer that JSON cannot represent", () => {
  const answers: ReadonlyArray<readonly [string, unknown]> = [
    ["a bigint", { row: 10n }],
    ["a function", () => 1],
    ["a cycle", cycle],
    ["too deep", nested(600)],
    ["no answers", undefined]
  ]
  for (const [name, given] of answers) {
    it.effect(`A1 J5 (${name}) is rejected, and the question stays open for another one`, () =>
      Effect.gen(function* () {
        const harness = yield* SessionHarness.make()
        const { session } = harness
        const { outcome } = yield* session.start(asking)
        const { questionId } = yield* harness.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
        const decision = { _tag: "Answered", answers: given } as Op.Decision
        const receipt = yield* session.submit(Op.answer(questionId, decision))
        assert.deepInclude(receipt._tag === "Rejected" ? receipt.reason : receipt, {
          _tag: "InvalidAnswer",
          questionId
        })
        const second = yield* session.submit(Op.answer(questionId, { _tag: "Answered", answers: { row: 10 } }))
        assert.strictEqual(second._tag, "Accepted")
        const ended = yield* outcome
        assert.deepStrictEqual(ended._tag === "Completed" && ended.value, { _tag: "Answered", answers: { row: 10 } })
        assert.strictEqual((yield* session.snapshot).status, "idle")
        assertReadable(harness.records())
      })
    )
  }

  it.effect("A1 J3 is normalized: a number that is not finite becomes null, for the asker too", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make()
      const { outcome } = yield* harness.session.start(asking)
      const { questionId } = yield* harness.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
      yield* harness.session.submit(
        Op.answer(questionId, { _tag: "Answered", answers: { size: Infinity, when: new Date(0), none: undefined } })
      )
      const ended = yield* outcome
      const answers = { size: null, when: "1970-01-01T00:00:00.000Z" }
      assert.deepStrictEqual(ended._tag === "Completed" && ended.value, { _tag: "Answered", answers })
      assertReadable(harness.records())
    })
  )

  for (const [name, given] of [
    ["a bigint", { _tag: "Answered", answers: { row: 10n } }],
    ["an error", Object.assign(new Error("x"), { self: cycle })],
    ["nothing", {}],
    ["another tag", { _tag: "Yes" }],
    ["another scope", { _tag: "Approved", scope: "ever" }],
    ["another source", { _tag: "Denied", source: "oracle" }]
  ] as const) {
    it.effect(
      `A1 J1 S5 (${name}) is a defect of the decider that gave it: the asker dies, and the session stays usable`,
      () =>
        Effect.gen(function* () {
          const harness = yield* SessionHarness.make({
            script: () => [ScriptedModel.text("fine")],
            approvals: { decide: () => Effect.succeed(given as Op.Decision) }
          })
          const { outcome } = yield* harness.session.start(asking)
          assert.strictEqual((yield* outcome)._tag, "Failed")
          assert.strictEqual((yield* harness.run("next"))._tag, "TurnCompleted")
          assertReadable(harness.records())
        })
    )
  }
})

describe("an error with a huge message", () => {
  it.effect("S2 is recorded with its beginning, wherever it came from", () =>
    Effect.gen(function* () {
      const huge = Effect.die(new Error("m".repeat(1_000_000)))
      const harness = yield* SessionHarness.make({
        script: () => [ScriptedModel.text("fine")],
        hooks: { stop: () => huge }
      })
      const { outcome } = yield* harness.session.start(Task.make("dies", huge))
      assert.strictEqual((yield* outcome)._tag, "Failed")
      yield* harness.run("next")
      const tags = new Set(harness.tags())
      assert.isTrue(tags.has("TurnFailed") && tags.has("Warning"))
      for (const record of harness.records()) assert.isBelow(RecordCodec.encode(record).length, 100_000, record._tag)
    })
  )
})

describe("numbers that are not finite", () => {
  for (const [name, config, kind] of [
    ["requests", { requestRetries: Infinity, retrySchedule: Schedule.forever }, "ServerError"],
    ["streams", { streamRetries: Infinity, retrySchedule: Schedule.forever }, "Disconnected"]
  ] as const) {
    it.effect(`J1 J3 retries of ${name} without a limit are recorded without one, and can be read back`, () =>
      Effect.gen(function* () {
        const harness = yield* SessionHarness.make({
          config,
          script: (_, index) => (index === 0 ? [ScriptedModel.fail(kind)] : [ScriptedModel.text("done")])
        })
        assert.strictEqual((yield* harness.run("first"))._tag, "TurnCompleted")
        const retrying = harness.records().find((record) => record._tag === "ModelRetrying")
        assert.isDefined(retrying)
        assert.notProperty(retrying, "maxAttempts")
        assertReadable(harness.records())
      })
    )
  }

  it.effect("J1 counts and delays of a task are recorded as the nearest number that JSON has", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script: () => [ScriptedModel.text("done")] })
      const error = new ModelFailed({ kind: "ServerError", provider: "p", model: "m" })
      const own = Task.make(
        "own",
        Effect.gen(function* () {
          const turn = yield* Turn
          yield* turn.sample({ instructions: undefined, tools: [], output: undefined }, NaN, () => Effect.void)
          yield* turn.reportRetry({ attempt: NaN, maxAttempts: 3, delay: Infinity, error })
        })
      )
      const { outcome } = yield* Effect.provide(harness.session.start(own), harness.model.layer)
      assert.strictEqual((yield* outcome)._tag, "Completed")
      assertReadable(harness.records())
    })
  )

  it.effect("J1 in an item of a task are converted, or a defect of the task", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script: () => [ScriptedModel.text("done")] })
      const result = { _tag: "ToolResult", callId: "c" as CallId, name: "own", status: "aborted", output: NaN } as const
      const replaceBy = (more: object) =>
        Effect.flatMap(
          harness.session.start(
            Task.make(
              "own",
              Effect.flatMap(Turn, (turn) => turn.replaceHistory([{ ...result, ...more }]))
            )
          ),
          ({ outcome }) => Effect.map(outcome, ({ _tag }) => _tag)
        )
      const aborted = { reason: "Deadline", afterMillis: Infinity }
      assert.strictEqual(yield* replaceBy({ aborted }), "Completed")
      assert.strictEqual(yield* replaceBy({ detail: { _tag: "Mcp", isError: false, durationMillis: NaN } }), "Failed")
      assert.strictEqual((yield* harness.run("next"))._tag, "TurnCompleted")
      assertReadable(harness.records())
    })
  )

  it.effect("J1 S5 in the detail of a call are a defect of its tool: the turn fails, and the next one runs", () =>
    Effect.gen(function* () {
      const detail = { _tag: "Mcp", isError: false, durationMillis: NaN } as const
      const harness = yield* SessionHarness.make({
        script: (_, index) => (index === 0 ? [ScriptedModel.call("measure", {}, "c")] : [ScriptedModel.text("done")]),
        tools: {
          measure: { run: (_, callId) => Effect.flatMap(Turn, (turn) => turn.detail(callId as CallId, detail)) }
        }
      })
      assert.strictEqual((yield* harness.run("measure"))._tag, "TurnFailed")
      assert.strictEqual((yield* harness.run("next"))._tag, "TurnCompleted")
      assertReadable(harness.records())
      const results = harness
        .records()
        .flatMap((record) => (record._tag === "ItemRecorded" && record.item._tag === "ToolResult" ? [record.item] : []))
      assert.deepStrictEqual(
        results.map(({ detail, status }) => [detail, status]),
        [[undefined, "failed"]]
      )
    })
  )
})

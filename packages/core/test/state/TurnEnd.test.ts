import { assert, describe, it } from "@effect/vitest"
import type {
  CallId,
  ItemId,
  ModelRequestId,
  ProcessId,
  QuestionId,
  SessionId,
  SubmissionId,
  TurnId
} from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import { AbortReason } from "@spindle/core/Outcome"
import type { KnownRecord, NewRecord } from "@spindle/core/SessionEvent"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import * as SessionState from "@spindle/core/SessionState"
import * as TokenUsage from "@spindle/core/TokenUsage"
import { Effect } from "effect"
import * as TurnEnd from "../../src/state/TurnEnd.ts"

const turnId = "t1" as TurnId
const requestId = "m1" as ModelRequestId
const usage = { input: 10, cachedInput: 0, output: 5, reasoning: 0, total: 15 }
const live: TurnEnd.LiveTurn = { now: 5_000, usage: { usage }, callOf: () => undefined }

const numbered = (state: SessionState.SessionState, record: NewRecord): KnownRecord =>
  ({ ...record, seq: state.seq, at: 0 }) as KnownRecord

const after = (state: SessionState.SessionState, ...records: ReadonlyArray<NewRecord>): SessionState.SessionState =>
  records.reduce((before, record) => SessionState.apply(before, numbered(before, record)), state)

const started = after(
  SessionState.empty,
  { _tag: "SessionStarted", sessionId: "s1" as SessionId, meta: {} },
  { _tag: "InputAccepted", submissionId: "i1" as SubmissionId, input: Input.text("go"), delivery: "steer" },
  { _tag: "TurnStarted", turnId, kind: "regular", submissionId: "i1" as SubmissionId }
)

const call = (callId: string): NewRecord => ({
  _tag: "ItemRecorded",
  turnId,
  item: { _tag: "ToolCall", id: `2.${callId}` as ItemId, callId: callId as CallId, name: "shell", params: {} }
})

/** A turn with everything that can be open in one. */
const open = after(
  started,
  { _tag: "ItemRecorded", turnId, item: { _tag: "AssistantMessage", id: "2.0" as ItemId, text: "Looking." } },
  { _tag: "ModelRequested", turnId, requestId, attempt: 1, provider: "own", model: "m" },
  call("c1"),
  call("c2"),
  { _tag: "QuestionOpened", turnId, questionId: "q1" as QuestionId, kind: "command", payload: {}, path: [] },
  { _tag: "InputAccepted", submissionId: "i2" as SubmissionId, input: Input.text("and"), delivery: "steer", turnId },
  { _tag: "InputAccepted", submissionId: "i3" as SubmissionId, input: Input.text("then"), delivery: "queue" }
)

const aborted = (reason: AbortReason): Extract<TurnEnd.TurnEnd, { readonly _tag: "Aborted" }> => ({
  _tag: "Aborted",
  reason,
  requestedAt: 4_000,
  stragglers: [],
  keptProcesses: [],
  policy: SessionPolicy.contract,
  live
})

const ends: ReadonlyArray<TurnEnd.TurnEnd> = [
  { _tag: "Completed", lastMessage: undefined, live },
  { _tag: "Failed", error: { tag: "Bug", message: "it broke" }, live },
  ...AbortReason.literals.map(aborted),
  { _tag: "Crashed", now: 5_000 }
]

const tagged = <Tag extends NewRecord["_tag"]>(records: ReadonlyArray<NewRecord>, tag: Tag) =>
  records.filter((record): record is Extract<NewRecord, { readonly _tag: Tag }> => record._tag === tag)

const markers = (records: ReadonlyArray<NewRecord>): ReadonlyArray<string> =>
  tagged(records, "ItemRecorded").flatMap(({ item }) =>
    item._tag === "UserMessage" && item.fragment === "turn_aborted" ? Input.textOf(item.content) : []
  )

const outputs = (records: ReadonlyArray<NewRecord>): ReadonlyArray<unknown> =>
  tagged(records, "ItemRecorded").flatMap(({ item }) =>
    item._tag === "ToolResult" ? [[item.status, item.output]] : []
  )

describe("the records that end a turn", () => {
  it.effect(
    "S2 I6 I7 close everything that is open, however the turn ended, and keep the invariants of the state",
    () =>
      Effect.sync(() => {
        for (const end of ends) {
          // the owner of a live turn has settled its questions
          const before =
            end._tag === "Crashed"
              ? open
              : after(open, {
                  _tag: "QuestionSettled",
                  turnId,
                  questionId: "q1" as QuestionId,
                  decision: { _tag: "Cancelled", by: "end" }
                })
          let state = before
          for (const record of TurnEnd.records(before, end)) {
            assert.isUndefined(SessionState.violation(state, numbered(state, record)), `${end._tag} ${record._tag}`)
            state = after(state, record)
          }
          assert.isUndefined(state.turn, end._tag)
        }
      })
  )

  it.effect("are none if no turn is open", () =>
    Effect.sync(() => {
      for (const end of ends) assert.deepStrictEqual(TurnEnd.records(SessionState.empty, end), [])
    })
  )

  it.effect("I7 count the request that was open in the usage of the turn", () =>
    Effect.sync(() => {
      const [responded] = tagged(TurnEnd.records(open, aborted("Interrupted")), "ModelResponded")
      assert.deepStrictEqual([responded?.finish, responded?.usage], ["aborted", usage])
      const [terminal] = tagged(TurnEnd.records(open, aborted("Interrupted")), "TurnAborted")
      assert.deepStrictEqual(terminal?.usage, TokenUsage.add(open.turn!.usage, usage))
    })
  )

  it.effect("I6 give a call the result of its handler, or else say why it has none", () =>
    Effect.sync(() => {
      const callOf = (callId: CallId): TurnEnd.LiveCall => ({
        startedAt: 2_000,
        detail: undefined,
        result: callId === "c1" ? { status: "completed", output: "done" } : undefined
      })
      const seen = (end: TurnEnd.TurnEnd) => outputs(TurnEnd.records(open, end))
      const known = { ...live, callOf }
      assert.deepStrictEqual(seen({ ...aborted("Deadline"), live: known }), [
        ["completed", "done"],
        ["aborted", "Wall time: 3.0 seconds\naborted: the deadline passed"]
      ])
      assert.deepStrictEqual(seen({ _tag: "Completed", lastMessage: undefined, live: known })[1], [
        "failed",
        "The turn ended before this call did."
      ])
      const crashed = seen({ _tag: "Crashed", now: 0 })
      assert.deepStrictEqual(
        crashed.map((one) => (one as ReadonlyArray<unknown>)[0]),
        ["unknown", "unknown"]
      )
    })
  )

  it.effect("I5 inform the model of an abort, and of a crash in other words than of a stop by the user", () =>
    Effect.sync(() => {
      assert.match(markers(TurnEnd.records(open, aborted("Interrupted")))[0]!, /The user stopped the previous turn\./)
      const [crashed] = markers(TurnEnd.records(open, { _tag: "Crashed", now: 0 }))
      assert.match(crashed!, /The program was killed during the previous turn\./)
      assert.notInclude(crashed!, "user")
      // nothing was produced yet
      assert.deepStrictEqual(markers(TurnEnd.records(started, aborted("Replaced"))), [])
      assert.lengthOf(markers(TurnEnd.records(started, aborted("Interrupted"))), 1)
    })
  )

  it.effect("I5 name the task of a client that recorded no item, and no other", () =>
    Effect.sync(() => {
      const task = { kind: "user_shell", params: { command: "make" }, mode: "queue" } as const
      const submissionId = "i1" as SubmissionId
      const running = after(
        SessionState.empty,
        { _tag: "SessionStarted", sessionId: "s1" as SessionId, meta: {} },
        { _tag: "InputAccepted", submissionId, input: [], delivery: "queue", task },
        { _tag: "TurnStarted", turnId, kind: "user_shell", submissionId, carried: true }
      )
      const named = 'It ran the task user_shell {"command":"make"}, which reported no result.'
      const crash = { _tag: "Crashed", now: 0 } as const
      for (const end of [crash, aborted("Interrupted")]) {
        assert.include(markers(TurnEnd.records(running, end))[0], named)
        assert.notInclude(markers(TurnEnd.records(started, end))[0], "task")
      }
      const item = {
        _tag: "UserMessage",
        id: "2.0" as ItemId,
        content: Input.text("done"),
        fragment: "report"
      } as const
      const reported = after(running, { _tag: "ItemRecorded", turnId, item })
      assert.notInclude(markers(TurnEnd.records(reported, crash))[0], "task")
    })
  )

  it.effect("I5 write one marker if the program was killed after an abort had written it", () =>
    Effect.sync(() => {
      const marker = TurnEnd.records(open, aborted("Interrupted")).filter(
        (record) => record._tag === "ItemRecorded" && record.item._tag === "UserMessage"
      )
      assert.lengthOf(marker, 1)
      assert.deepStrictEqual(markers(TurnEnd.records(after(open, ...marker), { _tag: "Crashed", now: 0 })), [])
    })
  )

  it.effect("X1 name the kept processes that have not ended, and no other", () =>
    Effect.sync(() => {
      const process = (id: string): NewRecord => ({
        _tag: "ProcessStarted",
        processId: id as ProcessId,
        turnId,
        command: ["sleep"],
        cwd: "/",
        keep: true
      })
      const running = after(open, process("p1"), process("p2"), {
        _tag: "ProcessEnded",
        processId: "p1" as ProcessId,
        exitCode: 0
      })
      const keptProcesses = [
        { processId: "p1" as ProcessId, name: "ended" },
        { processId: "p2" as ProcessId, name: "alive" }
      ]
      const records = TurnEnd.records(running, { ...aborted("Interrupted"), keptProcesses })
      assert.deepStrictEqual<unknown>(tagged(records, "TurnAborted")[0]?.keptProcesses, ["p2"])
      assert.match(markers(records)[0]!, /Still running: alive\./)
    })
  )

  it.effect("P2 name each input that was not carried once, whatever the reason", () =>
    Effect.sync(() => {
      const fates = (reason: AbortReason, policy = SessionPolicy.contract) => {
        const records = TurnEnd.records(open, { ...aborted(reason), policy })
        const { dropped, kept, returned } = tagged(records, "TurnAborted")[0]!
        return { returned: returned.map(({ submissionId }): string => submissionId), kept, dropped }
      }
      assert.deepStrictEqual<unknown>(fates("Interrupted"), { returned: ["i1", "i2"], kept: ["i3"], dropped: [] })
      assert.deepStrictEqual<unknown>(fates("Interrupted", SessionPolicy.reference), {
        returned: [],
        kept: ["i3"],
        dropped: ["i1", "i2"]
      })
      assert.deepStrictEqual<unknown>(fates("Replaced"), { returned: [], kept: ["i1", "i2", "i3"], dropped: [] })
      assert.deepStrictEqual<unknown>(fates("Parent"), { returned: [], kept: [], dropped: ["i1", "i2", "i3"] })
    })
  )
})

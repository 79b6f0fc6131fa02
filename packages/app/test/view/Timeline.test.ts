import { assert, describe, it } from "@effect/vitest"
import type { CallDetail, CallDisplay } from "@spindle/core/Display"
import {
  CallId,
  ItemId,
  ModelRequestId,
  ProcessId,
  QuestionId,
  SessionId,
  SubmissionId,
  TurnId
} from "@spindle/core/Ids"
import type { ToolStatus } from "@spindle/core/Item"
import type { KnownRecord, NewRecord } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Timeline from "@spindle/app/Timeline"
import * as TimelinePage from "@spindle/app/TimelinePage"
import { Effect } from "effect"
import { session, traceId } from "../fixtures/timelineSession.ts"

const root = SessionId.make("root")
const child = SessionId.make("child")
const turnId = TurnId.make("turn")
const question = { _tag: "QuestionOpened", turnId, kind: "command", tool: "exec_command", payload: {} } as const

describe("a timeline", () => {
  it.effect("has the turns of a journal with their bars, and the start, end and status of each", () =>
    Effect.gen(function* () {
      const { records, sessionId } = yield* session
      const { turns, usage } = Timeline.make(sessionId, records)
      assert.deepStrictEqual(
        turns.map(({ at, endedAt, kind, number, outcome, reason }) => [number, kind, outcome, reason, endedAt! - at]),
        [
          [1, "regular", "completed", undefined, 2_500],
          [2, "regular", "failed", "ModelFailed: scripted Unauthorized", 0],
          [3, "regular", "aborted", "Interrupted", 0]
        ]
      )
      const [first, , third] = turns
      assert.strictEqual(first!.traceId, traceId)
      assert.deepStrictEqual(
        Timeline.nest(first!.bars).map(({ bar, depth }) => [
          depth,
          bar.kind,
          bar.name,
          bar.status,
          bar.at - first!.at,
          bar.endedAt! - bar.at
        ]),
        [
          [0, "model", "scripted", "tool-calls", 0, 0],
          [0, "tool", "run", "completed", 0, 2_500],
          [1, "approval", "command", "approved", 0, 2_000],
          [1, "process", "500", "exit 0", 2_000, 500],
          [0, "model", "scripted", "stop", 2_500, 0]
        ]
      )
      assert.deepStrictEqual(
        third!.bars.map(({ kind, mood, status }) => [kind, status, mood]),
        [
          ["model", "aborted", "stopped"],
          ["tool", "aborted", "stopped"],
          ["approval", "cancelled", "stopped"]
        ]
      )
      assert.deepStrictEqual(
        third!.marks.map(({ kind, text }) => [kind, text]),
        [
          ["steer", "faster"],
          ["abort", "asked to stop: Interrupted"]
        ]
      )
      assert.strictEqual(
        usage.total,
        turns.reduce((sum, turn) => sum + turn.usage.total, 0)
      )
    })
  )

  it.effect("of a journal that breaks off has open bars without an end", () =>
    Effect.gen(function* () {
      const { records, sessionId } = yield* session
      const cut = records.findIndex((record) => record._tag === "ProcessStarted") + 1
      const [turn] = Timeline.make(sessionId, records.slice(0, cut)).turns
      assert.deepStrictEqual([turn!.outcome, turn!.endedAt], ["open", undefined])
      assert.deepStrictEqual(
        turn!.bars.map(({ endedAt, kind, status }) => [kind, status, endedAt === undefined]),
        [
          ["model", "tool-calls", false],
          ["tool", "open", true],
          ["approval", "approved", false],
          ["process", "open", true]
        ]
      )
    })
  )

  it("names the delegate that asks, and for a deeper one the delegate above it", () => {
    const records: ReadonlyArray<NewRecord> = [
      { _tag: "TurnStarted", turnId, kind: "regular" },
      { _tag: "DelegateStarted", turnId, delegateId: child, name: "Ada", linked: true, depth: 1 },
      { ...question, questionId: QuestionId.make("own"), path: [root] },
      { ...question, questionId: QuestionId.make("of the child"), path: [root, child] },
      { ...question, questionId: QuestionId.make("below it"), path: [root, child, SessionId.make("grandchild")] }
    ]
    const { turns } = Timeline.make(
      root,
      records.map((record, seq): KnownRecord => ({ seq, at: seq, ...record }))
    )
    assert.deepStrictEqual(
      turns[0]!.bars.map(({ name }) => name),
      ["Ada", "command", "command (Ada)", "command (Ada)"]
    )
  })

  it("of an empty journal is empty", () => {
    const { notes, turns } = Timeline.make("none" as SessionId, [])
    assert.deepStrictEqual([turns, notes], [[], []])
  })
})

describe("the events of a timeline", () => {
  const submissionId = SubmissionId.make("submission")
  const started: NewRecord = { _tag: "TurnStarted", turnId, kind: "regular" }
  const done: NewRecord = { _tag: "TurnCompleted", turnId, usage: TokenUsage.zero }
  const withdrawn: NewRecord = { _tag: "InputWithdrawn", submissionId, by: SubmissionId.make("another") }
  const make = (...records: ReadonlyArray<NewRecord>) =>
    Timeline.make(
      root,
      records.map((record, seq): KnownRecord => ({ seq, at: seq, ...record }))
    )
  const marksOf = (...records: ReadonlyArray<NewRecord>) =>
    make(...records).turns.flatMap(({ marks }) => marks.map(({ kind, text }) => `${kind}: ${text}`))
  const notesOf = (...records: ReadonlyArray<NewRecord>) =>
    make(...records).notes.map(({ afterTurns, text }) => [afterTurns, text])

  it("name input that was blocked or withdrawn, in the turn or between turns", () => {
    const blocked: NewRecord = { _tag: "InputBlocked", turnId, submissionId, reason: "it has a password" }
    assert.deepStrictEqual(marksOf(started, blocked, withdrawn, done), [
      "info: the input was not accepted: it has a password",
      "info: input was withdrawn"
    ])
    assert.deepStrictEqual(notesOf({ _tag: "InputBlocked", submissionId }, started, done, withdrawn), [
      [0, "the input was not accepted"],
      [1, "input was withdrawn"]
    ])
  })

  it("have the text of a task note, if it has one", () => {
    const note: NewRecord = { _tag: "TaskNote", turnId, name: "review.entered", data: null }
    assert.deepStrictEqual(marksOf(started, note, { ...note, message: "reviewing main" }), ["info: reviewing main"])
  })

  it("have retries, warnings and stragglers in the words of the thread", () => {
    const retrying: NewRecord = {
      _tag: "ModelRetrying",
      turnId,
      requestId: ModelRequestId.make("request"),
      attempt: 1,
      maxAttempts: 5,
      delayMillis: 200,
      kind: "Disconnected",
      detail: "stream broke"
    }
    const straggler: NewRecord = {
      _tag: "StragglerEnded",
      straggler: { kind: "process", name: "npm test" },
      ofTurn: turnId,
      afterMillis: 1_500
    }
    const next: NewRecord = { ...started, turnId: TurnId.make("next") }
    const warning: NewRecord = { _tag: "Warning", message: "late" }
    assert.deepStrictEqual(make(started, retrying, warning, done, next, straggler).turns[0]!.marks, [
      { at: 1, kind: "retry", text: "stream broke; trying again in 200 ms (1/5)" },
      { at: 2, kind: "warning", text: "late" },
      { at: 5, kind: "straggler", text: "npm test has stopped after 1.5 s" }
    ])
    assert.deepStrictEqual(notesOf(warning), [[0, "late"]])
  })

  it("say in correct English what was wrong with the journal, next to the turn that it cut off", () => {
    const damage = { bytes: 0, missingCount: 1 }
    const resumed: NewRecord = { _tag: "SessionResumed", cutBytes: 7, cutFile: "cut", damage }
    assert.deepStrictEqual(notesOf(started, resumed), [
      [1, "resumed"],
      [1, "the journal is damaged: 1 record is missing; the journal was damaged: its last 7 bytes are kept in cut"]
    ])
    assert.deepStrictEqual(marksOf(started, resumed), [])
    assert.deepStrictEqual(notesOf({ _tag: "RolledBack", submissionId, turns: 1 }), [
      [0, "the last turn was taken back"]
    ])
  })

  it("name the title of the session, which is the last that it was given", () => {
    const prompt: NewRecord = {
      _tag: "ItemRecorded",
      turnId,
      item: { _tag: "UserMessage", id: ItemId.make("item"), content: [{ _tag: "Text", text: "Repair the test" }] }
    }
    const renamed = (title: string): NewRecord => ({ _tag: "SessionRenamed", title })
    const titleOf = (...records: ReadonlyArray<NewRecord>) => make(...records).title
    assert.strictEqual(titleOf(renamed("Tests"), started, prompt, done), "Tests")
    assert.strictEqual(titleOf(started, prompt, renamed("Tests"), renamed("More tests")), "More tests")
    // without a title it has that of its first prompt
    assert.strictEqual(titleOf(renamed("Tests"), started, prompt, renamed("")), "Repair the test")
    assert.deepStrictEqual(marksOf(started, renamed("Tests")), ["info: the session is called Tests"])
  })
})

describe("tool calls in a timeline", () => {
  const at = (records: ReadonlyArray<NewRecord>) =>
    Timeline.make(
      root,
      records.map((record, seq): KnownRecord => ({ seq, at: seq * 100, ...record }))
    )
  const id = ItemId.make("item")
  const callId = CallId.make("call")
  const change = { path: "src/a.ts", change: "update", diff: "@@ -1 +1 @@\n-old\n+new" } as const

  /** The bar of one call with its result. */
  const barOf = (display: CallDisplay | undefined, came: CallDetail | undefined, status: ToolStatus = "completed") => {
    const { turns } = at([
      { _tag: "TurnStarted", turnId, kind: "regular" },
      { _tag: "DelegateStarted", turnId, delegateId: child, name: "Ada", linked: true, depth: 1 },
      {
        _tag: "ItemRecorded",
        turnId,
        item: {
          _tag: "ToolCall",
          id,
          callId,
          name: "any_name",
          params: { some: "argument" },
          ...(display === undefined ? {} : { display })
        }
      },
      {
        _tag: "ItemRecorded",
        turnId,
        item: {
          _tag: "ToolResult",
          id,
          callId,
          name: "any_name",
          status,
          output: "the text for the model: exit code 77",
          ...(came === undefined ? {} : { detail: came })
        }
      }
    ])
    const { details, mood, name, status: word } = turns[0]!.bars[1]!
    return { name, word, mood, details: Object.fromEntries(details.map((one) => [one.name, one.value])) }
  }

  const command = (came: Partial<Extract<CallDetail, { readonly _tag: "Command" }>>, status?: ToolStatus) => {
    const { details, mood, name, word } = barOf(
      { _tag: "Command", command: "npm test", cwd: "/work" },
      { _tag: "Command", exitCode: 0, durationMillis: 800, output: "out", ...came },
      status
    )
    assert.strictEqual(name, "npm test")
    assert.deepStrictEqual([details["directory"], details["output"]], ["/work", "out"])
    return [word, mood]
  }

  it("show a command with how it ended, from its record and not from its text", () => {
    const processId = ProcessId.make("process")
    assert.deepStrictEqual(command({}), ["exit 0", "good"])
    assert.deepStrictEqual(command({ exitCode: 2 }), ["exit 2", "bad"])
    assert.deepStrictEqual(command({ exitCode: 137 }), ["exit 137 (SIGKILL)", "bad"])
    assert.deepStrictEqual(command({ exitCode: 255 }), ["exit 255", "bad"])
    assert.deepStrictEqual(command({ exitCode: null, signal: "SIGKILL" }), ["killed by SIGKILL", "bad"])
    assert.deepStrictEqual(command({ exitCode: null, timedOut: true }), ["timed out after 800 ms", "bad"])
    assert.deepStrictEqual(command({ exitCode: null }), ["completed", "good"])
    assert.deepStrictEqual(command({ exitCode: null, processId: processId }), ["in the background", "good"])
    assert.deepStrictEqual(command({ exitCode: null, processId: processId, signal: "SIGTERM" }), [
      "killed by SIGTERM",
      "bad"
    ])
    assert.deepStrictEqual(command({ exitCode: null, signal: "SIGTERM" }, "aborted"), ["aborted", "stopped"])
  })

  it("show a patch as diffs: those that were made, else those that were proposed", () => {
    const display: CallDisplay = { _tag: "Patch", changes: [change] }
    const made = { path: "b.ts", change: "update", movePath: "c.ts", diff: "+made" } as const
    const applied = barOf(display, { _tag: "Patch", changes: [made] })
    assert.strictEqual(applied.name, "patch src/a.ts")
    assert.deepStrictEqual(applied.details, { tool: "any_name", "update b.ts → c.ts": "+made" })
    const refused = barOf(display, { _tag: "Patch", changes: [] }, "denied")
    assert.strictEqual(refused.details["update src/a.ts"], change.diff)
    assert.deepStrictEqual([refused.word, refused.mood], ["denied", "bad"])
  })

  it("show agents by their names", () => {
    const { details, name, word } = barOf(
      { _tag: "Agent", operation: "wait", targets: [child] },
      { _tag: "Agent", agents: [{ agentId: child, name: "Ada", status: "running", message: "soon" }], timedOut: true }
    )
    assert.deepStrictEqual([name, word, details["agent Ada"]], ["wait Ada", "timed out", "running: soon"])
  })

  it("show what other tools state about their calls", () => {
    const nameOf = (display: CallDisplay) => barOf(display, undefined).name
    assert.strictEqual(nameOf({ _tag: "Mcp", server: "files", tool: "read" }), "files: read")
    assert.strictEqual(nameOf({ _tag: "Search", query: "spindle" }), "search spindle")
    assert.strictEqual(nameOf({ _tag: "Read", path: "a.ts" }), "read a.ts")
    assert.strictEqual(nameOf({ _tag: "Image", path: "a.png" }), "image a.png")
    assert.strictEqual(nameOf({ _tag: "Other", title: "A title" }), "A title")
    const plan = barOf({ _tag: "Plan", steps: [{ step: "look", status: "completed" }] }, undefined)
    assert.deepStrictEqual([plan.name, plan.details["steps"]], ["plan", "[x] look"])
    const failed = barOf(
      { _tag: "Mcp", server: "files", tool: "read" },
      { _tag: "Mcp", isError: true, durationMillis: 5 }
    )
    assert.deepStrictEqual([failed.word, failed.mood], ["failed", "bad"])
  })

  it("show name, arguments and result of a call that states nothing", () => {
    const { details, name, word } = barOf(undefined, undefined)
    assert.deepStrictEqual([name, word], ["any_name", "completed"])
    assert.include(details["arguments"], '"some": "argument"')
    assert.include(details["result"], "the text for the model")
  })

  it("are on the page as diffs whose lines are coloured and escaped", () => {
    const html = TimelinePage.render(
      at([
        { _tag: "TurnStarted", turnId, kind: "regular" },
        {
          _tag: "ItemRecorded",
          turnId,
          item: {
            _tag: "ToolCall",
            id,
            callId,
            name: "any_name",
            params: {},
            display: { _tag: "Patch", changes: [{ ...change, diff: "@@ -1 +1 @@\n-<b>\n+<i>" }] }
          }
        }
      ])
    )
    assert.include(
      html,
      '<pre class="diff"><span class="hunk">@@ -1 +1 @@</span><span class="remove">-&#60;b&#62;</span><span class="add">+&#60;i&#62;</span></pre>'
    )
  })
})

/** The schemas of everything that crosses the wire or is written to disk. */
import { assert, describe, it } from "@effect/vitest"
import * as Display from "@spindle/core/Display"
import * as Input from "@spindle/core/Input"
import * as Item from "@spindle/core/Item"
import { JournalEntry } from "@spindle/core/JournalEntry"
import * as Op from "@spindle/core/Op"
import { Question } from "@spindle/core/Question"
import * as SessionEvent from "@spindle/core/SessionEvent"
import { Snapshot } from "@spindle/core/Snapshot"
import { TokenUsage } from "@spindle/core/TokenUsage"
import { TraceContext } from "@spindle/core/TraceContext"
import { TurnContext } from "@spindle/core/TurnContext"
import { Schema } from "effect"

const named: { readonly [name: string]: Schema.Top } = {
  SessionEvent: SessionEvent.SessionEvent,
  JournalRecord: SessionEvent.JournalRecord,
  KnownRecord: SessionEvent.KnownRecord,
  Delta: SessionEvent.Delta,
  SessionFailed: SessionEvent.SessionFailed,
  Straggler: SessionEvent.Straggler,
  Snapshot,
  Question,
  JournalEntry,
  TokenUsage,
  TraceContext,
  TurnContext,
  Op: Op.Op,
  Submission: Op.Submission,
  Receipt: Op.Receipt,
  Rejection: Op.Rejection,
  Decision: Op.Decision,
  Item: Item.Item,
  Input: Input.Input,
  InputPart: Input.InputPart,
  CallDisplay: Display.CallDisplay,
  CallDetail: Display.CallDetail
}
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
const identifierOf = (schema: Schema.Top) => Schema.resolveAnnotations(schema)?.["identifier"]
const unions = [
  SessionEvent.SessionEvent,
  Op.Op,
  Op.Receipt,
  Op.Rejection,
  Op.Decision,
  Item.Item,
  Input.InputPart,
  Display.CallDisplay,
  Display.CallDetail
]

describe("schemas of the wire and the disk", () => {
  it("W2 have an identifier each, and so have the members of their unions; no two are the same", () => {
    for (const [name, schema] of Object.entries(named)) assert.strictEqual(identifierOf(schema), name)
    const members = unions.flatMap((union) => union.members.map(identifierOf))
    for (const identifier of members) assert.isString(identifier)
    assert.strictEqual(new Set(members).size, members.length)
  })

  it.prop("W2 every event is read back from JSON as the same event", [SessionEvent.SessionEvent], ([event]) => {
    const sent = asJson(event)
    assert.deepStrictEqual(asJson(Schema.decodeUnknownSync(SessionEvent.SessionEvent)(sent)), sent)
  })

  it("P1 a submission and its receipt pass through JSON", () => {
    const submission = { id: "s", op: { _tag: "UserInput", input: [{ _tag: "Text", text: "hi" }] } }
    assert.deepStrictEqual({ ...Schema.decodeUnknownSync(Op.Submission)(submission) } as unknown, submission)
    assert.throws(() => Schema.decodeUnknownSync(Op.Submission)({ ...submission, op: { _tag: "Dance" } }))
    const receipt = { _tag: "Rejected", submissionId: "s", reason: { _tag: "SessionClosed" } }
    assert.deepStrictEqual(Schema.decodeUnknownSync(Op.Receipt)(receipt) as unknown, receipt)
  })

  it("W2 a snapshot and a question pass through JSON, whether or not a turn runs", () => {
    const snapshot = {
      sessionId: "s",
      seq: 1,
      status: "idle",
      turnId: undefined,
      items: [],
      waiting: [],
      usage: { input: 0, cachedInput: 0, output: 0, reasoning: 0, total: 0 },
      turnCount: 0
    }
    const { turnId: _, ...sent } = snapshot
    assert.deepStrictEqual(Schema.decodeUnknownSync(Snapshot)(JSON.parse(JSON.stringify(snapshot))) as unknown, sent)
    assert.isTrue(Schema.is(Snapshot)(snapshot))
    const question = { sessionId: "s", questionId: "q", kind: "command", payload: { command: "ls" }, path: ["s"] }
    assert.deepStrictEqual(Schema.decodeUnknownSync(Question)(question) as unknown, question)
  })
})

describe("toFinite", () => {
  it.prop("J1 leaves numbers of JSON alone, and gives others the nearest one", [Schema.Number], ([value]) => {
    const finite = Item.toFinite(value)
    assert.isTrue(Number.isFinite(finite))
    if (Number.isFinite(value)) assert.strictEqual(finite, value)
  })
  it("J1 gives NaN and the infinities a number", () => {
    assert.deepStrictEqual([NaN, Infinity, -Infinity].map(Item.toFinite), [0, Number.MAX_VALUE, -Number.MAX_VALUE])
  })
})

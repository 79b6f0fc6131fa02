/** Starts a delegate as a copy of its parent (contract J4). */
import { Journal } from "@spindle/core/Journal"
import type { ItemId, SessionId } from "@spindle/core/Ids"
import type { KnownRecord, NewRecord, JournalRecord } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as SessionState from "@spindle/core/SessionState"
import * as Effect from "effect/Effect"

/** The text that the copy reads as the result of each open call, including the call that started it. */
export const defaultNote =
  "You are the new delegate that this call started. The messages above are the history of the agent that started you. Treat them as background. Work on the input that follows."

/** The session to copy, and the options of the copy. */
export interface ForkOptions {
  readonly delegateId: SessionId
  readonly source: SessionId
  readonly meta: { readonly [key: string]: string }
  readonly note: string | undefined
}

/**
 * Returns the records of the parent up to now as the beginning of another session: with its own first record, without
 * the input that waits for the parent, and with the running turn completed as if everything open in it had been
 * answered.
 */
export const records = (parent: ReadonlyArray<JournalRecord>, options: ForkOptions): ReadonlyArray<JournalRecord> => {
  const { delegateId, meta, note, source } = options
  const copy: Array<JournalRecord> = []
  let state = SessionState.empty
  const add = (record: JournalRecord) => {
    copy.push(record)
    state = SessionState.apply(state, record)
  }
  for (const record of parent) {
    add(record._tag === "SessionStarted" ? { ...record, sessionId: delegateId, forkedFrom: source, meta } : record)
  }
  const at = parent.at(-1)?.at ?? 0
  const append = (record: NewRecord) => add({ ...record, seq: state.seq, at } as KnownRecord)
  const { questions, turn } = state
  for (const { questionId } of questions) {
    append({ _tag: "QuestionSettled", questionId, decision: { _tag: "Cancelled", by: "end" } })
  }
  if (turn === undefined) return copy
  const { turnId } = turn
  for (const { questionId } of turn.questions) {
    append({ _tag: "QuestionSettled", turnId, questionId, decision: { _tag: "Cancelled", by: "end" } })
  }
  if (turn.modelRequest !== undefined) {
    const requestId = turn.modelRequest
    append({ _tag: "ModelResponded", turnId, requestId, finish: "tool-calls", usage: TokenUsage.zero, estimated: true })
  }
  for (const { callId, name } of turn.openCalls) {
    const id = `${turn.startSeq}.${state.turn!.itemCount}f` as ItemId
    const output = note ?? defaultNote
    append({
      _tag: "ItemRecorded",
      turnId,
      item: { _tag: "ToolResult", id, callId, name, status: "completed", output }
    })
  }
  for (const { submissionId } of state.inbox) {
    append({ _tag: "InputBlocked", turnId, submissionId, reason: "it waits for the agent that this is a copy of" })
  }
  append({ _tag: "TurnCompleted", turnId, usage: state.turn!.usage })
  return copy
}

/** Writes the journal that the session of the copy is opened from. */
export const write = Effect.fnUntraced(function* (options: ForkOptions) {
  const journal = yield* Journal
  const parent = yield* journal.load(options.source)
  yield* Effect.scoped(
    Effect.flatMap(journal.open(options.delegateId, "create"), (writer) =>
      writer.append(records(parent.records, options))
    )
  )
})

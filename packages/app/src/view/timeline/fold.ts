/**
 * The fold of `Timeline`: one pass over the records, which changes its own state. Calls and messages are those of the
 * thread of the session.
 */
import type { SessionId } from "@spindle/core/Ids"
import { textOf } from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import type { JournalRecord, KnownRecord, QuestionOpened, QuestionSettled, Terminal } from "@spindle/core/SessionEvent"
import { titleIn } from "@spindle/core/SessionState"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Thread from "../Thread.ts"
import { type CallItem, describeExit, type ThreadItem } from "../ThreadItem.ts"
import * as Calls from "./calls.ts"
import { detail } from "./calls.ts"
import { duration } from "./durations.ts"
import type { Bar, Detail, Mark, Message, Note, TurnLane } from "./model.ts"

/** The state of the fold. */
export interface State {
  /** The title that a person or a program gave to the session. */
  title: string | undefined
  /** The first line of the first prompt. */
  firstPrompt: string | undefined
  meta: { readonly [key: string]: string }
  readonly turns: Array<TurnDraft>
  agentTokens: number
  readonly notes: Array<Note>
  /** The bars that have not ended, by their id. */
  readonly open: Map<string, BarDraft>
  /** The names of the tools of the open calls. */
  readonly tools: Map<string, string>
  thread: Thread.Thread
}

interface TurnDraft extends Omit<Draft<TurnLane>, "bars" | "marks" | "messages"> {
  readonly bars: Array<BarDraft>
  readonly marks: Array<Mark>
  readonly messages: Array<Message>
}

type BarDraft = Draft<Bar>
type Draft<A> = { -readonly [K in keyof A]: A[K] }

/** The state before the first record. */
export const initial = (sessionId: SessionId): State => ({
  title: undefined,
  firstPrompt: undefined,
  meta: {},
  turns: [],
  agentTokens: 0,
  notes: [],
  open: new Map(),
  tools: new Map(),
  thread: Thread.initial({ sessionId, cwd: "/" })
})

/** Applies a record. */
export const step = (state: State, record: JournalRecord): void => {
  const [thread, changes] = Thread.step(state.thread, record)
  state.thread = thread
  applyRecord(state, record)
  for (const change of changes) applyChange(state, record, change)
}

/** Applies the part of a record that is no change of the thread. */
const applyRecord = (state: State, record: JournalRecord): void => {
  switch (record._tag) {
    case "SessionStarted":
      state.meta = record.meta
      state.thread = { ...state.thread, cwd: record.meta["cwd"] ?? state.thread.cwd }
      if (record.forkedFrom !== undefined) addNote(state, record.at, `forked from ${record.forkedFrom}`)
      return
    case "SessionResumed":
      return addNote(state, record.at, "resumed")
    case "SessionRenamed":
      state.title = titleIn(record)
      return
    case "TurnStarted":
      return startTurn(state, record)
    case "ItemRecorded": {
      const { item } = record
      if (item._tag === "ToolCall") state.tools.set(item.callId, item.name)
      // an item that is in the history and in no thread
      const text = scaffoldingOf(item)
      return text === undefined ? undefined : addMessage(state, { at: record.at, by: "developer", text })
    }
    case "InputAccepted":
      return record.turnId === undefined
        ? undefined
        : addMark(state, { at: record.at, kind: "steer", text: record.task?.kind ?? textOf(record.input) })
    default:
      return recordWork(state, record)
  }
}

const applyChange = (state: State, record: JournalRecord, change: Thread.Change): void => {
  switch (change._tag) {
    case "ItemStarted":
      return isCall(change.item) ? startCall(state, change.item) : undefined
    case "ItemCompleted": {
      const { end, item } = change
      if (end !== undefined) return endCall(state, item as CallItem, end)
      if (item.type === "warning" || item.type === "error") {
        return addEvent(state, record, { kind: "warning", text: item.message })
      }
      return addMessage(state, messageOf(item, record.at))
    }
    case "QuestionOpened":
      return startQuestion(state, change.question)
    case "QuestionSettled":
      return endQuestion(state, change.settled)
    case "Retrying":
      return addMark(state, { at: record.at, kind: "retry", text: Thread.retryText(change.retry, duration) })
    case "TaskNoted":
      if (change.note.message === undefined) return
      return addEvent(state, record, { kind: "info", text: change.note.message })
    case "Noted":
      return addEvent(state, record, {
        kind: record._tag === "StragglerEnded" ? "straggler" : "info",
        text: change.message
      })
    case "TurnEnded":
      return endTurn(state, change.end)
    default:
      return undefined
  }
}

/** Adds a mark to the turn that a record is about. Without such a turn it adds a note. */
const addEvent = (state: State, record: JournalRecord, mark: Omit<Mark, "at">): void => {
  const turn = turnOf(state, record)
  if (turn === undefined) addNote(state, record.at, mark.text)
  else turn.marks.push({ at: record.at, ...mark })
}

const turnOf = ({ thread, turns }: State, record: JournalRecord): TurnDraft | undefined => {
  if (record._tag === "StragglerEnded") return turns.findLast(({ turnId }) => turnId === record.ofTurn)
  // a turn that was cut off is still open when its session is resumed
  return thread.turnStartedAt === undefined || record._tag === "SessionResumed" ? undefined : turns.at(-1)
}

const addMark = (state: State, mark: Mark): void => void state.turns.at(-1)?.marks.push(mark)

const addNote = (state: State, at: number, text: string): void =>
  void state.notes.push({ at, text, afterTurns: state.turns.length })

const startBar = (state: State, start: Omit<Bar, "endedAt" | "status" | "mood">): void => {
  const bar: BarDraft = { ...start, endedAt: undefined, status: "open", mood: "open" }
  state.open.set(bar.id, bar)
  state.turns.at(-1)?.bars.push(bar)
}

const endBar = (
  state: State,
  id: string,
  end: (bar: Bar) => Pick<Bar, "endedAt" | "status" | "mood"> & Partial<Pick<Bar, "note" | "details">>
): void => {
  const bar = state.open.get(id)
  if (bar === undefined) return
  state.open.delete(id)
  Object.assign(bar, end(bar))
}

const startTurn = (state: State, record: Extract<KnownRecord, { readonly _tag: "TurnStarted" }>): void =>
  void state.turns.push({
    turnId: record.turnId,
    number: state.turns.length + 1,
    kind: record.kind,
    at: record.at,
    endedAt: undefined,
    outcome: "open",
    reason: undefined,
    usage: TokenUsage.zero,
    lastMessage: undefined,
    traceId: (record.span ?? record.trace)?.traceparent.split("-")[1],
    bars: [],
    marks: [],
    messages: []
  })

const outcomes = { TurnCompleted: "completed", TurnFailed: "failed", TurnAborted: "aborted" } as const

const endTurn = (state: State, record: Terminal): void => {
  const turn = state.turns.findLast(({ turnId }) => turnId === record.turnId)
  if (turn === undefined) return
  turn.endedAt = record.at
  turn.outcome = outcomes[record._tag]
  turn.usage = record.usage
  turn.lastMessage = record.lastMessage
  if (record._tag === "TurnFailed") turn.reason = `${record.error.tag}: ${record.error.message}`
  if (record._tag !== "TurnAborted") return
  turn.reason = record.crashed === true ? `${record.reason}; the program was killed` : record.reason
  turn.marks.push({ at: record.requestedAt, kind: "abort", text: `asked to stop: ${record.reason}` })
  for (const { kind, name } of record.stragglers) {
    turn.marks.push({ at: record.at, kind: "straggler", text: `${kind} ${name} had not ended` })
  }
}

/** The text of an item that the session has written for the model. */
const scaffoldingOf = (item: Item): string | undefined => {
  if (item._tag === "DeveloperMessage") return item.text
  return item._tag === "UserMessage" && item.fragment !== undefined ? textOf(item.content) : undefined
}

const isCall = (item: ThreadItem): item is CallItem => "status" in item

const contextOf = ({ thread: { agents, cwd }, tools }: State, { id }: CallItem): Calls.Context => ({
  names: agents,
  cwd,
  tool: tools.get(id) ?? ""
})

const startCall = (state: State, item: CallItem): void =>
  startBar(state, {
    id: item.id,
    kind: "tool",
    parent: undefined,
    at: item.startedAtMs,
    ...Calls.describe(item, contextOf(state, item))
  })

const endCall = (state: State, item: CallItem, end: Thread.CallEnd): void => {
  const { details } = Calls.describe(item, contextOf(state, item), end)
  // the bar keeps its name: that of a patch lists the proposed changes
  endBar(state, item.id, () => ({ details, endedAt: item.completedAtMs ?? undefined, ...Calls.endOf(item, end) }))
  state.tools.delete(item.id)
}

const addMessage = (state: State, message: Message | undefined): void => {
  if (message === undefined) return
  if (message.by === "user") state.firstPrompt ??= titleOf(message.text)
  state.turns.at(-1)?.messages.push(message)
}

const messageOf = (item: ThreadItem, at: number): Message | undefined => {
  switch (item.type) {
    case "userMessage":
      return {
        at,
        by: "user",
        text: item.content.map((part) => (part.type === "text" ? part.text : "[image]")).join("\n\n")
      }
    case "agentMessage":
      return { at, by: "assistant", text: item.text }
    case "reasoning":
      return item.summary.length === 0 ? undefined : { at, by: "reasoning", text: item.summary.join("\n") }
    default:
      return undefined
  }
}

/** The first line of a prompt that has text. */
const titleOf = (prompt: string): string | undefined =>
  prompt
    .split("\n")
    .map((line) => line.trim())
    .find((line) => line !== "")

const finished = { failed: "bad", aborted: "stopped", "content-filter": "bad" } as const

const recordWork = (state: State, record: JournalRecord): void => {
  const { at } = record
  switch (record._tag) {
    case "ModelRequested":
      return startBar(state, {
        id: record.requestId,
        kind: "model",
        name: record.model,
        parent: undefined,
        at,
        details: [
          detail("provider", record.provider),
          ...(record.attempt === 1 ? [] : [detail("attempt", String(record.attempt))])
        ]
      })
    case "ModelResponded": {
      const { finish, usage } = record
      const mood = (finished as { readonly [finish: string]: Bar["mood"] | undefined })[finish] ?? "good"
      const note = mood === "good" ? { note: `in ${usage.input}, out ${usage.output}` } : {}
      return endBar(state, record.requestId, ({ details }) => ({
        endedAt: at,
        status: finish,
        mood,
        ...note,
        details: [...details, ...usageDetails(record)]
      }))
    }
    default:
      return recordChild(state, record)
  }
}

const startQuestion = (state: State, question: typeof QuestionOpened.Type): void => {
  // of the agents on the path, only the delegate of this session is known here
  const by = question.path.map((id) => state.thread.agents.get(id)).find((name) => name !== undefined)
  startBar(state, {
    id: question.questionId,
    kind: "approval",
    name: by === undefined ? question.kind : `${question.kind} (${by})`,
    parent: question.callId,
    at: question.at,
    details: [detail("question", question.payload)]
  })
}

const endQuestion = (state: State, { at, decision: { _tag }, questionId }: typeof QuestionSettled.Type): void => {
  const mood = _tag === "Denied" || _tag === "Abort" ? "bad" : _tag === "Cancelled" ? "stopped" : "good"
  endBar(state, questionId, () => ({ endedAt: at, status: _tag.toLowerCase(), mood }))
}

/** Records the processes and delegates of a session. */
const recordChild = (state: State, record: JournalRecord): void => {
  const { at } = record
  switch (record._tag) {
    case "ProcessStarted":
      return startBar(state, {
        id: record.processId,
        kind: "process",
        name: record.command.at(-1) ?? "",
        parent: record.callId,
        at,
        details: [
          detail("command", record.command.join(" ")),
          detail("directory", record.cwd),
          ...(record.keep ? [detail("kept", "may outlive its turn")] : [])
        ]
      })
    case "ProcessEnded": {
      const { exitCode, signal } = record
      const killed = signal === undefined ? "not started" : `killed by ${signal}`
      const status = exitCode === null ? killed : describeExit(exitCode)
      const mood = exitCode === 0 ? "good" : exitCode === null ? "stopped" : "bad"
      return endBar(state, record.processId, () => ({ endedAt: at, status, mood }))
    }
    case "DelegateStarted":
      return startBar(state, {
        id: record.delegateId,
        kind: "delegate",
        name: record.name,
        parent: record.callId,
        at,
        details: [
          detail("session", record.delegateId),
          ...(record.linked ? [] : [detail("detached", "continues after its turn")])
        ]
      })
    case "DelegateEnded": {
      const { spent, status } = record
      state.agentTokens += spent?.tokens ?? 0
      const mood = status === "completed" || status === "shutdown" ? "good" : status === "errored" ? "bad" : "stopped"
      return endBar(state, record.delegateId, () => ({ endedAt: at, status, mood }))
    }
    default:
      return undefined
  }
}

const usageDetails = ({
  estimated,
  finish,
  usage
}: Extract<KnownRecord, { readonly _tag: "ModelResponded" }>): ReadonlyArray<Detail> => {
  const tokens = `in ${usage.input} (cached ${usage.cachedInput}), out ${usage.output} (reasoning ${usage.reasoning})`
  return [detail("ended", finish), detail("tokens", estimated === true ? `${tokens}, estimated` : tokens)]
}

/**
 * The view of a session: a pure fold from its records and deltas to the items of a thread.
 *
 * Each step returns the next state and the changes, in the order of the wire: an item starts, its text or output grows,
 * it is completed. A transcript renders the changes, `exec --json` and a server project them.
 */
import type { CallId, ItemId, ProcessId, QuestionId, SessionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { Item, ToolCall, ToolResult, ToolStatus } from "@spindle/core/Item"
import type { Snapshot } from "@spindle/core/Session"
import type {
  HistoryReplaced,
  ModelRequested,
  ModelResponded,
  ModelRetrying,
  QuestionOpened,
  QuestionSettled,
  SessionEvent,
  TaskNote,
  Terminal
} from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Call from "./Call.ts"
import { openedText } from "./Damage.ts"
import * as Output from "./Output.ts"
import type { CallItem, ThreadItem } from "./ThreadItem.ts"

export type { Output } from "./Output.ts"

/** A call that has no result yet. */
export interface OpenCall {
  readonly item: CallItem
  /** The time at which it began to run: it was recorded, allowed, or its process was started, whichever came last. */
  readonly runsFrom: number
  readonly output: Output.Output
  readonly exitCode: number | null
}

/** Returns the output of a running call so far, without its middle if that is too long. */
export const outputOf = ({ output }: OpenCall): string => Output.textOf(output)

/** A message or thought that is still being written. `length` is its length so far, in UTF-16 code units. */
interface OpenText {
  readonly startedAt: number
  readonly length: number
}

/** The state of the fold. Not changed by {@link step}. */
export interface Thread extends Call.Where {
  /** The time at which the running turn started; undefined between turns. */
  readonly turnStartedAt: number | undefined
  /** The usage of the running turn so far. */
  readonly turnUsage: TokenUsage.TokenUsage
  /** The usage of all turns that have ended. */
  readonly usage: TokenUsage.TokenUsage
  /** The model and the tokens of the last request with the history and its response, as the provider reported them. */
  readonly context: { readonly model: string; readonly tokens: number } | undefined
  /** @internal The model of the request that is open, if it carries the history. */
  readonly requested: string | undefined
  readonly calls: ReadonlyMap<CallId, OpenCall>
  readonly questions: ReadonlyMap<QuestionId, typeof QuestionOpened.Type>
  /** The names of the agents that the session has started. */
  readonly agents: ReadonlyMap<SessionId, string>
  /** @internal */
  readonly texts: ReadonlyMap<ItemId, OpenText>
  /** @internal */
  readonly processes: ReadonlyMap<ProcessId, CallId>
  /** @internal Calls of the history of a resumed session, and the last record that `usage` counts already. */
  readonly earlier: { readonly calls: ReadonlyMap<CallId, ToolCall>; readonly seq: number }
  /** @internal The time of the last record: deltas carry none. */
  readonly now: number
}

/** The end of a call. */
export interface CallEnd {
  readonly status: ToolStatus
  /** The result as the model reads it. */
  readonly text: string
  /** The duration in milliseconds, without the time that a person took to allow it. */
  readonly millis: number
}

/** A change in a thread. */
export type Change =
  | { readonly _tag: "TurnStarted" }
  | { readonly _tag: "ItemStarted"; readonly item: ThreadItem }
  /** More text of an `agentMessage` or of the summary of a `reasoning`. */
  | {
      readonly _tag: "TextAdded"
      readonly type: "agentMessage" | "reasoning"
      readonly id: string
      readonly text: string
    }
  /** More output of a call. */
  | { readonly _tag: "OutputAdded"; readonly id: string; readonly text: string }
  /** The process of a call was started. */
  | { readonly _tag: "CallRunning"; readonly item: CallItem }
  /** `isPartial`: the text was cut off by an abort or is superseded by another attempt. `end` is set for calls. */
  | {
      readonly _tag: "ItemCompleted"
      readonly item: ThreadItem
      readonly isPartial?: "aborted" | "superseded"
      readonly end?: CallEnd
    }
  | { readonly _tag: "QuestionOpened"; readonly question: typeof QuestionOpened.Type }
  /** `question` is undefined for a question that was opened before a resume. */
  | {
      readonly _tag: "QuestionSettled"
      readonly question: typeof QuestionOpened.Type | undefined
      readonly settled: typeof QuestionSettled.Type
    }
  | { readonly _tag: "Retrying"; readonly retry: typeof ModelRetrying.Type }
  /** A task has reported something to clients. */
  | { readonly _tag: "TaskNoted"; readonly note: typeof TaskNote.Type }
  /** A line for a person that is not an item. */
  | { readonly _tag: "Noted"; readonly message: string }
  /** `millis` is undefined for a turn that started before a resume. */
  | { readonly _tag: "TurnEnded"; readonly end: Terminal; readonly millis: number | undefined }
  /** The journal cannot be written: the last change of a thread. */
  | { readonly _tag: "Failed"; readonly message: string; readonly isInTurn: boolean }

/** A thread after an event, and the changes. */
export type Step = readonly [thread: Thread, changes: ReadonlyArray<Change>]

/** Returns the thread of a session before its first event. */
export const initial = ({ cwd, sessionId }: Call.Where): Thread => ({
  sessionId,
  cwd,
  turnStartedAt: undefined,
  turnUsage: TokenUsage.zero,
  usage: TokenUsage.zero,
  context: undefined,
  requested: undefined,
  calls: new Map(),
  questions: new Map(),
  agents: new Map(),
  texts: new Map(),
  processes: new Map(),
  earlier: { calls: new Map(), seq: 0 },
  now: 0
})

/** Adds the earlier part to a thread that begins in the middle of a session: usage, and the calls of the history. */
export const resume = (thread: Thread, { items, seq, usage }: Pick<Snapshot, "items" | "seq" | "usage">): Thread => ({
  ...thread,
  usage,
  earlier: {
    calls: new Map(items.flatMap((item) => (item._tag === "ToolCall" ? [[item.callId, item] as const] : []))),
    seq
  }
})

/** Returns the thread after an event, and the changes. */
export const step = (before: Thread, event: SessionEvent): Step => {
  const thread = "at" in event && event.at !== before.now ? { ...before, now: event.at } : before
  switch (event._tag) {
    case "TurnStarted":
      return [{ ...thread, turnStartedAt: event.at, turnUsage: TokenUsage.zero }, [{ _tag: "TurnStarted" }]]
    case "TextDelta":
      return addText(thread, "agentMessage", event)
    case "ReasoningDelta":
      return addText(thread, "reasoning", event)
    case "ItemRecorded":
      return addItem(thread, event.item)
    case "ToolOutput":
      return addOutput(thread, event)
    case "ProcessStarted": {
      const { callId, processId } = event
      const call = callId === undefined ? undefined : thread.calls.get(callId)
      if (callId === undefined || call === undefined) return [thread, []]
      const processes = new Map(thread.processes).set(processId, callId)
      const next = changeCall({ ...thread, processes }, callId, { runsFrom: event.at })
      return [next, [{ _tag: "CallRunning", item: call.item }]]
    }
    case "ProcessEnded": {
      const callId = thread.processes.get(event.processId)
      return [callId === undefined ? thread : changeCall(thread, callId, { exitCode: event.exitCode }), []]
    }
    case "DelegateStarted":
      return [{ ...thread, agents: new Map(thread.agents).set(event.delegateId, event.name) }, []]
    case "QuestionOpened": {
      const questions = new Map(thread.questions).set(event.questionId, event)
      return [{ ...thread, questions }, [{ _tag: "QuestionOpened", question: event }]]
    }
    case "QuestionSettled":
      return settleQuestion(thread, event)
    case "ModelRequested":
    case "ModelResponded":
    case "HistoryReplaced":
      return [countTokens(thread, event), []]
    case "ModelRetrying":
      return [thread, [{ _tag: "Retrying", retry: event }]]
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted":
      return endTurn(thread, event)
    case "SessionFailed":
      return [
        { ...thread, turnStartedAt: undefined },
        [{ _tag: "Failed", message: event.message, isInTurn: thread.turnStartedAt !== undefined }]
      ]
    case "Warning":
      return [thread, [notice(thread, { type: "warning", id: `warning_${event.seq}`, message: event.message })]]
    case "SessionResumed": {
      const message = openedText(event)
      if (message === undefined) return [thread, []]
      return [thread, [notice(thread, { type: "warning", id: `warning_${event.seq}`, message })]]
    }
    case "InputBlocked":
      return note(thread, `the input was not accepted${event.reason === undefined ? "" : `: ${event.reason}`}`)
    case "InputWithdrawn":
      return note(thread, "input was withdrawn")
    case "SessionRenamed":
      return note(thread, event.title === "" ? "the session has no title" : `the session is called ${event.title}`)
    case "RolledBack":
      return note(thread, `the last ${event.turns === 1 ? "turn was" : `${event.turns} turns were`} taken back`)
    case "StragglerEnded": {
      const { afterMillis, straggler } = event
      return note(thread, `${straggler.name} has stopped after ${(afterMillis / 1_000).toFixed(1)} s`)
    }
    case "TaskNote":
      return [thread, [{ _tag: "TaskNoted", note: event }]]
    case "SessionStarted":
    case "CallDecided":
    case "TurnContextChanged":
    case "InputAccepted":
    case "TaskReported":
    case "DelegateEnded":
    case "OperationAccepted":
    case "Unknown":
      return [thread, []]
  }
}

type Counted = typeof ModelRequested.Type | typeof ModelResponded.Type | typeof HistoryReplaced.Type

const countTokens = (thread: Thread, event: Counted): Thread => {
  switch (event._tag) {
    case "HistoryReplaced":
      return { ...thread, context: undefined }
    case "ModelRequested":
      return { ...thread, requested: event.aside === true ? undefined : event.model }
    case "ModelResponded": {
      const { estimated, usage } = event
      const { requested: model, turnUsage } = thread
      const isReported = model !== undefined && estimated !== true && usage.total > 0
      const context = isReported ? { model, tokens: usage.total } : thread.context
      return { ...thread, turnUsage: TokenUsage.add(turnUsage, usage), context, requested: undefined }
    }
  }
}

/** Returns one line about a retry for people. `duration` formats milliseconds. */
export const retryText = (
  { attempt, delayMillis, detail, maxAttempts }: typeof ModelRetrying.Type,
  duration: (millis: number) => string
): string => {
  const limit = maxAttempts === undefined ? "" : `/${maxAttempts}`
  return `${detail}; trying again in ${duration(delayMillis)} (${attempt}${limit})`
}

const note = (thread: Thread, message: string): Step => [thread, [{ _tag: "Noted", message }]]

const notice = (
  { now }: Thread,
  item: { readonly type: "error" | "warning"; readonly id: string; readonly message: string }
): Change => ({ _tag: "ItemCompleted", item: { ...item, startedAtMs: now, completedAtMs: now } })

const changeCall = (thread: Thread, callId: CallId, change: Partial<OpenCall>): Thread => {
  const call = thread.calls.get(callId)
  return call === undefined ? thread : { ...thread, calls: new Map(thread.calls).set(callId, { ...call, ...change }) }
}

interface Piece {
  readonly offset: number
  readonly text: string
}

const addOutput = (thread: Thread, piece: Piece & { readonly callId: CallId }): Step => {
  const call = thread.calls.get(piece.callId)
  const text = call === undefined ? "" : Output.freshOf(call.output, piece)
  if (call === undefined || text === "") return [thread, []]
  return [
    changeCall(thread, piece.callId, { output: Output.add(call.output, piece) }),
    [{ _tag: "OutputAdded", id: piece.callId, text }]
  ]
}

type TextType = "agentMessage" | "reasoning"

const textItem = (
  type: TextType,
  text: string,
  common: Pick<ThreadItem, "id" | "startedAtMs" | "completedAtMs">
): ThreadItem =>
  type === "agentMessage"
    ? { type, ...common, text }
    : { type, ...common, summary: text === "" ? [] : [text], content: [] }

const addText = (
  thread: Thread,
  type: TextType,
  { itemId, offset, text }: Piece & { readonly itemId: ItemId }
): Step => {
  const open = thread.texts.get(itemId)
  const length = open?.length ?? 0
  const fresh = offset < length ? text.slice(length - offset) : text
  if (fresh === "") return [thread, []]
  const startedAt = open?.startedAt ?? thread.now
  const texts = new Map(thread.texts).set(itemId, { startedAt, length: Math.max(length, offset + text.length) })
  return [
    { ...thread, texts },
    [
      ...(open === undefined
        ? [
            {
              _tag: "ItemStarted" as const,
              item: textItem(type, "", { id: itemId, startedAtMs: startedAt, completedAtMs: null })
            }
          ]
        : []),
      { _tag: "TextAdded", type, id: itemId, text: fresh }
    ]
  ]
}

const addItem = (thread: Thread, item: Item): Step => {
  switch (item._tag) {
    case "DeveloperMessage":
      return [thread, []]
    case "UserMessage": {
      // a fragment is written by the session in the name of the user
      if (item.fragment !== undefined) return [thread, []]
      const content = item.content.map((part) =>
        part._tag === "Image"
          ? { type: "image" as const, url: part.url }
          : { type: "text" as const, text: Input.textOfPart(part) }
      )
      const shown = { type: "userMessage" as const, id: item.id as string, content, startedAtMs: thread.now }
      return [
        thread,
        [
          { _tag: "ItemStarted", item: { ...shown, completedAtMs: null } },
          { _tag: "ItemCompleted", item: { ...shown, completedAtMs: thread.now } }
        ]
      ]
    }
    case "AssistantMessage":
      return completeText(thread, "agentMessage", item)
    case "Reasoning":
      return completeText(thread, "reasoning", item)
    case "ToolCall": {
      const started = Call.start(item, thread.now, thread)
      const call: OpenCall = { item: started, runsFrom: thread.now, output: Output.empty, exitCode: null }
      const calls = new Map(thread.calls).set(item.callId, call)
      return [{ ...thread, calls }, [{ _tag: "ItemStarted", item: started }]]
    }
    case "ToolResult":
      return completeCall(thread, item)
  }
}

const completeText = (
  thread: Thread,
  type: TextType,
  item: Extract<Item, { readonly _tag: "AssistantMessage" | "Reasoning" }>
): Step => {
  // the part that was not in deltas
  const [grown, changes] = addText(thread, type, { itemId: item.id, offset: 0, text: item.text })
  const texts = new Map(grown.texts)
  const startedAt = texts.get(item.id)?.startedAt ?? thread.now
  texts.delete(item.id)
  const shown = textItem(type, item.text, { id: item.id, startedAtMs: startedAt, completedAtMs: thread.now })
  const partial = item.partial === undefined ? {} : { isPartial: item.partial }
  return [{ ...grown, texts }, [...changes, { _tag: "ItemCompleted", item: shown, ...partial }]]
}

const completeCall = (thread: Thread, result: ToolResult): Step => {
  const open = thread.calls.get(result.callId)
  if (open === undefined) return [thread, result.status === "unknown" ? [lostCall(thread, result)] : []]
  const calls = new Map(thread.calls)
  calls.delete(result.callId)
  const millis = Math.max(0, thread.now - open.runsFrom)
  const output = open.output.length === 0 ? undefined : outputOf(open)
  const end = { cwd: thread.cwd, at: thread.now, millis, output, exitCode: open.exitCode }
  const item = Call.complete(open.item, result, end)
  const callEnd = { status: result.status, text: Call.textOf(result), millis }
  return [{ ...thread, calls }, [{ _tag: "ItemCompleted", item, end: callEnd }]]
}

/** Returns the notice about a call that was running when the program was killed, before this thread begins. */
const lostCall = (thread: Thread, { callId, name }: ToolResult): Change => {
  const call = thread.earlier.calls.get(callId)
  const what = call?.display?._tag === "Command" ? call.display.command : name
  const message = `spindle was killed while \`${what}\` ran; its result is unknown`
  return notice(thread, { type: "error", id: callId, message })
}

const settleQuestion = (thread: Thread, settled: typeof QuestionSettled.Type): Step => {
  const question = thread.questions.get(settled.questionId)
  const questions = new Map(thread.questions)
  questions.delete(settled.questionId)
  // the time that a person takes does not count for the call
  const next = question?.callId === undefined ? thread : changeCall(thread, question.callId, { runsFrom: settled.at })
  return [{ ...next, questions }, [{ _tag: "QuestionSettled", question, settled }]]
}

const endTurn = (thread: Thread, end: Terminal): Step => {
  const { earlier, turnStartedAt, usage } = thread
  const next: Thread = {
    ...thread,
    turnStartedAt: undefined,
    turnUsage: TokenUsage.zero,
    usage: end.seq < earlier.seq ? usage : TokenUsage.add(usage, end.usage),
    calls: new Map(),
    questions: new Map(),
    texts: new Map(),
    processes: new Map()
  }
  const millis = turnStartedAt === undefined ? undefined : end.at - turnStartedAt
  return [next, [{ _tag: "TurnEnded", end, millis }]]
}

/**
 * Renders a session as text for a person, with colours or without, from the changes in its thread.
 *
 * The text only grows at its end. The line that changes during a wait is {@link status}; the driver draws it
 * below the text and erases it again. Everything that comes from a model, a command or a file goes through
 * `Ansi.toVisible`.
 */
import * as Thread from "@spindle/app/Thread"
import type { CallItem, ThreadItem } from "@spindle/app/ThreadItem"
import type { QuestionId, SessionId } from "@spindle/core/Ids"
import type { Snapshot } from "@spindle/core/Session"
import type { Decision } from "@spindle/core/Op"
import type { SessionEvent, Terminal } from "@spindle/core/SessionEvent"
import * as Ansi from "./Ansi.ts"
import * as CallText from "./callText.ts"
import * as Failures from "./failures.ts"
import * as QuestionText from "./question.ts"
import { becauseOf } from "./reasons.ts"
import * as Wrapping from "./wrapping.ts"

/**
 * The style of a transcript. `columns` is the width of the terminal. `wraps` breaks text between words; without it,
 * text is written as it arrives, for a pipe. `showsInput` shows the messages of the user, too. `isComplete` cuts no
 * line and folds no output.
 */
export interface TranscriptOptions {
  readonly sessionId: SessionId
  readonly cwd: string
  readonly color: boolean
  readonly columns: number
  readonly wraps: boolean
  readonly showsInput?: boolean | undefined
  readonly isComplete?: boolean | undefined
  /** Returns the size of the context of a model, in tokens; undefined if it is unknown. */
  readonly contextWindow?: ((model: string) => number | undefined) | undefined
}

/** A text whose last line is open. */
interface OpenText {
  readonly id: string
  readonly type: "agentMessage" | "reasoning"
  readonly line: Wrapping.Line
}

/** The state of the transcript. Not changed by {@link step}. */
export interface TranscriptState {
  readonly options: TranscriptOptions
  readonly thread: Thread.Thread
  /** The text at the end of the transcript. The beginning of its next word may not be written yet. */
  readonly text: OpenText | undefined
  readonly isAtLineStart: boolean
  readonly isEmpty: boolean
  readonly last: "nothing" | "text" | "call"
  /** The call at the end of the transcript. */
  readonly lastCall: string | undefined
  /** The calls that were shown, with a question or above their output. */
  readonly introduced: ReadonlySet<string>
  /** The tokens of all agents so far, and those that a footer has shown. */
  readonly agentTokens: { readonly used: number; readonly shown: number }
  /** The questions that were shown and are not settled; `answered` if their answer was shown, too. */
  readonly asked: ReadonlyMap<QuestionId, "open" | "answered">
}

type Step = readonly [state: TranscriptState, text: string]

/** Returns the state before the first event. */
export const initial = (options: TranscriptOptions): TranscriptState => ({
  options,
  thread: Thread.initial(options),
  text: undefined,
  isAtLineStart: true,
  isEmpty: true,
  last: "nothing",
  lastCall: undefined,
  introduced: new Set(),
  agentTokens: { used: 0, shown: 0 },
  asked: new Map()
})

/** Adds the earlier part of the session to a transcript that begins in its middle. */
export const resume = (state: TranscriptState, snapshot: Snapshot): TranscriptState => ({
  ...state,
  thread: Thread.resume(state.thread, snapshot)
})

/** Sets the tokens that all agents have used so far. The next footer shows the new ones. */
export const countAgents = (state: TranscriptState, used: number): TranscriptState =>
  used === state.agentTokens.used ? state : { ...state, agentTokens: { ...state.agentTokens, used } }

/** Returns the state after an event, and the text that it adds. */
export const step = (state: TranscriptState, event: SessionEvent): Step => {
  const [thread, changes] = Thread.step(state.thread, event)
  let next: TranscriptState = { ...state, thread }
  let text = ""
  for (const change of changes) {
    const [after, more] = render(next, change)
    next = after
    text += more
  }
  return [{ ...next, isEmpty: state.isEmpty && text === "" }, text]
}

const render = (state: TranscriptState, change: Thread.Change): Step => {
  const palette = paletteOf(state)
  switch (change._tag) {
    case "TurnStarted":
    case "ItemStarted":
    case "OutputAdded":
      return [state, ""]
    case "TextAdded":
      return addText(state, change)
    case "CallRunning":
      return state.introduced.has(change.item.id) ? [state, ""] : callHead(state, change.item)
    case "ItemCompleted":
      return completeItem(state, change)
    case "QuestionOpened":
      // shown when a person is asked here, or together with its answer
      return [state, ""]
    case "QuestionSettled":
      return settleQuestion(state, change)
    case "Retrying":
      return warn(state, Thread.retryText(change.retry, Ansi.duration))
    case "TaskNoted": {
      const { message } = change.note
      if (message === undefined) return [state, ""]
      const [first, ...more] = message.split("\n").map(Ansi.toVisible)
      return lines(state, [`· ${first}`, ...more.map((line) => `  ${line}`)].map(palette.dim))
    }
    case "Noted":
      return warn(state, change.message)
    case "Failed":
      return lines(state, [palette.red(`✗ ${Ansi.toVisible(Failures.textOf(change.message))}`)])
    case "TurnEnded":
      return endTurn(state, change.end, change.millis)
  }
}

const paletteOf = ({ options }: TranscriptState): Ansi.Palette => Ansi.palette(options.color)

const styleOf = (state: TranscriptState): QuestionText.Style => ({
  palette: paletteOf(state),
  columns: state.options.wraps ? state.options.columns : undefined
})

const warn = (state: TranscriptState, message: string): Step =>
  lines(state, [paletteOf(state).yellow(`! ${Ansi.toVisible(message)}`)])

/** Adds a line that does not describe a change of the thread. */
export const note = (state: TranscriptState, line: string): Step =>
  lines(state, [paletteOf(state).dim(state.options.isComplete === true ? line : Ansi.fit(line, state.options.columns))])

/** Prints a question in full, once, before the prompt. `from` is the name of the agent that asks. */
export const question = (state: TranscriptState, asked: QuestionText.Asked, from?: string): Step => {
  if (state.asked.has(asked.questionId)) return [state, ""]
  const asker = from ?? (asked.path.at(-1) === state.options.sessionId ? undefined : otherAsker(asked))
  const added = QuestionText.lines(asked, styleOf(state), asker)
  const next = { ...state, asked: new Map(state.asked).set(asked.questionId, "open" as const) }
  const [shown, text] = lines(next, [...(state.last === "nothing" ? [] : [""]), ...added])
  return [introduce(shown, asked.callId), text]
}

const otherAsker = ({ path }: QuestionText.Asked): string | undefined =>
  path.length > 1 ? `session ${path.at(-1)!}` : undefined

/** Prints the answer below a question, before anything else that has happened. The record of it then adds nothing. */
export const answer = (state: TranscriptState, questionId: QuestionId, decision: Decision): Step =>
  lines(markAnswered(state, questionId), QuestionText.answerLines(decision, styleOf(state)))

/** Prints that a question is no longer asked, because it was settled elsewhere. */
export const withdrawal = (state: TranscriptState, questionId: QuestionId): Step =>
  lines(markAnswered(state, questionId), QuestionText.answerLines({ _tag: "Cancelled", by: "end" }, styleOf(state)))

const markAnswered = (state: TranscriptState, questionId: QuestionId): TranscriptState => ({
  ...state,
  asked: new Map(state.asked).set(questionId, "answered")
})

const settleQuestion = (
  state: TranscriptState,
  { question: opened, settled }: Extract<Thread.Change, { readonly _tag: "QuestionSettled" }>
): Step => {
  const wasAsked = state.asked.get(settled.questionId)
  if (opened === undefined || (settled.decision._tag === "Cancelled" && wasAsked === undefined)) return [state, ""]
  const [shown, asks] = wasAsked === undefined ? question(state, opened) : [state, ""]
  const asked = new Map(shown.asked)
  asked.delete(settled.questionId)
  const next = { ...shown, asked }
  if (wasAsked === "answered") return [next, ""]
  const [last, answer] = lines(next, QuestionText.answerLines(settled.decision, styleOf(state)))
  return [last, asks + answer]
}

/**
 * Returns the line that describes the current wait, without a line break; undefined if there is none, or if a line of
 * text is open. `agents` describes the activity of the agents below the session.
 */
export const status = (state: TranscriptState, nowMillis: number, agents?: string): string | undefined => {
  const { calls, turnStartedAt, turnUsage } = state.thread
  if (turnStartedAt === undefined || !state.isAtLineStart) return undefined
  const running = [...calls.values()].map(({ item }) => CallText.titleOf(item))
  const more = running.length > 1 ? ` and ${running.length - 1} more` : ""
  const what = running.length === 0 ? "thinking" : `${Ansi.fit(running[0]!, 40)}${more}`
  const frame = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[Math.floor(nowMillis / 100) % 10]!
  const elapsed = Math.max(0, Math.floor((nowMillis - turnStartedAt) / 1_000))
  return Ansi.fit(
    [
      `${frame} ${what}`,
      elapsed < 60 ? `${elapsed} s` : Ansi.duration(elapsed * 1_000),
      ...(turnUsage.total === 0 ? [] : [Ansi.tokens(turnUsage.total)]),
      ...(agents === undefined ? [] : [agents]),
      "Ctrl-C stops"
    ].join(" · "),
    Math.max(1, state.options.columns - 1)
  )
}

/**
 * Returns the last lines that running commands have written so far. While a question is open, the line before them
 * names the command. `room` is the number of lines that the screen has for them.
 */
export const tail = (
  state: TranscriptState,
  { isAsking, room }: { readonly isAsking: boolean; readonly room: number }
): ReadonlyArray<string> => {
  const { calls } = state.thread
  const written = [...calls.values()].findLast(
    ({ item, output }) => item.type === "commandExecution" && output.length > 0
  )
  if (written === undefined) return []
  const columns = Math.max(1, state.options.columns - 1)
  const head = isAsking || calls.size > 1 ? [Ansi.fit(`$ ${CallText.titleOf(written.item)}`, columns)] : []
  const limit = Math.min(tailLimit, room - head.length)
  if (limit < 1) return []
  return [...head, ...CallText.tailOf(Thread.outputOf(written), { columns, limit })].map(paletteOf(state).dim)
}

const tailLimit = 5

/** Adds lines about the session, before its transcript. */
export const header = (state: TranscriptState, added: ReadonlyArray<string>): Step =>
  lines(state, [...added.map((line) => paletteOf(state).dim(wrap(state, Ansi.toVisible(line)))), ""])

/** Adds complete lines, after ending the line that is open. */
const lines = (state: TranscriptState, added: ReadonlyArray<string>): Step => {
  const [closed, rest] = closeText(state)
  return [closed, `${rest}${added.map((line) => `${line}\n`).join("")}`]
}

/** Ends the line that is open, with the word that was not written yet. */
const closeText = (state: TranscriptState): Step => {
  const { options, text } = state
  const rest = text === undefined ? "" : style(state, text.type, Wrapping.end(text.line, options.columns))
  return [{ ...state, text: undefined, isAtLineStart: true }, rest + (rest === "" && state.isAtLineStart ? "" : "\n")]
}

const wrap = ({ options }: TranscriptState, text: string): string =>
  options.wraps ? Wrapping.all(text, options.columns) : text

const style = (state: TranscriptState, type: OpenText["type"], text: string): string =>
  type === "agentMessage" ? text : paletteOf(state).dim(text)

const addText = (
  state: TranscriptState,
  { id, text, type }: Extract<Thread.Change, { readonly _tag: "TextAdded" }>
): Step => {
  const isOpen = state.text?.id === id
  const [before, closed] = isOpen ? [state, ""] : closeText(state)
  const gap = isOpen || state.last !== "call" ? closed : `${closed}\n`
  const { columns, wraps } = state.options
  const visible = Ansi.toVisible(text)
  const line = state.text !== undefined && isOpen ? state.text.line : Wrapping.empty
  const [next, shown] = wraps ? Wrapping.add(line, visible, columns) : [line, visible]
  const isAtLineStart = shown === "" ? before.isAtLineStart : shown.endsWith("\n")
  return [
    { ...before, text: { id, type, line: next }, last: "text", lastCall: undefined, isAtLineStart },
    gap + style(state, type, shown)
  ]
}

type Completed = Extract<Thread.Change, { readonly _tag: "ItemCompleted" }>

const completeItem = (state: TranscriptState, { end, isPartial, item }: Completed): Step => {
  switch (item.type) {
    case "userMessage":
      return state.options.showsInput === true ? userMessage(state, item) : [state, ""]
    case "agentMessage":
    case "reasoning": {
      const isShown = item.type === "agentMessage" ? item.text !== "" : item.summary.length > 0
      const isBroken = isPartial === "superseded" && isShown
      return lines(state, isBroken ? [paletteOf(state).dim("(broken off)")] : [])
    }
    case "error":
    case "warning":
      return warn(state, item.message)
    default:
      return end === undefined ? [state, ""] : completeCall(state, item, end)
  }
}

const userMessage = (state: TranscriptState, item: Extract<ThreadItem, { readonly type: "userMessage" }>): Step => {
  const text = item.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n\n")
  const shown = paletteOf(state).bold(`> ${Ansi.toVisible(text)}`)
  return lines(state, state.isEmpty ? [shown] : ["", shown])
}

const introduce = (state: TranscriptState, callId: string | undefined): TranscriptState => ({
  ...state,
  last: "call",
  lastCall: callId,
  introduced: callId === undefined ? state.introduced : new Set(state.introduced).add(callId)
})

/** Describes a call, unless the transcript ends with it. A call that was shown in full before is only named. */
const callHead = (state: TranscriptState, item: CallItem): Step => {
  if (state.lastCall === item.id) return [state, ""]
  const { columns, cwd, isComplete = false } = state.options
  const palette = paletteOf(state)
  const all = CallText.headOf(item, { palette, columns, cwd, agents: state.thread.agents, isComplete })
  const shown = state.introduced.has(item.id) && all.length > 1 ? [`${all[0]}${palette.dim(" …")}`] : all
  const [next, text] = lines(state, [...(state.last === "text" ? [""] : []), ...shown])
  return [introduce(next, item.id), text]
}

const completeCall = (state: TranscriptState, item: CallItem, end: Thread.CallEnd): Step => {
  const [before, head] = callHead(state, item)
  const { columns, isComplete = false } = state.options
  const added = CallText.endOf(item, end, { palette: paletteOf(state), columns, isComplete })
  const [next, text] = lines(before, added)
  const introduced = new Set(next.introduced)
  introduced.delete(item.id)
  return [{ ...next, introduced, last: "call", lastCall: undefined }, head + text]
}

const endTurn = (state: TranscriptState, end: Terminal, millis: number | undefined): Step => {
  const { used } = state.agentTokens
  const agentTokens = { used, shown: used }
  const ended = { last: "nothing", lastCall: undefined, introduced: new Set<string>(), agentTokens } as const
  if (end._tag === "TurnAborted" && end.crashed === true) {
    const message = "! the previous turn was cut off: spindle was killed"
    const [next, text] = lines(state, [paletteOf(state).yellow(message), ""])
    return [{ ...next, ...ended }, text]
  }
  const [next, text] = lines(state, ["", ...summaryOf(state, end, millis)])
  return [{ ...next, ...ended }, text]
}

const summaryOf = (state: TranscriptState, end: Terminal, millis: number | undefined): ReadonlyArray<string> => {
  const { dim, green, red, yellow } = paletteOf(state)
  const { sessionId } = state.options
  const took = millis === undefined ? [] : [Ansi.duration(millis)]
  // an aborted turn names the session in the line that says how to resume it
  const name = end._tag === "TurnAborted" ? [] : [`session ${sessionId}`]
  const { shown, used } = state.agentTokens
  const rest = [...took, ...usageOf(end, used - shown), ...contextOf(state), ...name]
  const line = (head: string, paint: (text: string) => string) => {
    const all = join(state, [head, ...rest])
    return paint(all.slice(0, head.length)) + dim(all.slice(head.length))
  }
  switch (end._tag) {
    case "TurnCompleted":
      return [line("✓ done", green)]
    case "TurnFailed":
      return [red(wrap(state, `✗ ${Ansi.toVisible(end.error.message)}`)), line("✗ failed", red)]
    case "TurnAborted":
      return [
        ...end.stragglers.map(({ name: straggler }) => yellow(`! ${Ansi.toVisible(straggler)} is still stopping`)),
        line(`■ stopped${becauseOf(end.reason)}`, yellow),
        dim(`resume: spindle exec resume ${sessionId}`)
      ]
  }
}

/** Joins the parts of a footer. A part that does not fit begins a line, and is broken only if it is longer than one. */
const join = (state: TranscriptState, parts: ReadonlyArray<string>): string => {
  const { columns, wraps } = state.options
  return parts
    .reduce<ReadonlyArray<string>>((all, part) => {
      const longer = all.length === 0 ? part : `${all.at(-1)!} · ${part}`
      const fits = !wraps || all.length === 0 || Ansi.width(longer) <= columns
      return fits ? [...all.slice(0, -1), longer] : [...all, part]
    }, [])
    .map((one) => wrap(state, one))
    .join("\n")
}

const usageOf = (
  { usage: { cachedInput, input, output, total } }: Terminal,
  agentTokens: number
): ReadonlyArray<string> => {
  if (total === 0 && agentTokens === 0) return []
  const cached = cachedInput === 0 ? "" : ` of which ${Ansi.count(cachedInput)} cached`
  const own = `${Ansi.tokens(total)} (in ${Ansi.count(input)}${cached}, out ${Ansi.count(output)})`
  return [own, ...withAgents(total, agentTokens)]
}

/** Returns the tokens of agents, and their sum with those of the session; nothing if no agent has used any. */
export const withAgents = (own: number, agentTokens: number): ReadonlyArray<string> =>
  agentTokens === 0 ? [] : [`agents ${Ansi.count(agentTokens)}`, `${Ansi.count(own + agentTokens)} in total`]

/** Returns the part of the model's context that is left; nothing if its size is unknown. */
const contextOf = ({ options, thread }: TranscriptState): ReadonlyArray<string> => {
  if (thread.context === undefined) return []
  const { model, tokens } = thread.context
  const window = options.contextWindow?.(model)
  if (window === undefined) return []
  return [`${Math.max(0, Math.floor((1 - tokens / window) * 100))} % of the context left`]
}

/**
 * What a person sees of a session: a pure fold from its events to text, with colours or without.
 *
 * The text only ever grows at its end; the line that changes while something is awaited is {@link status}, which the
 * driver draws below and takes away again. Whatever comes from a model, a command or a file goes through
 * `Ansi.visible`.
 */
import type { Question } from "@spindle/core/Approvals"
import type { CallId, ItemId, ProcessId, QuestionId, SessionId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import type { Decision } from "@spindle/core/Op"
import type { QuestionOpened, QuestionSettled, SessionEvent, Terminal } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Ansi from "./Ansi.ts"
import * as Folded from "./foldedOutput.ts"
import * as QuestionPrompt from "./question.ts"
import * as AgentCalls from "./agentCalls.ts"
import * as ToolCalls from "./toolCalls.ts"
import * as Wrapping from "./wrapping.ts"

/**
 * How to show. `columns` is the width of the terminal. `wraps`: text is broken between words there; who reads a pipe
 * gets it as it came.
 */
export interface TranscriptOptions {
  readonly sessionId: SessionId
  readonly color: boolean
  readonly columns: number
  readonly wraps: boolean
}

/** A text whose last line is open. */
interface OpenText {
  readonly itemId: ItemId
  readonly kind: "text" | "thought"
  readonly line: Wrapping.Line
}

interface OpenCall {
  readonly call: ToolCalls.Call
  readonly output: Folded.Folded
  readonly exitCode: number | null | undefined
  readonly at: number
  /** Whether it was shown, perhaps above other things. */
  readonly introduced: boolean
}

/** The state of the fold. Not changed by {@link step}. */
export interface TranscriptState {
  readonly options: TranscriptOptions
  /** The text that the transcript ends with; the beginning of its next word may still wait. */
  readonly text: OpenText | undefined
  /** How much of each unfinished text is shown, in UTF-16 code units. */
  readonly told: ReadonlyMap<ItemId, number>
  readonly atLineStart: boolean
  readonly last: "nothing" | "text" | "call"
  /** The call that the end of the transcript is about. */
  readonly shown: CallId | undefined
  /** What is asked for and not settled. It is shown when somebody is asked here, or together with its answer. */
  readonly requests: ReadonlyMap<QuestionId, Request>
  /** The requests that were shown, until they are settled; with `answered`, so was the answer. */
  readonly asked: ReadonlyMap<QuestionId, "open" | "answered">
  readonly calls: ReadonlyMap<CallId, OpenCall>
  readonly processes: ReadonlyMap<ProcessId, CallId>
  /** The agents that the session has started. */
  readonly names: AgentCalls.Names
  readonly usage: TokenUsage.TokenUsage
  readonly startedAt: number | undefined
}

/** What somebody is asked. */
export type Request = Pick<
  Question | typeof QuestionOpened.Type,
  "questionId" | "callId" | "kind" | "tool" | "payload" | "path"
>

type Step = readonly [state: TranscriptState, text: string]

/** The state before the first event. */
export const begin = (options: TranscriptOptions): TranscriptState => ({
  options,
  text: undefined,
  told: new Map(),
  atLineStart: true,
  last: "nothing",
  shown: undefined,
  requests: new Map(),
  asked: new Map(),
  calls: new Map(),
  processes: new Map(),
  names: new Map(),
  usage: TokenUsage.zero,
  startedAt: undefined
})

/** What an event adds to the transcript. */
export const step = (state: TranscriptState, event: SessionEvent): Step => {
  const { red, yellow } = Ansi.palette(state.options.color)
  switch (event._tag) {
    case "TurnStarted":
      return [{ ...state, startedAt: event.at, usage: TokenUsage.zero }, ""]
    case "TextDelta":
      return delta(state, event, "text")
    case "ReasoningDelta":
      return delta(state, event, "thought")
    case "ItemRecorded":
      return item(state, event.item, event.at)
    case "ToolOutput":
      return [changeCall(state, event.callId, (call) => ({ ...call, output: Folded.add(call.output, event) })), ""]
    case "ProcessStarted": {
      if (event.callId === undefined) return [state, ""]
      const processes = new Map(state.processes).set(event.processId, event.callId)
      const next = changeCall({ ...state, processes }, event.callId, (call) => ({ ...call, at: event.at }))
      return state.calls.get(event.callId)?.introduced === true ? [next, ""] : header(next, event.callId)
    }
    case "ProcessEnded": {
      const callId = state.processes.get(event.processId)
      if (callId === undefined) return [state, ""]
      return [changeCall(state, callId, (call) => ({ ...call, exitCode: event.exitCode })), ""]
    }
    case "DelegateStarted":
      return [{ ...state, names: new Map(state.names).set(event.delegateId, event.name) }, ""]
    case "QuestionOpened":
      return [{ ...state, requests: new Map(state.requests).set(event.questionId, event) }, ""]
    case "QuestionSettled":
      return settled(state, event)
    case "ModelRetrying": {
      const again = `trying again in ${Ansi.duration(event.delayMillis)} (${event.attempt}/${event.maxAttempts})`
      return lines(state, [yellow(`! ${Ansi.visible(event.detail)}; ${again}`)])
    }
    case "ModelResponded":
      return [{ ...state, usage: TokenUsage.add(state.usage, event.usage) }, ""]
    case "InputBlocked":
      return lines(state, [
        yellow(`! the input was not accepted${event.reason === undefined ? "" : `: ${Ansi.visible(event.reason)}`}`)
      ])
    case "SessionResumed": {
      const kept = event.cutFile === undefined ? "" : `, kept in ${Ansi.visible(event.cutFile)}`
      return event.cutBytes === 0
        ? [state, ""]
        : lines(state, [yellow(`! the journal was damaged: its last ${event.cutBytes} bytes were cut${kept}`)])
    }
    case "RolledBack":
      return lines(state, [
        yellow(`! ${event.turns === 1 ? "the last turn was" : `the last ${event.turns} turns were`} taken back`)
      ])
    case "Warning":
      return lines(state, [yellow(`! ${Ansi.visible(event.message)}`)])
    case "StragglerEnded":
      return lines(state, [
        yellow(
          `! ${event.straggler.kind} ${Ansi.visible(event.straggler.name)} has ended after ${Ansi.duration(event.afterMillis)}`
        )
      ])
    case "SessionFailed":
      return lines({ ...state, startedAt: undefined }, [red(`✗ ${Ansi.visible(event.message)}`)])
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted":
      return summary(state, event)
    case "SessionStarted":
    case "InputAccepted":
    case "ModelRequested":
    case "DelegateEnded":
    case "Unknown":
      return [state, ""]
  }
}

/** Adds a line that is not about an event of the session. */
export const note = (state: TranscriptState, line: string): Step =>
  lines(state, [Ansi.palette(state.options.color).dim(Ansi.fit(line, state.options.columns))])

/** What is asked, in full, for whoever is asked here; once for each request. `from` names who asks. */
export const question = (state: TranscriptState, request: Request, from?: string): Step => {
  if (state.asked.has(request.questionId)) return [state, ""]
  const asked = new Map(state.asked).set(request.questionId, "open")
  // of a question of its own a session need not say who asks
  const path = request.path.at(-1) === state.options.sessionId ? [] : request.path
  const shown = QuestionPrompt.lines({ ...request, path, from }, Ansi.palette(state.options.color))
  const [next, text] = lines({ ...state, asked }, [...(state.last === "nothing" ? [] : [""]), ...shown])
  return [introduced(next, request.callId), text]
}

/**
 * The answer to a question, below it: before whatever else has happened meanwhile. The record of it then adds nothing.
 */
export const answered = (state: TranscriptState, questionId: QuestionId, decision: Decision): Step => {
  const asked = new Map(state.asked).set(questionId, "answered")
  return lines({ ...state, asked }, [answerLine(state, decision)])
}

/** The same for a question that nobody is asked any more: it was settled otherwise. */
export const withdrawn = (state: TranscriptState, questionId: QuestionId): Step => {
  const asked = new Map(state.asked).set(questionId, "answered")
  return lines({ ...state, asked }, [Ansi.palette(state.options.color).dim("  → not asked any more")])
}

const settled = (state: TranscriptState, { at, decision, questionId }: typeof QuestionSettled.Type): Step => {
  const request = state.requests.get(questionId)
  // of one that was open at a crash nothing was shown
  if (request === undefined) return [state, ""]
  const requests = new Map(state.requests)
  requests.delete(questionId)
  if (decision._tag === "Cancelled" && !state.asked.has(questionId)) return [{ ...state, requests }, ""]
  const [open, asks] = state.asked.has(questionId) ? [state, ""] : question(state, request)
  const asked = new Map(open.asked)
  asked.delete(questionId)
  // the time that a person takes is not the call's
  const begun = request.callId === undefined ? open : changeCall(open, request.callId, (call) => ({ ...call, at }))
  const next = { ...begun, requests, asked }
  if (state.asked.get(questionId) === "answered") return [next, ""]
  const [last, answer] = lines(next, [answerLine(state, decision)])
  return [last, asks + answer]
}

/**
 * The line that says what is awaited, without a line break; undefined when nothing is, or when a line of text is still
 * open. `agents` says what the agents below the session do.
 */
export const status = (state: TranscriptState, nowMillis: number, agents?: string): string | undefined => {
  if (state.startedAt === undefined || !state.atLineStart) return undefined
  const running = [...state.calls.values()].map(({ call }) => titleOf(call))
  const more = running.length > 1 ? ` and ${running.length - 1} more` : ""
  const what = running.length === 0 ? "thinking" : `${Ansi.fit(running[0]!, 40)}${more}`
  const frame = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[Math.floor(nowMillis / 100) % 10]!
  const elapsed = Math.max(0, Math.floor((nowMillis - state.startedAt) / 1_000))
  const tokens = state.usage.total === 0 ? [] : [Ansi.tokens(state.usage.total)]
  return Ansi.fit(
    [
      `${frame} ${what}`,
      elapsed < 60 ? `${elapsed} s` : Ansi.duration(elapsed * 1_000),
      ...tokens,
      ...(agents === undefined ? [] : [agents]),
      "Ctrl-C stops"
    ].join(" · "),
    Math.max(10, state.options.columns - 1)
  )
}

/** Whole lines, after whatever line is open. */
const lines = (state: TranscriptState, added: ReadonlyArray<string>): Step => {
  const [closed, rest] = closeText(state)
  return [{ ...closed, atLineStart: true }, `${rest}${added.map((line) => `${line}\n`).join("")}`]
}

/** The end of the line that is open, with the word that waits. */
const closeText = (state: TranscriptState): Step => {
  const { options, text } = state
  const rest = text === undefined ? "" : styled(state, text.kind, Wrapping.end(text.line, options.columns))
  return [{ ...state, text: undefined, atLineStart: true }, rest + (rest === "" && state.atLineStart ? "" : "\n")]
}

const wrapped = ({ options }: TranscriptState, text: string): string =>
  options.wraps ? Wrapping.all(text, options.columns) : text

const styled = ({ options }: TranscriptState, kind: OpenText["kind"], text: string): string =>
  kind === "text" ? text : Ansi.palette(options.color).dim(text)

const changeCall = (state: TranscriptState, callId: CallId, change: (call: OpenCall) => OpenCall): TranscriptState => {
  const call = state.calls.get(callId)
  return call === undefined ? state : { ...state, calls: new Map(state.calls).set(callId, change(call)) }
}

const delta = (
  state: TranscriptState,
  { itemId, offset, text }: { readonly itemId: ItemId; readonly offset: number; readonly text: string },
  kind: OpenText["kind"]
): Step => {
  const from = state.told.get(itemId) ?? 0
  const fresh = offset < from ? text.slice(from - offset) : text
  if (fresh === "") return [state, ""]
  const isOpen = state.text?.itemId === itemId
  const [before, closed] = isOpen ? [state, ""] : closeText(state)
  const gap = isOpen || state.last !== "call" ? closed : `${closed}\n`
  const { columns, wraps } = state.options
  const visible = Ansi.visible(fresh)
  const line = state.text !== undefined && isOpen ? state.text.line : Wrapping.empty
  const [next, shown] = wraps ? Wrapping.add(line, visible, columns) : [line, visible]
  const told = new Map(state.told).set(itemId, Math.max(from, offset + text.length))
  const atLineStart = shown === "" ? before.atLineStart : shown.endsWith("\n")
  return [
    { ...before, text: { itemId, kind, line: next }, told, last: "text", shown: undefined, atLineStart },
    gap + styled(state, kind, shown)
  ]
}

const item = (state: TranscriptState, recorded: Item, at: number): Step => {
  switch (recorded._tag) {
    case "UserMessage":
    case "DeveloperMessage":
      return [state, ""]
    case "Reasoning":
    case "AssistantMessage": {
      // what did not come as deltas, and the end of the line
      const kind = recorded._tag === "Reasoning" ? "thought" : "text"
      const [next, rest] = delta(state, { itemId: recorded.id, offset: 0, text: recorded.text }, kind)
      const broken = recorded.partial === "superseded" && recorded.text !== ""
      const note = broken ? [Ansi.palette(state.options.color).dim("(broken off)")] : []
      const [last, end] = lines(next, note)
      const told = new Map(last.told)
      told.delete(recorded.id)
      return [{ ...last, told }, rest + end]
    }
    case "ToolCall": {
      const call = { call: recorded, output: Folded.empty, exitCode: undefined, at, introduced: false }
      return [{ ...state, calls: new Map(state.calls).set(recorded.callId, call) }, ""]
    }
    case "ToolResult":
      return result(state, recorded, at)
  }
}

const titleOf = (call: ToolCalls.Call): string => {
  const command = ToolCalls.commandOf(call)
  if (command !== undefined) return Ansi.visible(command.replaceAll(/\s+/g, " "))
  return ToolCalls.patchOf(call) === undefined ? Ansi.visible(call.name) : "patching"
}

const introduced = (state: TranscriptState, callId: CallId | undefined): TranscriptState => {
  const next = { ...state, last: "call" as const, shown: callId }
  return callId === undefined ? next : changeCall(next, callId, (call) => ({ ...call, introduced: true }))
}

/** What a call is, unless the transcript ends with it. */
const header = (state: TranscriptState, callId: CallId): Step => {
  const open = state.calls.get(callId)
  if (open === undefined || state.shown === callId) return [state, ""]
  const { call } = open
  const request = { kind: undefined, tool: call.name, payload: call.params, path: [] }
  const palette = Ansi.palette(state.options.color)
  const agents = AgentCalls.title(call, state.names)
  const all =
    agents === undefined
      ? QuestionPrompt.lines(request, palette, state.options.columns)
      : [`${palette.cyan("•")} ${Ansi.fit(agents, state.options.columns - 2)}`]
  // what was shown in full already is only named
  const shown = open.introduced && all.length > 1 ? [`${all[0]}${palette.dim(" …")}`] : all
  const [next, text] = lines(state, [...(state.last === "text" ? [""] : []), ...shown])
  return [introduced(next, callId), text]
}

const result = (state: TranscriptState, recorded: ToolCalls.Result, at: number): Step => {
  const open = state.calls.get(recorded.callId)
  if (open === undefined) {
    if (recorded.status !== "unknown") return [state, ""]
    const call = `${Ansi.visible(recorded.name)} (${Ansi.visible(recorded.callId)})`
    return lines(state, [
      Ansi.palette(state.options.color).yellow(`! nobody knows how ${call} ended: the program died in it`)
    ])
  }
  const [before, head] = header(state, recorded.callId)
  const calls = new Map(state.calls)
  calls.delete(recorded.callId)
  const { dim, green, red } = Ansi.palette(state.options.color)
  const indent = (line: string) => `  ${Ansi.fit(line, Math.max(10, state.options.columns - 2))}`.trimEnd()
  const took = Ansi.duration(at - open.at)
  const foldedOf = (text: string) => Folded.add(Folded.empty, { offset: 0, text })
  // what a command printed is not in the journal by itself: a session that is read later has it from the result
  const printed = open.output.offset > 0 ? open.output : foldedOf(ToolCalls.printedOf(recorded))
  const output = Folded.lines(printed).map((line) => dim(indent(line)))
  const told = Folded.lines(foldedOf(ToolCalls.outputText(recorded))).map(indent)
  const end = ((): ReadonlyArray<string> => {
    switch (recorded.status) {
      case "completed": {
        if (AgentCalls.title(open.call, state.names) !== undefined) {
          const said = AgentCalls.told(recorded.name, recorded.output).map(indent)
          return [...said.map(dim), green(`  ✓ done · ${took}`)]
        }
        if (ToolCalls.commandOf(open.call) === undefined)
          return [...told.slice(0, 3).map(dim), green(`  ✓ done · ${took}`)]
        const code = open.exitCode ?? ToolCalls.exitCodeOf(recorded)
        if (code === 0) return [...output, green(`  ✓ exit 0 · ${took}`)]
        return [...output, red(`  ✗ ${code === null ? "ended before its end" : `exit ${code}`} · ${took}`)]
      }
      case "failed":
        return [...output, ...told.map(red), red(`  ✗ failed · ${took}`)]
      case "denied":
        return [red("  ✗ not run")]
      case "aborted":
        return [...output, red(`  ✗ stopped after ${took}`)]
      case "unknown":
        return [red("  ✗ nobody knows how it ended: the program died in it")]
    }
  })()
  const [next, text] = lines({ ...before, calls }, end)
  return [{ ...next, last: "call", shown: undefined }, head + text]
}

const answerLine = (state: TranscriptState, decision: (typeof QuestionSettled.Type)["decision"]): string => {
  const { green, red } = Ansi.palette(state.options.color)
  switch (decision._tag) {
    case "Approved":
      return green(`  → allowed ${decision.scope === "once" ? "once" : `for this ${decision.scope}`}`)
    case "Denied":
      return red(`  → refused${decision.reason === undefined ? "" : `: ${Ansi.visible(decision.reason)}`}`)
    case "Abort":
      return red("  → refused, and the turn is stopped")
    case "Answered":
      return green("  → answered")
    case "Cancelled":
      return red(`  → not answered (${decision.by})`)
  }
}

const summary = (state: TranscriptState, event: Terminal): Step => {
  if (event._tag === "TurnAborted" && event.crashed === true) return crashed(state)
  const { dim, green, red, yellow } = Ansi.palette(state.options.color)
  const took = state.startedAt === undefined ? [] : [Ansi.duration(event.at - state.startedAt)]
  const { input, cachedInput, output, total } = event.usage
  const cached = cachedInput === 0 ? "" : ` of which ${Ansi.count(cachedInput)} cached`
  const tokens =
    total === 0 ? [] : [`${Ansi.tokens(total)} (in ${Ansi.count(input)}${cached}, out ${Ansi.count(output)})`]
  // how to go on names the session in a line of its own
  const name = event._tag === "TurnAborted" ? [] : [`session ${state.options.sessionId}`]
  const rest = [...took, ...tokens, ...name].map((one) => ` · ${one}`).join("")
  const line = (head: string, paint: (text: string) => string) => {
    const whole = wrapped(state, head + rest)
    return paint(whole.slice(0, head.length)) + dim(whole.slice(head.length))
  }
  const added = ((): ReadonlyArray<string> => {
    switch (event._tag) {
      case "TurnCompleted":
        return [line("✓ done", green)]
      case "TurnFailed":
        return [red(wrapped(state, `✗ ${Ansi.visible(event.error.message)}`)), line("✗ failed", red)]
      case "TurnAborted": {
        const late = event.stragglers.map(({ kind, name }) => yellow(`! still ending: ${kind} ${Ansi.visible(name)}`))
        return [
          ...late,
          line(`■ stopped (${event.reason})`, yellow),
          dim(`resume: spindle exec resume ${state.options.sessionId}`)
        ]
      }
    }
  })()
  const [next, text] = lines(state, ["", ...added])
  return [
    {
      ...next,
      last: "nothing",
      shown: undefined,
      startedAt: undefined,
      calls: new Map(),
      processes: new Map(),
      requests: new Map()
    },
    text
  ]
}

const crashed = (state: TranscriptState): Step => {
  const { yellow } = Ansi.palette(state.options.color)
  const [next, text] = lines(state, [yellow("! the turn before was cut off: the program died in it"), ""])
  return [{ ...next, last: "nothing", startedAt: undefined }, text]
}

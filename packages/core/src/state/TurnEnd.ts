/**
 * The last records of a turn, as a pure function of the session's state and of the end of the turn. The owner of a turn
 * appends them when the turn settles. A resume appends them for a turn that was cut off when the program was killed.
 *
 * ```
 *   QuestionSettled*  ModelResponded?  ToolResult*  TaskReported*  hand-back?  marker?  TurnCompleted | TurnFailed | TurnAborted
 * ```
 *
 * These records close everything that the turn left open (contract A1, I6, I7), name the bound that stopped the turn
 * (S10), inform the model of an abort (I5), and name every input that was not carried (P2).
 */
import type { CallDetail } from "../protocol/Display.ts"
import type { CallId, ItemId, ProcessId } from "../protocol/Ids.ts"
import type { ToolCall, ToolResult, ToolStatus } from "../protocol/Item.ts"
import type { AbortReason } from "../protocol/Outcome.ts"
import type { NewRecord, Straggler } from "../protocol/SessionEvent.ts"
import type { SessionPolicy } from "../protocol/SessionPolicy.ts"
import * as TokenUsage from "../protocol/TokenUsage.ts"
import * as History from "./History.ts"
import * as Inbox from "./Inbox.ts"
import type { OpenTurn, SessionState } from "./SessionState.ts"
import * as TaskReport from "./TaskReport.ts"

/** A call that has no recorded result yet. `result` is the result of its handler, if it has returned. */
export interface LiveCall {
  readonly startedAt: number
  readonly detail: CallDetail | undefined
  readonly result: { readonly status: ToolStatus; readonly output: unknown } | undefined
}

/** The usage of a model request. It is `estimated` if the provider did not report it. */
export interface RequestUsage {
  readonly usage: TokenUsage.TokenUsage
  readonly estimated?: true
}

/** The knowledge of a turn's owner that is not in the records. */
export interface LiveTurn {
  readonly now: number
  /** The usage of the model request that is open. */
  readonly usage: RequestUsage
  readonly callOf: (callId: CallId) => LiveCall | undefined
}

/** A process that outlives the turn that started it. */
export interface KeptProcess {
  readonly processId: ProcessId
  readonly name: string
}

type Settled = { readonly live: LiveTurn } & (
  | { readonly _tag: "Completed"; readonly lastMessage: string | null | undefined }
  | { readonly _tag: "Failed"; readonly error: { readonly tag: string; readonly message: string } }
  | {
      readonly _tag: "Aborted"
      readonly reason: AbortReason
      readonly requestedAt: number
      readonly stragglers: ReadonlyArray<Straggler>
      readonly keptProcesses: ReadonlyArray<KeptProcess>
      /** The bound of the turn that caused the abort. */
      readonly bound?: string | undefined
      readonly policy: Pick<SessionPolicy, "marker" | "steeredOnInterrupt">
    }
)

/** The end of a turn. A turn has crashed if the program was killed while it was running and a resume found it open. */
export type TurnEnd = Settled | { readonly _tag: "Crashed"; readonly now: number }

type Aborted = Extract<TurnEnd, { readonly _tag: "Aborted" }>

/**
 * Returns the records that end the open turn; none if no turn is open. They name the kept processes that have not
 * ended.
 */
export const records = (state: SessionState, end: TurnEnd): ReadonlyArray<NewRecord> => {
  const { turn } = state
  if (turn === undefined) return []
  const open = usageOf(state, end)
  const usage = turn.modelRequest === undefined ? turn.usage : TokenUsage.add(turn.usage, open.usage)
  const lastMessage = handBackOf(turn, end) ?? turn.lastMessage
  return [
    ...cancelQuestions(turn, end),
    // mutant owner-ends-the-request (I3: the owner ends the request of a task that hangs): drop
    ...endRequest(turn, end, open),
    // mutant owner-closes-the-calls (I6: the owner settles the open calls): drop
    ...turn.openCalls.map((call) => itemOf(turn, resultOf(call, end))),
    // mutant owner-reports-for-tasks (P2: a task alongside a turn that reports no result in time is reported as cut off):
    //   drop
    ...Inbox.runningTasks(state.inbox, turn.turnId).map((task) => TaskReport.of(task, turn.turnId, "was cut off")),
    ...recordHandBack(turn, end),
    ...markerOf(state, turn, end),
    terminalOf(state, { ...turn, usage, lastMessage }, end)
  ]
}

const isAborted = (end: TurnEnd) => end._tag === "Aborted" || end._tag === "Crashed"

/**
 * Returns the records that cancel questions after a crash. The owner of a live turn has settled its questions before,
 * because their askers wait.
 */
const cancelQuestions = ({ questions, turnId }: OpenTurn, end: TurnEnd): ReadonlyArray<NewRecord> => {
  if (end._tag !== "Crashed") return []
  const decision = { _tag: "Cancelled", by: "end" } as const
  return questions.map(({ questionId }) => ({ _tag: "QuestionSettled", turnId, questionId, decision }))
}

const usageOf = ({ history }: SessionState, end: TurnEnd): RequestUsage =>
  end._tag === "Crashed"
    ? { usage: History.estimateUsage(History.toArray(history), 0), estimated: true }
    : end.live.usage

const endRequest = ({ modelRequest, turnId }: OpenTurn, end: TurnEnd, usage: RequestUsage): ReadonlyArray<NewRecord> =>
  modelRequest === undefined
    ? []
    : [
        {
          _tag: "ModelResponded",
          turnId,
          requestId: modelRequest,
          finish: isAborted(end) ? "aborted" : "failed",
          ...usage
        }
      ]

const itemOf = (
  { turnId }: OpenTurn,
  item: Extract<NewRecord, { readonly _tag: "ItemRecorded" }>["item"]
): NewRecord => ({
  _tag: "ItemRecorded",
  turnId,
  item
})

/** Returns the result of the handler, or else a result that says why the call has none. */
const resultOf = (call: ToolCall, end: TurnEnd): ToolResult => {
  const unknown = History.unknownResult(call)
  if (end._tag === "Crashed") return unknown
  const { callOf, now } = end.live
  const live = callOf(call.callId)
  const detail = live?.detail === undefined ? {} : { detail: live.detail }
  if (live?.result !== undefined) return { ...unknown, ...live.result, ...detail }
  if (end._tag !== "Aborted") {
    return { ...unknown, status: "failed", output: "The turn ended before this call did.", ...detail }
  }
  const { reason } = end
  const afterMillis = now - (live?.startedAt ?? now)
  const output = History.abortedOutput(reason, afterMillis)
  return { ...unknown, status: "aborted", output, ...detail, aborted: { reason, afterMillis } }
}

/** The number of characters of the last message that a hand-back repeats. */
const handBackLimit = 2_000

/**
 * Returns the last message of a turn that a bound stopped: the bound, and the beginning of the message before (S10).
 */
const handBackOf = ({ lastMessage }: OpenTurn, end: TurnEnd): string | undefined => {
  if (end._tag !== "Aborted" || end.bound === undefined) return undefined
  const text = `This turn was stopped at its bound of ${end.bound}. What it did is kept; new input continues from here.`
  if (lastMessage === undefined) return text
  const isLong = lastMessage.length > handBackLimit
  return `${text}\n\nIts last message: ${isLong ? `${lastMessage.slice(0, handBackLimit)} …` : lastMessage}`
}

const recordHandBack = (turn: OpenTurn, end: TurnEnd): ReadonlyArray<NewRecord> => {
  const text = handBackOf(turn, end)
  if (text === undefined) return []
  return [itemOf(turn, { _tag: "AssistantMessage", id: `${turn.startSeq}.${turn.itemCount}b` as ItemId, text })]
}

/** Returns the item that informs the model of the abort (I5). */
const markerOf = (state: SessionState, turn: OpenTurn, end: TurnEnd): ReadonlyArray<NewRecord> => {
  const text = markerText(state, turn, end)
  if (text === undefined) return []
  const id = `${turn.startSeq}.${turn.itemCount}m` as ItemId
  const content = [{ _tag: "Text" as const, text }]
  return [itemOf(turn, { _tag: "UserMessage", id, content, fragment: History.markerFragment })]
}

const markerText = (state: SessionState, turn: OpenTurn, end: TurnEnd): string | undefined => {
  // a task without items is named here, because otherwise the model would not learn that it ran
  const task = turn.task === undefined || turn.itemCount > 0 ? undefined : TaskReport.nameOf(turn.task)
  if (end._tag === "Crashed") return hasMarker(state, turn) ? undefined : History.markerText("Crashed", [], task)
  if (end._tag !== "Aborted") return undefined
  const { policy, reason, stragglers } = end
  const isWritten = policy.marker === "contract" ? turn.produced : reason === "Shutdown"
  if (reason !== "Interrupted" && !isWritten) return undefined
  const running = [...stragglers, ...keptProcesses(state, end), ...keptDelegates(state)]
  return History.markerText(
    reason,
    running.map(({ name }) => name),
    task
  )
}

/** Returns whether the marker is written already, by a program that was killed while it settled an abort. */
const hasMarker = ({ history }: SessionState, turn: OpenTurn): boolean => {
  const last = turn.itemCount === 0 ? undefined : history.last
  return last?._tag === "UserMessage" && last.fragment === History.markerFragment
}

const keptProcesses = ({ processes }: SessionState, end: Aborted) =>
  end.keptProcesses.filter(({ processId }) => processes.includes(processId))

/**
 * Returns the child sessions that keep running. A linked one ends with the turn; if it has not ended, it is a
 * straggler.
 */
const keptDelegates = ({ delegates }: SessionState) => delegates.filter(({ linked }) => !linked)

const terminalOf = (state: SessionState, turn: OpenTurn, end: TurnEnd): NewRecord => {
  const { turnId, usage } = turn
  const own = end._tag === "Completed" ? end.lastMessage : undefined
  const lastMessage = own === undefined ? turn.lastMessage : (own ?? undefined)
  const message = lastMessage === undefined ? {} : { lastMessage }
  switch (end._tag) {
    case "Completed":
      return { _tag: "TurnCompleted", turnId, ...message, usage }
    case "Failed":
      return { _tag: "TurnFailed", turnId, error: end.error, ...message, kept: idsOf(state.inbox), usage }
    case "Aborted": {
      const { reason, requestedAt, stragglers } = end
      const delegates = keptDelegates(state).map(({ delegateId }) => delegateId)
      return {
        _tag: "TurnAborted",
        turnId,
        reason,
        requestedAt,
        ...message,
        ...inputOf(state, turn, end),
        stragglers: stragglers.slice(),
        keptProcesses: keptProcesses(state, end).map(({ processId }) => processId),
        ...(delegates.length === 0 ? {} : { keptDelegates: delegates }),
        usage
      }
    }
    case "Crashed":
      return {
        _tag: "TurnAborted",
        turnId,
        reason: "Interrupted",
        requestedAt: end.now,
        ...message,
        returned: [],
        kept: idsOf(state.inbox),
        dropped: [],
        stragglers: [],
        keptProcesses: [],
        usage,
        crashed: true
      }
  }
}

const idsOf = (inbox: Inbox.Inbox) => inbox.map(({ submissionId }) => submissionId)

/**
 * Returns the fate of the input that was accepted and not carried (P2). An abort keeps input that waits for any turn,
 * and notices, which are not input of the user.
 */
const inputOf = ({ inbox }: SessionState, { startedWith, turnId }: OpenTurn, { policy, reason }: Aborted) => {
  const isDropped = policy.steeredOnInterrupt === "drop" && (reason === "Interrupted" || reason === "Replaced")
  const own =
    isDropped || reason === "Interrupted"
      ? Inbox.forTurn(inbox, turnId, startedWith).filter(
          ({ fragment, waits }) => waits !== true && fragment === undefined
        )
      : []
  const returned = isDropped ? [] : own
  const dropped = reason === "Parent" ? inbox : isDropped ? own : []
  const gone = new Set([...returned, ...dropped])
  return {
    returned: returned.map(({ input, submissionId }) => ({ submissionId, input })),
    kept: idsOf(inbox.filter((entry) => !gone.has(entry))),
    dropped: idsOf(dropped)
  }
}

/**
 * The state of a session as a pure fold over its records. A live session and a resume use the same fold (contract J3).
 *
 * ```
 *   SessionStarted ─► idle ──TurnStarted──► in a turn ──TurnCompleted | TurnFailed | TurnAborted──► idle
 * ```
 *
 * The invariants of a list of records. `violation` and its property test use the same numbers.
 * 1. Numbers start at 0 and have no gaps; the first record is `SessionStarted`, and no other record is.
 * 2. Between a `TurnStarted` and its terminal record there is no other `TurnStarted` (S1).
 * 3. Each terminal record, item, question and model request belongs to the turn that is open (S2).
 * 4. A result belongs to an open call of its turn; no call is open at a terminal record (I6).
 * 5. A question is settled once, after it was opened; none of a turn is open at its terminal record (A1).
 * 6. Input is carried, blocked, returned or dropped at most once, after it was accepted (P2).
 * 7. A turn has one model request at a time; each ends once, and none is open at a terminal record (I7).
 * 8. A rollback comes between turns and removes no more turns than there are (J4).
 * 9. The history is replaced between model requests, while no call is open (I6).
 * 10. A task alongside a turn reports its result once, before the terminal record of that turn (P2).
 */
import * as Struct from "effect/Struct"
import type { CallId, ProcessId, ModelRequestId, QuestionId, SessionId, SubmissionId, TurnId } from "../protocol/Ids.ts"
import type { Item, ToolCall } from "../protocol/Item.ts"
import type { AcceptedTask } from "../protocol/Op.ts"
import type {
  DelegateEnded,
  DelegateStarted,
  JournalRecord,
  KnownRecord,
  QuestionOpened,
  QuestionSettled,
  SessionRenamed,
  SessionResumed,
  Terminal,
  TurnStarted
} from "../protocol/SessionEvent.ts"
import * as TokenUsage from "../protocol/TokenUsage.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"
import * as Authority from "./Authority.ts"
import * as History from "./History.ts"
import * as Inbox from "./Inbox.ts"
import * as Spending from "./Spending.ts"

/** A question that waits for its answer. */
export interface OpenQuestion {
  readonly questionId: QuestionId
  readonly grantKeys: ReadonlyArray<string>
}

/** The turn that is open. */
export interface OpenTurn {
  readonly turnId: TurnId
  readonly kind: string
  readonly startedWith: SubmissionId | undefined
  /** The task that a client started by name, if the turn runs one. */
  readonly task: AcceptedTask | undefined
  /** The number of its `TurnStarted`. With the number of its items it makes the id of the next item. */
  readonly startSeq: number
  readonly itemCount: number
  /** The history before its first item. */
  readonly historyBefore: History.ItemLog
  /** The text of its last assistant message that is not partial. */
  readonly lastMessage: string | undefined
  readonly openCalls: ReadonlyArray<ToolCall>
  readonly questions: ReadonlyArray<OpenQuestion>
  /** The model request that has not ended. */
  readonly modelRequest: ModelRequestId | undefined
  /** True if that request does not carry the history. */
  readonly isAside: boolean
  /** True if the model has produced an item. */
  readonly produced: boolean
  /** True if a record since its start is missing, because the journal is damaged (J1). */
  readonly hasGap: boolean
  readonly usage: TokenUsage.TokenUsage
}

/** A user turn in the history, linked to the user turn before it. */
export interface UserTurn {
  /** The number of its `TurnStarted`. */
  readonly startSeq: number
  /** The history before the turn. A rollback of the turn restores it, even if the history was replaced later. */
  readonly historyBefore: History.ItemLog
  /** The number of user turns up to this one. */
  readonly count: number
  readonly before: UserTurn | undefined
}

/** A child session that has not ended. */
export interface OpenDelegate {
  readonly delegateId: SessionId
  readonly name: string
  readonly linked: boolean
}

/**
 * The usage of the last request that carried the history and reported its usage, and the history at the end of its
 * response.
 */
export interface MeasuredContext {
  readonly usage: TokenUsage.TokenUsage
  readonly history: History.ItemLog
}

/** The state of a session. `questions` are those of the session itself, outside turns. */
export interface SessionState {
  readonly sessionId: SessionId | undefined
  /** The last title, if there is one. */
  readonly title: string | undefined
  /** The number of the next record. */
  readonly seq: number
  readonly history: History.ItemLog
  readonly measured: MeasuredContext | undefined
  /** The last user turn in the history, which a rollback removes first. */
  readonly userTurn: UserTurn | undefined
  /** The last turn context that was recorded. */
  readonly turnContext: TurnContext | undefined
  /** The changes of the turn context by inputs. The format of the answer in it applies to the last turn only. */
  readonly changedContext: TurnContext
  readonly inbox: Inbox.Inbox
  readonly turn: OpenTurn | undefined
  readonly turnCount: number
  readonly usage: TokenUsage.TokenUsage
  readonly questions: ReadonlyArray<OpenQuestion>
  readonly grants: ReadonlyArray<Authority.Grant>
  /** Processes that were started and have not ended. */
  readonly processes: ReadonlyArray<ProcessId>
  /** Child sessions that were started and have not ended. A resume ends them all. */
  readonly delegates: ReadonlyArray<OpenDelegate>
  readonly spending: Spending.Spending
}

/** The state before the first record. */
export const empty: SessionState = {
  sessionId: undefined,
  title: undefined,
  seq: 0,
  history: History.empty,
  measured: undefined,
  userTurn: undefined,
  turnContext: undefined,
  changedContext: {},
  inbox: Inbox.empty,
  turn: undefined,
  turnCount: 0,
  usage: TokenUsage.zero,
  questions: [],
  grants: [],
  processes: [],
  delegates: [],
  spending: Spending.none
}

/** Returns the state after one more record. Total: a record that breaks an invariant changes as little as it can. */
export const apply = (self: SessionState, record: JournalRecord): SessionState => {
  const state = { ...self, seq: record.seq + 1 }
  if (record.seq !== self.seq && self.turn !== undefined) state.turn = { ...self.turn, hasGap: true }
  return record._tag === "Unknown" ? state : applyKnown(state, record)
}

/** Returns the state after many records. */
export const fold = (records: Iterable<JournalRecord>): SessionState => {
  let state = empty
  for (const record of records) state = apply(state, record)
  return state
}

const applyDelegates = (
  state: Mutable<SessionState>,
  record: DelegateStarted | DelegateEnded | SessionResumed
): SessionState => {
  switch (record._tag) {
    case "DelegateStarted":
      state.delegates = [...state.delegates, record]
      state.spending = Spending.start(state.spending, record)
      return state
    case "DelegateEnded":
      state.delegates = state.delegates.filter((one) => one.delegateId !== record.delegateId)
      state.spending = Spending.end(state.spending, record)
      return state
    case "SessionResumed":
      // the children ran in the process that has ended
      state.spending = Spending.leave(
        state.spending,
        state.delegates.map(({ delegateId }) => delegateId)
      )
      state.delegates = none
      return state
  }
}

/** Returns the title in a record; undefined if the record removes the title. */
export const titleIn = ({ title }: SessionRenamed): string | undefined => (title === "" ? undefined : title)

/** Returns the last title in these records, or the given title if none of them changes it. */
export const lastTitle = (records: ReadonlyArray<JournalRecord>, title?: string): string | undefined => {
  for (const record of records) if (record._tag === "SessionRenamed") title = titleIn(record)
  return title
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const applyKnown = (state: Mutable<SessionState>, record: KnownRecord): SessionState => {
  switch (record._tag) {
    case "SessionStarted":
      state.sessionId = record.sessionId
      return state
    case "SessionRenamed":
      state.title = titleIn(record)
      return state
    case "InputAccepted":
      state.inbox = Inbox.accept(state.inbox, Inbox.entryOf(record))
      if (record.turnId !== undefined && record.context !== undefined) {
        state.changedContext = { ...state.changedContext, ...record.context }
      }
      return state
    case "InputBlocked":
    case "InputWithdrawn":
      state.inbox = Inbox.remove(state.inbox, [record.submissionId])
      return state
    case "TaskReported":
      state.inbox = Inbox.report(state.inbox, record)
      return state
    case "TurnStarted":
      return startTurn(state, record)
    case "TurnContextChanged":
      state.turnContext = record.context
      return state
    case "HistoryReplaced":
      state.history = History.fromItems(record.items)
      return state
    case "ItemRecorded":
      if (record.item._tag === "UserMessage" && record.item.submissionId !== undefined) {
        state.inbox = Inbox.remove(state.inbox, [record.item.submissionId])
      }
      state.history = History.append(state.history, record.item)
      if (state.turn !== undefined) {
        if (History.isCountedByRollback(record.item)) state.userTurn = withUserInput(state.userTurn, state.turn)
        state.turn = withItem(state.turn, record.item)
      }
      return state
    case "ModelRequested":
      if (state.turn !== undefined) {
        state.turn = { ...state.turn, modelRequest: record.requestId, isAside: record.aside === true }
      }
      return state
    case "ModelResponded":
      return endRequest(state, record)
    case "QuestionOpened":
      return openQuestion(state, record)
    case "QuestionSettled":
      return settleQuestion(state, record)
    case "ProcessStarted":
      state.processes = [...state.processes, record.processId]
      return state
    case "ProcessEnded":
      state.processes = state.processes.filter((one) => one !== record.processId)
      return state
    case "DelegateStarted":
    case "DelegateEnded":
    case "SessionResumed":
      return applyDelegates(state, record)
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted":
      return endTurn(state, record)
    case "RolledBack":
      return rollBack(state, record.turns)
    case "CallDecided":
    case "ModelRetrying":
    case "StragglerEnded":
    case "TaskNote":
    case "OperationAccepted":
    case "Warning":
      return state
  }
}

const none: ReadonlyArray<never> = []

const startTurn = (
  state: Mutable<SessionState>,
  { carried, kind, seq, submissionId, turnId }: TurnStarted
): SessionState => {
  state.turnCount++
  const task = state.inbox.find((entry) => entry.submissionId === submissionId)?.task
  const { contexts, inbox } = Inbox.takeContexts(state.inbox, submissionId)
  state.inbox = inbox
  // the format of the answer applies to one turn only
  if (state.changedContext.output !== undefined) state.changedContext = Struct.omit(state.changedContext, ["output"])
  for (const context of contexts) state.changedContext = { ...state.changedContext, ...context }
  if (carried === true && submissionId !== undefined) state.inbox = Inbox.remove(state.inbox, [submissionId])
  state.inbox = Inbox.join(state.inbox, turnId)
  state.turn = {
    turnId,
    kind,
    startedWith: submissionId,
    task,
    startSeq: seq,
    itemCount: 0,
    historyBefore: state.history,
    lastMessage: undefined,
    openCalls: none,
    questions: none,
    modelRequest: undefined,
    isAside: false,
    produced: false,
    hasGap: false,
    usage: TokenUsage.zero
  }
  return state
}

/** Returns the number of user turns in the history. */
export const userTurnCount = (self: SessionState): number => self.userTurn?.count ?? 0

/** Returns the oldest turn that a rollback of this number of turns removes; undefined if it removes none. */
export const oldestTaken = (self: SessionState, turns: number): UserTurn | undefined => {
  let oldest: UserTurn | undefined
  let next = self.userTurn
  for (let left = turns; left >= 1 && next !== undefined; left--) {
    oldest = next
    next = next.before
  }
  return oldest
}

const withUserInput = (last: UserTurn | undefined, { historyBefore, startSeq }: OpenTurn): UserTurn =>
  last?.startSeq === startSeq ? last : { startSeq, historyBefore, count: (last?.count ?? 0) + 1, before: last }

const rollBack = (state: Mutable<SessionState>, turns: number): SessionState => {
  const oldest = oldestTaken(state, turns)
  if (oldest === undefined) return state
  state.history = oldest.historyBefore
  state.userTurn = oldest.before
  return state
}

const withItem = (turn: OpenTurn, item: Item): OpenTurn => ({
  ...turn,
  itemCount: turn.itemCount + 1,
  lastMessage: item._tag === "AssistantMessage" && item.partial === undefined ? item.text : turn.lastMessage,
  produced: turn.produced || item._tag === "AssistantMessage" || item._tag === "Reasoning" || item._tag === "ToolCall",
  openCalls:
    item._tag === "ToolCall"
      ? [...turn.openCalls, item]
      : item._tag === "ToolResult"
        ? turn.openCalls.filter((call) => call.callId !== item.callId)
        : turn.openCalls
})

const endRequest = (
  state: Mutable<SessionState>,
  { estimated, usage }: Extract<KnownRecord, { readonly _tag: "ModelResponded" }>
): SessionState => {
  const { history, turn } = state
  if (estimated !== true && usage.total > 0 && turn?.isAside === false) state.measured = { usage, history }
  state.usage = TokenUsage.add(state.usage, usage)
  if (turn !== undefined) state.turn = { ...turn, modelRequest: undefined, usage: TokenUsage.add(turn.usage, usage) }
  return state
}

/** A question of a turn or, without a `turnId`, of the session. */
interface QuestionOwner {
  readonly turnId?: TurnId
}

const questionsOf = (state: SessionState, { turnId }: QuestionOwner): ReadonlyArray<OpenQuestion> =>
  turnId === undefined ? state.questions : (state.turn?.questions ?? none)

const withQuestions = (
  state: Mutable<SessionState>,
  { turnId }: QuestionOwner,
  questions: ReadonlyArray<OpenQuestion>
): SessionState => {
  if (turnId === undefined) state.questions = questions
  else if (state.turn !== undefined) state.turn = { ...state.turn, questions }
  return state
}

const openQuestion = (state: Mutable<SessionState>, record: QuestionOpened): SessionState => {
  const opened = {
    questionId: record.questionId,
    grantKeys: record.keys ?? [Authority.keyOf(record.tool, record.payload)]
  }
  return withQuestions(state, record, [...questionsOf(state, record), opened])
}

const settleQuestion = (state: Mutable<SessionState>, record: QuestionSettled): SessionState => {
  const open = questionsOf(state, record)
  const opened = open.find((one) => one.questionId === record.questionId)
  if (opened === undefined) return state
  const { decision } = record
  // a grant for the turn needs a turn, so a question of the session has none; a grant that names its permissions may be
  // less than what was asked for, so it answers no later question
  const scope = decision._tag === "Approved" && decision.permissions === undefined ? decision.scope : "once"
  if (scope === "session" || (scope === "turn" && record.turnId !== undefined)) {
    for (const key of opened.grantKeys) state.grants = Authority.grant(state.grants, { scope, key })
  }
  return withQuestions(
    state,
    record,
    open.filter((one) => one !== opened)
  )
}

const endTurn = (state: Mutable<SessionState>, record: Terminal): SessionState => {
  state.inbox = Inbox.endTurn(state.inbox, state.turn, record)
  state.grants = Authority.endTurn(state.grants)
  state.turn = undefined
  return state
}

/**
 * Returns a description of the invariant that the next record breaks, beginning with its number, or undefined if it
 * breaks none.
 */
export const violation = (self: SessionState, record: JournalRecord): string | undefined => {
  if (record.seq !== self.seq) return `1: record ${record.seq} instead of ${self.seq}`
  if ((record._tag === "SessionStarted") !== (self.seq === 0)) return `1: ${record._tag} at ${record.seq}`
  if (record._tag === "Unknown") return undefined
  const turn = self.turn
  if (record._tag === "TurnStarted") {
    if (turn !== undefined) return `2: turn ${record.turnId} starts inside ${turn.turnId}`
    const { carried, submissionId } = record
    return carried === true && submissionId !== undefined ? inputViolation(self, [submissionId]) : undefined
  }
  if (belongsToTurn(record) && record.turnId !== turn?.turnId) {
    return `3: ${record._tag} of turn ${record.turnId} while ${turn?.turnId ?? "no turn"} is open`
  }
  if (record._tag === "ItemRecorded") return itemViolation(self, record.item)
  if (record._tag === "HistoryReplaced") return replacementViolation(turn!)
  if (record._tag === "QuestionSettled") {
    return questionsOf(self, record).some((one) => one.questionId === record.questionId)
      ? undefined
      : `5: question ${record.questionId} is not open`
  }
  if (record._tag === "ModelRequested" || record._tag === "ModelResponded") return modelViolation(turn!, record)
  if (record._tag === "RolledBack") return rollbackViolation(self, record.turns)
  if (record._tag === "InputBlocked" || record._tag === "InputWithdrawn")
    return inputViolation(self, [record.submissionId])
  if (record._tag === "TaskReported") {
    return Inbox.runningTasks(self.inbox, record.turnId).some((one) => one.submissionId === record.submissionId)
      ? undefined
      : `10: task ${record.submissionId} does not run alongside turn ${record.turnId}`
  }
  if (record._tag === "TurnCompleted" || record._tag === "TurnFailed" || record._tag === "TurnAborted") {
    if (turn!.openCalls.length > 0) return `4: calls ${callIdsOf(turn!)} are open`
    if (turn!.questions.length > 0) return `5: ${turn!.questions.length} questions are open`
    if (turn!.modelRequest !== undefined) return `7: model request ${turn!.modelRequest} is open`
    const [task] = Inbox.runningTasks(self.inbox, turn!.turnId)
    if (task !== undefined) return `10: task ${task.submissionId} has not reported its result`
  }
  return record._tag === "TurnAborted"
    ? inputViolation(self, [...record.returned.map((one) => one.submissionId), ...record.dropped])
    : undefined
}

const belongsToTurn = (record: KnownRecord): record is Extract<KnownRecord, { readonly turnId: TurnId }> =>
  "turnId" in record &&
  record._tag !== "InputAccepted" &&
  record._tag !== "ProcessStarted" &&
  record.turnId !== undefined

const modelViolation = (
  { modelRequest }: OpenTurn,
  { _tag, requestId }: { readonly _tag: "ModelRequested" | "ModelResponded"; readonly requestId: ModelRequestId }
): string | undefined => {
  if (_tag === "ModelRequested") {
    return modelRequest === undefined ? undefined : `7: model request ${requestId} while ${modelRequest} is open`
  }
  return modelRequest === requestId ? undefined : `7: model request ${requestId} is not open`
}

const callIdsOf = ({ openCalls }: OpenTurn): string => openCalls.map((call) => call.callId).join(", ")

const replacementViolation = (turn: OpenTurn): string | undefined => {
  if (turn.modelRequest !== undefined) return `9: the history is replaced during model request ${turn.modelRequest}`
  return turn.openCalls.length > 0 ? `9: the history is replaced while calls ${callIdsOf(turn)} are open` : undefined
}

const rollbackViolation = (self: SessionState, turns: number): string | undefined => {
  if (self.turn !== undefined) return `8: a rollback inside turn ${self.turn.turnId}`
  const count = userTurnCount(self)
  return turns >= 0 && turns <= count ? undefined : `8: a rollback of ${turns} turns of ${count}`
}

const itemViolation = (self: SessionState, item: Item): string | undefined => {
  if (item._tag === "ToolResult" && !isOpen(self, item.callId))
    return `4: result of call ${item.callId}, which is not open`
  if (item._tag === "UserMessage" && item.submissionId !== undefined) return inputViolation(self, [item.submissionId])
  return undefined
}

const isOpen = (self: SessionState, callId: CallId): boolean =>
  self.turn?.openCalls.some((call) => call.callId === callId) ?? false

const inputViolation = (self: SessionState, submissionIds: ReadonlyArray<SubmissionId>): string | undefined => {
  const gone = submissionIds.find((id) => !self.inbox.some((entry) => entry.submissionId === id))
  return gone === undefined ? undefined : `6: input ${gone} is not waiting`
}

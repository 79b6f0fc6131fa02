/**
 * The inbox: accepted input that no turn has carried, in order of acceptance (contract P2, P3).
 *
 * The inbox is a value inside {@link SessionState}. Input enters it with the record that accepts it, and leaves it with
 * the record that carries, blocks, withdraws, returns or drops it. A task leaves it with the record that starts its
 * turn. So *taking* an input and *carrying* it are one step, and input that is not carried never leaves the inbox. An
 * entry is bound to the turn that it steers, or waits in the queue. A task alongside a turn is bound to that turn, and
 * becomes a notice with the record of its result.
 */
import type { SubmissionId, TurnId } from "../protocol/Ids.ts"
import type { Input } from "../protocol/Input.ts"
import type { AcceptedTask } from "../protocol/Op.ts"
import type { InputAccepted, TaskReported, Terminal, TurnCompleted, TurnFailed } from "../protocol/SessionEvent.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"

/**
 * One accepted input. `turnId` names the turn that it steers; without it the input waits for its own turn. A `fragment`
 * marks a notice of a program. A `task` replaces the regular task in its turn, or runs alongside the turn that `turnId`
 * names.
 */
export interface Entry {
  readonly submissionId: SubmissionId
  readonly input: Input
  readonly turnId: TurnId | undefined
  /** True if it starts no turn and joins the next turn that starts. */
  readonly waits?: true
  readonly fragment?: string | undefined
  readonly task?: AcceptedTask | undefined
  /** Its changes of the turn context, until a turn applies them. */
  readonly context?: TurnContext | undefined
}

/** Entries in order of acceptance. */
export type Inbox = ReadonlyArray<Entry>

/** An empty inbox. */
export const empty: Inbox = []

/**
 * Returns whether an inbox takes no further entry. An inbox that is full of notices still takes one entry that starts a
 * turn, because only such a turn can carry the notices.
 */
export const isFull = (self: Inbox, capacity: number, startsTurn: boolean): boolean => {
  if (self.length < capacity) return false
  // mutant notices-keep-no-input-out (P2: an inbox that is full of notices takes input that starts a turn): true
  return !startsTurn || self.some(({ waits }) => waits !== true)
}

/** Makes the entry of the input that a record accepts. */
export const entryOf = ({ context, delivery, fragment, input, submissionId, task, turnId }: InputAccepted): Entry => ({
  submissionId,
  input,
  turnId,
  ...(delivery === "wait" ? { waits: true as const } : {}),
  ...(fragment === undefined ? {} : { fragment }),
  ...(task === undefined ? {} : { task }),
  // changes that come with steering input apply to the next turn, see `SessionState`
  ...(context === undefined || turnId !== undefined ? {} : { context })
})

/** Adds an entry at the end. The caller checks the capacity. */
export const accept = (self: Inbox, entry: Entry): Inbox => [...self, entry]

/** Removes these submissions. */
export const remove = (self: Inbox, submissionIds: Iterable<SubmissionId>): Inbox => {
  if (self.length === 0) return self
  const gone = new Set(submissionIds)
  return gone.size === 0 ? self : self.filter((entry) => !gone.has(entry.submissionId))
}

/** Replaces a task alongside a turn with its result; see `TaskReported`. */
export const report = (
  self: Inbox,
  { fragment, input, submissionId }: Pick<TaskReported, "fragment" | "input" | "submissionId">
): Inbox =>
  self.map((entry) => (entry.submissionId === submissionId ? { ...entry, fragment, input, task: undefined } : entry))

/** A task that has not reported its result. */
export type RunningTask = Entry & { readonly task: AcceptedTask }

/** Returns whether input with this id waits: no turn has carried it, and it is not a running task. */
export const isWaiting = (self: Inbox, submissionId: SubmissionId): boolean =>
  self.some((entry) => entry.submissionId === submissionId && (entry.task === undefined || entry.turnId === undefined))

/** Returns the tasks that run alongside a turn and have not reported their results. */
export const runningTasks = (self: Inbox, turnId: TurnId): ReadonlyArray<RunningTask> =>
  self.filter((entry): entry is RunningTask => entry.task !== undefined && entry.turnId === turnId)

/** Returns the entries of a turn: the input that it was started with, then the input that steers it, in order. */
export const forTurn = (self: Inbox, turnId: TurnId, startedWith: SubmissionId | undefined): ReadonlyArray<Entry> => {
  if (self.length === 0) return self
  const own = self.filter((entry) => entry.submissionId === startedWith)
  const steering = self.filter(
    (entry) => entry.turnId === turnId && entry.submissionId !== startedWith && entry.task === undefined
  )
  return own.length === 0 ? steering : [...own, ...steering]
}

/** Returns the entries that wait for their own turn, in order. */
export const queuedEntries = (self: Inbox): ReadonlyArray<Entry> =>
  self.filter((entry) => entry.turnId === undefined && entry.waits !== true)

/**
 * Returns the number of entries that are ahead of the next entry of the queue. The input that the running turn was
 * started with is not counted: it may still wait to be carried, but it no longer waits for its own turn.
 */
export const aheadCount = (self: Inbox, startedWith: SubmissionId | undefined): number =>
  queuedEntries(self).filter((entry) => entry.submissionId !== startedWith).length

/** Binds the entries that waited for the next turn to this one. */
export const join = (self: Inbox, turnId: TurnId): Inbox =>
  self.some((entry) => entry.waits === true && entry.turnId === undefined)
    ? self.map((entry) => (entry.waits === true && entry.turnId === undefined ? { ...entry, turnId } : entry))
    : self

/**
 * Takes the changes of the turn context that apply from a turn that starts, in order: the changes of its input, and of
 * the entries that join it.
 */
export const takeContexts = (
  self: Inbox,
  startedWith: SubmissionId | undefined
): { readonly inbox: Inbox; readonly contexts: ReadonlyArray<TurnContext> } => {
  const isDue = ({ context, submissionId, turnId, waits }: Entry) =>
    context !== undefined && (submissionId === startedWith || (waits === true && turnId === undefined))
  const due = self.filter(isDue)
  if (due.length === 0) return { inbox: self, contexts: [] }
  return {
    inbox: self.map((entry) => (isDue(entry) ? { ...entry, context: undefined } : entry)),
    contexts: due.flatMap(({ context }) => (context === undefined ? [] : [context]))
  }
}

/** A turn that ends. */
export interface Ending {
  readonly startedWith: SubmissionId | undefined
  /** True if one of its records is missing. */
  readonly hasGap: boolean
}

/** Unbinds the entries that steered a turn that has ended. They keep their place, ahead of everything newer. */
export const release = (self: Inbox, turnId: TurnId): Inbox =>
  self.some((entry) => entry.turnId === turnId)
    ? self.map((entry) => (entry.turnId === turnId ? { ...entry, turnId: undefined } : entry))
    : self

/** Removes the entries that a turn has returned, dropped, or carried in a missing record, and releases the others. */
export const endTurn = (self: Inbox, turn: Ending | undefined, record: Terminal): Inbox => {
  const left =
    record._tag === "TurnAborted"
      ? remove(self, [...record.returned.map((one) => one.submissionId), ...record.dropped])
      : turn?.hasGap === true
        ? remove(self, carriedInGap(self, turn, record))
        : self
  return release(left, record.turnId)
}

/**
 * Returns the input that the missing record of a turn has carried. A turn that completed leaves no input, and a turn
 * that failed names the input that it leaves. If such input were carried again, it would run twice (contract J1).
 */
const carriedInGap = (
  self: Inbox,
  { startedWith }: Ending,
  record: TurnCompleted | TurnFailed
): ReadonlyArray<SubmissionId> => {
  const kept: ReadonlyArray<SubmissionId> = record._tag === "TurnFailed" ? record.kept : []
  return forTurn(self, record.turnId, startedWith)
    .map(({ submissionId }) => submissionId)
    .filter((submissionId) => !kept.includes(submissionId))
}

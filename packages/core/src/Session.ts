/**
 * A session: one conversation that runs one turn at a time, in a scope of its own.
 *
 * It owns a journal, a history, an inbox and at most one turn; it is told operations by `submit` and tells events in
 * return. Applications make one from an `Agent` and whatever the agent needs, and give it tasks of their own by
 * `start`. Closing the scope that made it stops what runs, settles it and lets go of the journal. `Sessions` keeps many
 * by id.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Agent } from "./Agent.ts"
import { runDetached } from "./internal/detached.ts"
import { Recorder } from "./internal/log/recorder.ts"
import { Subscribers } from "./internal/log/subscribers.ts"
import { Lifetime } from "./internal/session/lifetime.ts"
import { OwnerSession } from "./internal/session/ownerSession.ts"
import { Queue } from "./internal/session/queue.ts"
import * as Receipts from "./internal/session/receipts.ts"
import * as Recovery from "./internal/session/recovery.ts"
import { millis, type SessionContext } from "./internal/session/sessionContext.ts"
import { StartContexts } from "./internal/session/startContexts.ts"
import { Submissions } from "./internal/session/submissions.ts"
import { currentParent } from "./internal/session/submissionSpan.ts"
import { Questions } from "./internal/turn/questions.ts"
import { replace } from "./internal/turn/replacement.ts"
import { Resources } from "./internal/turn/resources.ts"
import type { TurnParts } from "./internal/turn/turnParts.ts"
import { type RunningTurn, Turns } from "./internal/turn/turnStart.ts"
import { acquireAll } from "./journal/acquireAll.ts"
import { Approvals, nameDefects } from "./ports/Approvals.ts"
import { guard, Hooks } from "./ports/Hooks.ts"
import { Journal, type JournalWriter } from "./ports/Journal.ts"
import type { Model } from "./ports/Model.ts"
import { SessionObserver } from "./ports/SessionObserver.ts"
import { IdGenerator, type ProcessId, type SessionId, type SubmissionId, type TurnId } from "./protocol/Ids.ts"
import type * as Input from "./protocol/Input.ts"
import type { Op, Receipt } from "./protocol/Op.ts"
import type { AbortReason } from "./protocol/Outcome.ts"
import { SessionConfig } from "./protocol/SessionConfig.ts"
import type { JournalFailed, SessionBusy, SessionClosed, SessionNotFound } from "./protocol/SessionError.ts"
import type { SessionEvent } from "./protocol/SessionEvent.ts"
import { SessionPolicy } from "./protocol/SessionPolicy.ts"
import type { Snapshot } from "./protocol/Snapshot.ts"
import type { TraceContext } from "./protocol/TraceContext.ts"
import * as History from "./state/History.ts"
import * as SessionState from "./state/SessionState.ts"
import type { Task } from "./Task.ts"
import * as RegularTask from "./tasks/RegularTask.ts"
import * as TaskSupervisor from "./TaskSupervisor.ts"
import type { Turn } from "./Turn.ts"

export type { RunningTurn } from "./internal/turn/turnStart.ts"
export type { Snapshot } from "./protocol/Snapshot.ts"

/** How to make a session. */
export interface SessionOptions {
  /** Opens this session again. Without it a new one is made. */
  readonly resume?: SessionId
  /** The id of the new session; by default one is drawn. */
  readonly sessionId?: SessionId
  /** What the first record says about the host. */
  readonly meta?: { readonly [key: string]: string }
  /** The sessions above this one, from the root to its parent; none for a root. */
  readonly ancestors?: ReadonlyArray<SessionId>
  /** Called with every event, in order, as `SessionObserver.onEvent` is and beside it: for whoever owns the session. */
  readonly onEvent?: (event: SessionEvent) => void
}

/**
 * One conversation.
 *
 * @example
 * ```ts
 * import { Agent, Op, Session } from "@spindle/core"
 * import { Effect } from "effect"
 *
 * const agent = Agent.make({ instructions: "Answer in one sentence." })
 *
 * export const program = Effect.gen(function*() {
 *   const session = yield* Session.make(agent)
 *   const receipt = yield* session.submit(Op.userInput("What is a fiber?"))
 *   yield* session.awaitIdle
 *   return receipt._tag
 * }).pipe(Effect.scoped)
 * ```
 */
export interface Session {
  readonly sessionId: SessionId
  /**
   * Takes one operation and answers its one receipt (contract P1). Input is durable before it is acknowledged (P2).
   * **Interruption**: before the append nothing happened; from it on the call is not interruptible, and bounded by
   * the deadline of the journal. **Errors**: `JournalFailed` when the operation could not be written; it is then not
   * accepted, and the session has failed.
   */
  readonly submit: (
    op: Op,
    options?: { readonly id?: SubmissionId; readonly trace?: TraceContext }
  ) => Effect.Effect<Receipt, JournalFailed>
  /**
   * Runs a task in a turn of its own, instead of whatever runs, which is aborted as `Replaced` (S4). The turn
   * provides `Turn` and `Scope`. **Interruption** stops only the wait: the turn starts all the same. **Errors**:
   * `SessionClosed`.
   */
  readonly start: <A, E, R>(
    task: Task<A, E, R>,
    input?: Input.Input
  ) => Effect.Effect<RunningTurn<A, E>, SessionClosed, Exclude<R, Turn | Scope.Scope>>
  /** Input for the running turn and no other: `submit` with an expected turn. See there. */
  readonly steer: (input: Input.Input, expectedTurnId: TurnId) => Effect.Effect<Receipt, JournalFailed>
  /**
   * Asks the running turn to stop, and answers at once whether it hit one (I1). Waiting for its end is `awaitIdle`.
   * **Interruption**: none, it is one step.
   */
  readonly abort: (reason?: AbortReason) => Effect.Effect<boolean>
  /**
   * What the session tells, from a record on (by default from its first). Each subscriber holds a bounded number of
   * events; records are never left out; text may come in larger pieces, and output of tools that a slow subscriber
   * missed is left out, as its offsets show (W2). Ends with the session. **Interruption** ends the subscription.
   * **Errors**: `JournalFailed` when records cannot be read back.
   */
  readonly events: (options?: { readonly from?: number }) => Stream.Stream<SessionEvent, JournalFailed>
  /** Waits until nothing runs and nothing is about to. **Interruption** stops only the wait. */
  readonly awaitIdle: Effect.Effect<void>
  /** What the session is now. */
  readonly snapshot: Effect.Effect<Snapshot>
  /** Processes that are running for this session, with a name for people. */
  readonly processes: Effect.Effect<ReadonlyArray<{ readonly processId: ProcessId; readonly name: string }>>
}

/** The service key of {@link Session}. */
export const Session: Context.Service<Session, Session> = Context.Service("@spindle/core/Session")

/**
 * Makes a session in the current scope, new or resumed, from its journal.
 *
 * **Interruption** before it is made: what was opened is let go of at once, as after an error. **Errors**:
 * `SessionNotFound` and `SessionBusy` from the journal; `JournalFailed` when it cannot be read or written.
 */
export const make = <R>(
  agent: Agent<R>,
  options: SessionOptions = {}
): Effect.Effect<Session, SessionNotFound | SessionBusy | JournalFailed, R | Model | Journal | Scope.Scope> =>
  makeSession(agent, options)

/** A session as a layer; see {@link Session.make}. */
export const layer = <R>(
  agent: Agent<R>,
  options: SessionOptions = {}
): Layer.Layer<Session, SessionNotFound | SessionBusy | JournalFailed, Exclude<R, Scope.Scope> | Model | Journal> =>
  Layer.effect(Session, makeSession(agent, options))

const makeSession = Effect.fnUntraced(function* <R>(agent: Agent<R>, options: SessionOptions) {
  // the context of the session's fibers, and all that the agent needs
  const services = yield* Effect.context<R | Model>()
  const journal = yield* Journal
  const clock = yield* Clock.Clock
  const ids = yield* IdGenerator
  const newId = () => ids.next(clock.currentTimeMillisUnsafe())
  const sessionId = options.resume ?? options.sessionId ?? (newId() as SessionId)
  const writer = yield* journal.open(sessionId, options.resume === undefined ? "create" : "existing")
  const ancestors = options.ancestors ?? none
  const session: SessionContext = {
    sessionId,
    ancestors,
    path: [...ancestors, sessionId],
    source: options.resume === undefined ? "new" : "resumed",
    context: services as Context.Context<never>,
    clock,
    config: yield* SessionConfig,
    policy: yield* SessionPolicy,
    hooks: guard(yield* Hooks, (message) => Effect.sync(() => parts.recorder.append({ _tag: "Warning", message }))),
    approvals: nameDefects(yield* Approvals),
    newId
  }
  const parts = makeParts(session, writer, { observers: observersOf(options, yield* SessionObserver), agent, services })
  yield* Effect.acquireRelease(Effect.void, () => close(parts))
  yield* Recovery.open(session, parts.recorder, writer.opened, options.meta)
  return makeService(parts, writer)
}, acquireAll)

// one for all sessions that have none
const none: ReadonlyArray<never> = []

/** The observers of a session: its owner, and that of all sessions. */
const observersOf = (
  { onEvent }: SessionOptions,
  observer: SessionObserver | undefined
): ReadonlyArray<SessionObserver> => {
  const own = onEvent === undefined ? none : [{ onEvent: (_: SessionId, event: SessionEvent) => onEvent(event) }]
  return observer === undefined ? own : [...own, observer]
}

/** The parts of a session. Each holds its own state. */
interface Parts extends TurnParts {
  readonly lifetime: Lifetime
  readonly subscribers: Subscribers
  readonly ownerSession: OwnerSession
  readonly turns: Turns
  readonly queue: Queue
  readonly submissions: Submissions
}

const makeParts = <R>(
  session: SessionContext,
  writer: JournalWriter,
  {
    agent,
    observers,
    services
  }: {
    readonly observers: ReadonlyArray<SessionObserver>
    readonly agent: Agent<R>
    readonly services: Context.Context<R | Model>
  }
): Parts => {
  const { clock, config, context, policy, sessionId } = session
  const { records } = writer.opened
  const state = SessionState.fold(records)
  const subscribers = new Subscribers(config.subscriberCapacity, state.seq)
  const supervisor = TaskSupervisor.makeUnsafe(context, clock)
  const onFailure = (error: JournalFailed) => {
    // mutant owner-hears-of-the-journal (S2: a journal that fails ends the turn whose task waits for it): drop
    supervisor.fail(Cause.fail(error))
    questions.cancelAll(undefined, "end")
  }
  const deadline = config.journalDeadline
  const recorder = new Recorder(
    { sessionId, writer, context, clock, deadline, subscribers, observers, onFailure },
    state
  )
  const { signals } = recorder
  if (signals.isMeasuring) {
    subscribers.onWaiting = (eventsChange) => signals.emit({ _tag: "Waiting", eventsChange })
  }
  const lifetime = new Lifetime(recorder)
  const questions = new Questions(session, recorder, lifetime)
  const resources = new Resources(policy)
  const startContexts = new StartContexts()
  const ownerSession: OwnerSession = new OwnerSession({
    session,
    lifetime,
    questions,
    submit: (op, options) => submissions.submit(op, options)
  })
  const regular = RegularTask.make(agent)
  const queue: Queue = new Queue({
    context,
    supervisor,
    isOpen: () => lifetime.isOpen,
    stateOf: () => recorder.state,
    start: ({ input, submissionId }, parent) => turns.start(regular, services, { input, submissionId, parent })?.turnId
  })
  const parts: TurnParts = { session, recorder, supervisor, questions, resources, startContexts, ownerSession }
  const turns = new Turns({
    ...parts,
    resumedSpan: session.source === "resumed" ? Recovery.lastSpanOf(records) : undefined,
    onStart: queue.onTurnStart,
    onFree: queue.onTurnEnd
  })
  const submissions = new Submissions(
    { session, lifetime, recorder, supervisor, questions, startContexts, turns, queue },
    Receipts.ofRecords(records)
  )
  return { ...parts, ownerSession, lifetime, subscribers, turns, queue, submissions }
}

/** How long the turn in the slot may take to end when its session closes: what the configuration allows each part. */
const closeLimit = ({ abortHookLimit, grace, journalDeadline }: SessionConfig): number =>
  millis(grace) + millis(abortHookLimit) + 2 * millis(journalDeadline)

/** Stops what runs, settles it, ends delegates and processes, and ends the streams; bounded in time (S7). */
const close = Effect.fnUntraced(function* ({
  lifetime,
  ownerSession,
  questions,
  recorder,
  resources,
  session: { config, context },
  subscribers,
  supervisor
}: Parts) {
  lifetime.close()
  questions.cancelAll(undefined, "end")
  supervisor.abort("Shutdown")
  const idle = Effect.timeoutOption(supervisor.awaitIdle, closeLimit(config))
  const children = Effect.timeoutOption(runDetached(context, ownerSession.closeChildren), config.delegateDeadline)
  // mutant evicts (S7: a session that closes ends its delegates): replace: yield* idle
  yield* Effect.all([idle, children], { concurrency: "unbounded" })
  if (!resources.isEmpty) {
    yield* Effect.timeoutOption(runDetached(context, resources.endAll), config.processDeadline)
  }
  // nothing is recorded after the last wait: a straggler that ends now would write to a journal that is closed
  // mutant shut-before-the-last-wait (S7: a session that closes records nothing after its last wait): drop
  recorder.close()
  // a journal that fails here has reported that to every subscriber
  yield* Effect.ignore(recorder.flush)
  subscribers.end()
  recorder.signals.emit({ _tag: "Closed" })
})

const makeService = (parts: Parts, writer: JournalWriter): Session => {
  const { lifetime, queue, recorder, resources, session, submissions, subscribers, supervisor, turns } = parts
  const { context, sessionId } = session
  const submit: Session["submit"] = (op, options) => submissions.submit(op, options)
  return {
    sessionId,
    submit,
    start: (task, input = []) =>
      Effect.contextWith((services: Context.Context<Exclude<TaskServices<typeof task>, Turn | Scope.Scope>>) => {
        const parent = currentParent(services as Context.Context<never>)
        const start = () => turns.start(task, Context.merge(context, services), { input, parent })
        return replace({ sessionId, lifetime, queue, supervisor, start })
      }),
    steer: (input, expectedTurnId) => submit({ _tag: "UserInput", input, expectedTurnId }),
    abort: (reason = "Interrupted") => Effect.sync(() => supervisor.abort(reason)),
    events: (options) => subscribers.stream(options?.from ?? 0, writer),
    awaitIdle: queue.awaitIdle,
    snapshot: Effect.sync(() => ({
      sessionId,
      seq: recorder.state.seq,
      status: statusOf(parts),
      turnId: recorder.state.turn?.turnId,
      items: History.toArray(recorder.state.history),
      waiting: recorder.state.inbox.map((entry) => entry.submissionId),
      usage: recorder.state.usage,
      turnCount: recorder.state.turnCount
    })),
    processes: Effect.sync(() => resources.processes)
  }
}

type TaskServices<T> = T extends Task<any, any, infer R> ? R : never

const statuses = { Idle: "idle", Running: "running", Aborting: "aborting", Settling: "settling" } as const

const statusOf = ({ lifetime, recorder, supervisor }: Parts): Snapshot["status"] => {
  if (recorder.failure !== undefined) return "failed"
  return lifetime.isClosed ? "closed" : statuses[supervisor.state()._tag]
}

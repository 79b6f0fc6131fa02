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
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Agent } from "./Agent.ts"
import * as RegularTask from "./tasks/RegularTask.ts"
import * as Opening from "./internal/session/recovery.ts"
import { ambient } from "./internal/session/submissionSpan.ts"
import type { Kernel } from "./internal/session/sessionContext.ts"
import * as Processes from "./internal/turn/processes.ts"
import * as Receipts from "./internal/session/receipts.ts"
import { Recorder } from "./internal/log/recorder.ts"
import * as Requests from "./internal/turn/questions.ts"
import * as Submissions from "./internal/session/submissions.ts"
import { Subscribers } from "./internal/log/subscribers.ts"
import * as Turns from "./internal/turn/turns.ts"
import { SessionOfTurns } from "./internal/session/ownerSession.ts"
import { Approvals, nameDefects } from "./ports/Approvals.ts"
import { guard, Hooks } from "./ports/Hooks.ts"
import { Journal, type JournalWriter } from "./ports/Journal.ts"
import type { Model } from "./ports/Model.ts"
import { SessionObserver } from "./ports/SessionObserver.ts"
import { acquireAll } from "./journal/acquireAll.ts"
import { IdGenerator, type ProcessId, type SessionId, type SubmissionId, type TurnId } from "./protocol/Ids.ts"
import type * as Input from "./protocol/Input.ts"
import type { Op, Receipt } from "./protocol/Op.ts"
import type { AbortReason } from "./protocol/Outcome.ts"
import { SessionConfig } from "./protocol/SessionConfig.ts"
import { SessionPolicy } from "./protocol/SessionPolicy.ts"
import type { SessionClosed } from "./protocol/SessionError.ts"
import { type JournalFailed, type SessionBusy, type SessionNotFound } from "./protocol/SessionError.ts"
import type { SessionEvent } from "./protocol/SessionEvent.ts"
import type { Snapshot } from "./protocol/Snapshot.ts"
import type { TraceContext } from "./protocol/TraceContext.ts"
import * as History from "./state/History.ts"
import type { Task } from "./Task.ts"
import * as TaskSupervisor from "./TaskSupervisor.ts"
import type { Turn } from "./Turn.ts"

export type { RunningTurn } from "./internal/turn/turns.ts"
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
   * Takes one operation and returns its one receipt (contract P1). Input is durable before it is acknowledged (P2).
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
  ) => Effect.Effect<Turns.RunningTurn<A, E>, SessionClosed, Exclude<R, Turn | Scope.Scope>>
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
  const services = yield* Effect.context<R | Model>()
  const journal = yield* Journal
  const clock = yield* Clock.Clock
  const ids = yield* IdGenerator
  const newId = () => ids.next(clock.currentTimeMillisUnsafe())
  const sessionId = options.resume ?? options.sessionId ?? (newId() as SessionId)
  const writer = yield* journal.open(sessionId, options.resume === undefined ? "create" : "existing")
  const kernel = yield* makeKernel({
    sessionId,
    source: options.resume === undefined ? "new" : "resumed",
    writer,
    clock,
    newId,
    options
  })
  yield* Effect.acquireRelease(Effect.void, () => close(kernel.value, kernel.subscribers))
  yield* Opening.open(kernel.value, writer.opened, options)
  const regular = { task: RegularTask.make(agent), services }
  const submissions = new Submissions.Submissions(kernel.value, regular, Receipts.ofRecords(writer.opened.records))
  kernel.value.host = new SessionOfTurns(kernel.value, submissions)
  return service({ kernel: kernel.value, subscribers: kernel.subscribers, writer, submissions })
}, acquireAll)

const makeKernel = Effect.fnUntraced(function* ({
  clock,
  newId,
  options,
  sessionId,
  source,
  writer
}: Pick<Kernel, "clock" | "newId" | "sessionId" | "source"> & {
  readonly writer: JournalWriter
  readonly options: SessionOptions
}) {
  const context = yield* Effect.context<never>()
  const config = yield* SessionConfig
  const observer = yield* SessionObserver
  const { opened } = writer
  const state = Opening.stateOf(opened)
  const subscribers = new Subscribers(config.subscriberCapacity, state.seq)
  const supervisor = TaskSupervisor.makeUnsafe(context, clock)
  const recorder = new Recorder(
    {
      sessionId,
      writer,
      context,
      clock,
      deadline: config.journalDeadline,
      subscribers,
      observers: observersOf(options, observer),
      onFailure: (error) => {
        // mutant owner-hears-of-the-journal (S2: a journal that fails ends the turn whose task waits for it): drop
        supervisor.fail(Cause.fail(error))
        Requests.cancelAll(kernel, undefined, "end")
      }
    },
    state
  )
  if (recorder.isMeasuring) {
    subscribers.onWaiting = (eventsChange) => recorder.measured({ _tag: "Waiting", eventsChange })
  }
  const kernel: Kernel = {
    sessionId,
    ancestors: options.ancestors ?? none,
    context,
    clock,
    config,
    policy: yield* SessionPolicy,
    hooks: guard(yield* Hooks, (message) => Effect.sync(() => void recorder.append({ _tag: "Warning", message }))),
    decider: nameDefects(yield* Approvals),
    newId,
    recorder,
    supervisor,
    requests: undefined,
    processes: undefined,
    tenants: undefined,
    host: undefined,
    ledger: undefined,
    greetedAt: undefined,
    source,
    resumedSpan: source === "resumed" ? Opening.lastSpanOf(opened.records) : undefined,
    replacing: 0,
    next: undefined,
    unnamed: false,
    closed: false
  }
  return { value: kernel, subscribers }
})

// one for all sessions that have none
const none: ReadonlyArray<never> = []

/** Who is told what the session tells: its owner, and whoever observes all sessions. */
const observersOf = (
  { onEvent }: SessionOptions,
  observer: SessionObserver | undefined
): ReadonlyArray<SessionObserver> => {
  const own = onEvent === undefined ? none : [{ onEvent: (_: SessionId, event: SessionEvent) => onEvent(event) }]
  return observer === undefined ? own : [...own, observer]
}

/** Closes what lives beside the turns; what takes longer than its deadline goes on alone. */
const evict = ({ config, supervisor, tenants }: Kernel): Effect.Effect<void> =>
  tenants === undefined
    ? Effect.void
    : Effect.asVoid(Effect.timeoutOption(supervisor.outlive(Scope.close(tenants, Exit.void)), config.delegateDeadline))

/** Stops what runs, settles it, ends delegates and processes, and ends the streams; bounded in time (S7). */
const close = Effect.fnUntraced(function* (kernel: Kernel, subscribers: Subscribers) {
  kernel.closed = true
  Requests.cancelAll(kernel, undefined, "end")
  kernel.supervisor.abort("Shutdown")
  if (kernel.tenants !== undefined || kernel.supervisor.state()._tag !== "Idle") {
    const idle = Effect.timeoutOption(kernel.supervisor.awaitIdle, Turns.closeLimit(kernel))
    // mutant evicts (S7: a session that closes ends its delegates): replace: yield* idle
    yield* Effect.all([idle, evict(kernel)], { concurrency: "unbounded" })
  }
  if (Processes.owned(kernel).length > 0) {
    yield* Effect.timeoutOption(kernel.supervisor.outlive(Processes.endAll(kernel)), kernel.config.processDeadline)
  }
  // nothing is recorded behind the last wait: a straggler that ends now would write to a journal that is let go of
  // mutant shut-before-the-last-wait (S7: a session that closes records nothing after its last wait): drop
  kernel.recorder.closed = true
  // a journal that fails here has told so to every subscriber, and ends nothing that has not ended
  yield* Effect.ignore(kernel.recorder.barrier)
  subscribers.end()
  kernel.recorder.measured({ _tag: "Closed" })
})

const service = ({
  kernel,
  submissions,
  subscribers,
  writer
}: {
  readonly kernel: Kernel
  readonly subscribers: Subscribers
  readonly writer: JournalWriter
  readonly submissions: Submissions.Submissions
}): Session => {
  const { recorder, sessionId, supervisor } = kernel
  const awaitIdle: Effect.Effect<void> = Effect.suspend(() => {
    if (supervisor.state()._tag !== "Idle") return Effect.andThen(supervisor.awaitIdle, awaitIdle)
    // between the end of a replaced turn and its replacement
    // mutant idle-behind-a-replacement (S4: a session is not idle between a turn and its replacement): drop
    // mutant waiting-gives-way (S4: a fiber that waits for a replacement yields to it):
    //   replace: `Effect.yieldNow` => `Effect.void`
    if (kernel.replacing > 0) return Effect.andThen(supervisor.turnstile(Effect.yieldNow), awaitIdle)
    // mutant idle-behind-the-queue (P2: a session is not idle while the head of the queue is about to start): true
    return kernel.next === undefined ? Effect.void : Effect.andThen(Fiber.await(kernel.next), awaitIdle)
  })
  const submit: Session["submit"] = (op, options) => submissions.submit(op, options)
  return {
    sessionId,
    submit,
    start: (task, input = []) =>
      Effect.contextWith((services: Context.Context<Exclude<TaskServices<typeof task>, Turn | Scope.Scope>>) => {
        const begin = { input, caller: ambient(services as Context.Context<never>) }
        return Turns.replace(
          kernel,
          () => Turns.start(kernel, task, services, begin, (outcome) => submissions.freed(outcome)),
          () => submissions.replaced()
        )
      }),
    steer: (input, expectedTurnId) => submit({ _tag: "UserInput", input, expectedTurnId }),
    abort: (reason = "Interrupted") => Effect.sync(() => supervisor.abort(reason)),
    events: (options) => subscribers.stream(options?.from ?? 0, writer),
    awaitIdle,
    snapshot: Effect.sync(() => ({
      sessionId,
      seq: recorder.state.seq,
      status: statusOf(kernel),
      turnId: recorder.state.turn?.turnId,
      items: History.toArray(recorder.state.history),
      waiting: recorder.state.inbox.map((entry) => entry.submissionId),
      usage: recorder.state.usage,
      turnCount: recorder.state.turnCount
    })),
    processes: Effect.sync(() => Processes.owned(kernel).map(({ name, processId }) => ({ processId, name })))
  }
}

type TaskServices<T> = T extends Task<any, any, infer R> ? R : never

const statusOf = (kernel: Kernel): Snapshot["status"] => {
  if (kernel.recorder.failure !== undefined) return "failed"
  if (kernel.closed) return "closed"
  const state = kernel.supervisor.state()._tag
  return state === "Idle" ? "idle" : state === "Running" ? "running" : state === "Aborting" ? "aborting" : "settling"
}

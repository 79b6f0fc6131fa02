/**
 * A session: one conversation that runs one turn at a time.
 *
 * It owns a journal, a history, an inbox and at most one turn. Its clients send it operations with `submit` and read
 * its events. An application makes a session from an `Agent` and the services that the agent needs, and runs custom
 * tasks in it with `start`. Closing the scope of a session stops the running turn, settles it and closes the journal.
 * `Sessions` keeps many sessions by id.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { Agent } from "./Agent.ts"
import { runDetached } from "./internal/detached.ts"
import { Recorder } from "./internal/log/recorder.ts"
import { Subscribers } from "./internal/log/subscribers.ts"
import { approvalsOf } from "./internal/session/approvals.ts"
import { Lifetime } from "./internal/session/lifetime.ts"
import { OwnerSession } from "./internal/session/ownerSession.ts"
import { Queue, type StartResult } from "./internal/session/queue.ts"
import * as Receipts from "./internal/session/receipts.ts"
import * as Recovery from "./internal/session/recovery.ts"
import { millis, type SessionContext } from "./internal/session/sessionContext.ts"
import { StartContexts } from "./internal/session/startContexts.ts"
import { Submissions } from "./internal/session/submissions.ts"
import { currentParent } from "./internal/session/submissionSpan.ts"
import * as TaskKinds from "./internal/session/taskKinds.ts"
import { guard, Hooks } from "./Hooks.ts"
import { Questions } from "./internal/turn/questions.ts"
import { replace } from "./internal/turn/replacement.ts"
import { Resources } from "./internal/turn/resources.ts"
import type { TurnParts } from "./internal/turn/turnParts.ts"
import { type RunningTurn, Turns } from "./internal/turn/turnStart.ts"
import { acquireAll } from "./journal/acquireAll.ts"
import { Approvals, type Question } from "./ports/Approvals.ts"
import { Fragments } from "./ports/Fragments.ts"
import { Journal, type JournalWriter } from "./ports/Journal.ts"
import type { Model } from "./ports/Model.ts"
import { SessionObserver } from "./ports/SessionObserver.ts"
import { IdGenerator, type ProcessId, type SessionId, type TurnId } from "./protocol/Ids.ts"
import type * as Input from "./protocol/Input.ts"
import type { Op, Receipt, Submission } from "./protocol/Op.ts"
import type { AbortReason } from "./protocol/Outcome.ts"
import { SessionConfig } from "./protocol/SessionConfig.ts"
import type { JournalFailed, SessionBusy, SessionClosed, SessionNotFound } from "./protocol/SessionError.ts"
import type { SessionEvent } from "./protocol/SessionEvent.ts"
import { SessionPolicy } from "./protocol/SessionPolicy.ts"
import type { Snapshot } from "./protocol/Snapshot.ts"
import { TurnContextRule } from "./protocol/TurnContext.ts"
import * as History from "./state/History.ts"
import * as SessionState from "./state/SessionState.ts"
import type { Task } from "./Task.ts"
import * as RegularTask from "./tasks/RegularTask.ts"
import * as TaskSupervisor from "./TaskSupervisor.ts"
import * as Tracing from "./Tracing.ts"
import type { Turn } from "./Turn.ts"

export type { RunningTurn } from "./internal/turn/turnStart.ts"
export type { Snapshot } from "./protocol/Snapshot.ts"

/** Options of a new or resumed session. */
export interface SessionOptions {
  /** The session to resume. Default: a new session is made. */
  readonly resume?: SessionId | undefined
  /** The id of the new session. Default: a generated one. */
  readonly sessionId?: SessionId | undefined
  /** Facts about the host, for the first record. */
  readonly meta?: { readonly [key: string]: string } | undefined
  /** The sessions above this one, from the root to its parent; none for a root. */
  readonly ancestors?: ReadonlyArray<SessionId> | undefined
  /**
   * Called with every event, in order, in addition to `SessionObserver.onEvent`. It is meant for the owner of the
   * session.
   */
  readonly onEvent?: ((event: SessionEvent) => void) | undefined
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
   * Submits an operation, or a submission that gives it an id and a trace, and returns its one receipt (contract P1).
   * Input is durable before it is acknowledged (P2). **Interruption** before the append leaves nothing. From the append
   * onwards the call is not interruptible, and the deadline of the journal bounds it. **Errors**: `JournalFailed` if
   * the operation could not be written. It is then not accepted, and the session has failed. Every other result is a
   * receipt, including `SessionClosed`.
   */
  readonly submit: (submission: Op | Submission) => Effect.Effect<Receipt, JournalFailed>
  /**
   * Runs a task in a new turn, and returns the turn once it has started. A turn that is running is aborted as
   * `Replaced` (S4). The turn provides `Turn` and `Scope`. **Interruption** stops only the wait: the turn starts
   * anyway. **Errors**: `SessionClosed`. A task is not a submission, so it has no receipt.
   */
  readonly start: <A, E, R>(
    task: Task<A, E, R>,
    input?: Input.Input
  ) => Effect.Effect<RunningTurn<A, E>, SessionClosed, Exclude<R, Turn | Scope.Scope>>
  /**
   * Submits input for this running turn and no other; see `submit`. If it is not running, the receipt is `Rejected`.
   */
  readonly steer: (input: Input.Input, expectedTurnId: TurnId) => Effect.Effect<Receipt, JournalFailed>
  /**
   * Asks the running turn to stop, and returns at once whether one was running (I1). `awaitIdle` waits for its end. It
   * runs in one step, so it cannot be interrupted.
   */
  readonly abort: (reason?: AbortReason) => Effect.Effect<boolean>
  /**
   * The events of the session, from a record onwards (by default the first). Each subscriber holds a bounded number of
   * events. No subscriber misses a record. A slow one may get text in larger pieces, and may miss output of tools,
   * which the offsets show (W2). The stream ends with the session. **Interruption** ends the subscription. **Errors**:
   * `JournalFailed` if records cannot be read back.
   */
  readonly events: (options?: { readonly from?: number | undefined }) => Stream.Stream<SessionEvent, JournalFailed>
  /** Waits until no turn is running and none is about to start. **Interruption** stops only the wait. */
  readonly awaitIdle: Effect.Effect<void>
  /** The session at this moment. */
  readonly snapshot: Effect.Effect<Snapshot>
  /** The processes of this session that are not known to have ended, with a name for people. */
  readonly processes: Effect.Effect<ReadonlyArray<{ readonly processId: ProcessId; readonly name: string }>>
}

/** The service key of {@link Session}. */
export const Session: Context.Service<Session, Session> = Context.Service("@spindle/core/Session")

/**
 * Makes a session in the current scope, new or resumed from its journal.
 *
 * **Interruption** before it is made closes what was opened, and so does an error. **Errors**: `SessionNotFound` if
 * there is no journal to resume; `SessionBusy` if another process has the session open; `JournalFailed` if its journal
 * cannot be read or written.
 *
 * @example
 * ```ts
 * import { Agent, Journal, Op, Session } from "@spindle/core"
 * import { ScriptedModel } from "@spindle/testing"
 * import { Effect, Layer } from "effect"
 *
 * const model = ScriptedModel.make([[ScriptedModel.text("Hello, Ada.")]])
 * const program = Effect.gen(function* () {
 *   const session = yield* Session.make(Agent.make({ instructions: "Greet people." }))
 *   yield* session.submit(Op.userInput("I am Ada."))
 *   yield* session.awaitIdle
 *   return (yield* session.snapshot).items.at(-1)
 * }).pipe(Effect.scoped, Effect.provide(Layer.merge(model.layer, Journal.layerMemory())))
 * const item = await Effect.runPromise(program)
 * console.log(item?._tag === "AssistantMessage" ? item.text : item)
 * // prints: Hello, Ada.
 * ```
 */
export const make = <R>(
  agent: Agent<R>,
  options: SessionOptions = {}
): Effect.Effect<Session, SessionNotFound | SessionBusy | JournalFailed, R | Model | Journal | Scope.Scope> =>
  makeSession(agent, options)

/** A session as a layer; see {@link make}. */
export const layer = <R>(
  agent: Agent<R>,
  options: SessionOptions = {}
): Layer.Layer<Session, SessionNotFound | SessionBusy | JournalFailed, Exclude<R, Scope.Scope> | Model | Journal> =>
  Layer.effect(Session, makeSession(agent, options))

const makeSession = Effect.fnUntraced(function* <R>(agent: Agent<R>, options: SessionOptions) {
  const creator = yield* Effect.context<R | Model>()
  // the context of the session's fibers, with the services that the agent needs; the session outlives the span in which
  // it is made
  const services = Context.omit(Tracer.ParentSpan, Tracing.OpenSpans)(creator) as Context.Context<R | Model>
  const journal = yield* Journal
  const clock = yield* Clock.Clock
  const ids = yield* IdGenerator
  const newId = () => ids.next(clock.currentTimeMillisUnsafe())
  const sessionId = options.resume ?? options.sessionId ?? (newId() as SessionId)
  const writer = yield* journal.open(sessionId, options.resume === undefined ? "create" : "existing")
  const ancestors = options.ancestors ?? none
  const config = yield* SessionConfig
  const session: SessionContext = {
    sessionId,
    ancestors,
    path: [...ancestors, sessionId],
    source: options.resume === undefined ? "new" : "resumed",
    context: services as Context.Context<never>,
    clock,
    config,
    policy: yield* SessionPolicy,
    hooks: guard(yield* Hooks, (message) => Effect.sync(() => parts.recorder.append({ _tag: "Warning", message }))),
    fragments: yield* Fragments,
    approvals: approvalsOf(config, yield* Approvals, (question) => reportUnanswered(parts, question)),
    contextRule: ancestors.length === 0 ? yield* TurnContextRule : refuseChange,
    newId
  }
  const parts = makeParts(session, writer, { observers: observersOf(options, yield* SessionObserver), agent, services })
  const { recorder } = parts
  yield* Effect.acquireRelease(Effect.void, () => close(parts))
  recorder.descendFrom(Tracing.currentSpan(creator as Context.Context<never>))
  yield* Recovery.start(session, recorder, writer.opened, options.meta)
  recorder.descendFrom(undefined)
  return makeService(parts, writer)
}, acquireAll)

const reportUnanswered = (
  { recorder, subscribers }: Parts,
  { kind, questionId, tool }: Question
): Effect.Effect<void> =>
  Effect.sync(() => {
    if (!subscribers.isEmpty) return
    const about = tool === undefined ? kind : `${kind} of ${tool}`
    const message = `no one answers the question ${questionId} (${about}): the session has no decider, no deadline and no client`
    recorder.append({ _tag: "Warning", message })
  })

const refuseChange = () => "a session below another one has the context of the turn that started it"

// shared by all sessions without ancestors or observers
const none: ReadonlyArray<never> = []

/** Returns the observers of a session: that of its owner, and that of all sessions. */
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
    // mutant journal-failure-ends-the-turn (S2: a journal that fails ends the turn whose task waits for it): drop
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
    stateOf: () => recorder.state,
    submit: (submission) => submissions.submit(submission)
  })
  const regular = RegularTask.make(agent)
  const queue: Queue = new Queue({
    context,
    supervisor,
    isOpen: () => lifetime.isOpen,
    stateOf: () => recorder.state,
    start: ({ input, submissionId, task }, parent) => {
      if (task === undefined) return startResultOf(turns.start(regular, services, { input, submissionId, parent }))
      const found = TaskKinds.find(agent.tasks, task)
      if (TaskKinds.isMissing(found)) {
        recorder.append({ _tag: "InputBlocked", submissionId, reason: TaskKinds.textOf(found) })
        return { _tag: "Blocked" }
      }
      return startResultOf(turns.start(found, services, { input, submissionId, carried: true, parent }))
    }
  })
  const parts: TurnParts = { session, recorder, supervisor, questions, resources, startContexts, ownerSession }
  const turns = new Turns({
    ...parts,
    resumedSpan: session.source === "resumed" ? Recovery.lastSpanOf(records) : undefined,
    onStart: queue.onTurnStart,
    onFree: queue.onTurnEnd
  })
  const submissions = new Submissions(
    {
      session,
      lifetime,
      recorder,
      supervisor,
      questions,
      resources,
      startContexts,
      turns,
      queue,
      taskKinds: agent.tasks
    },
    Receipts.ofRecords(records)
  )
  return { ...parts, ownerSession, lifetime, subscribers, turns, queue, submissions }
}

const startResultOf = (turn: RunningTurn<unknown, unknown> | undefined): StartResult =>
  turn === undefined ? { _tag: "SlotTaken" } : { _tag: "Started", turnId: turn.turnId }

/**
 * Returns the longest time, in milliseconds, that the turn in the slot may take to end when its session closes: the sum
 * of the limits of its parts.
 */
const closeLimit = ({ grace, journalDeadline }: SessionConfig, { abortHooksMillis }: Turns): number =>
  // the clean-ups that wait for the hooks have another grace period
  2 * millis(grace) + abortHooksMillis + 2 * millis(journalDeadline)

/**
 * Closes a session: stops and settles the running turn, ends delegates and processes, and ends the streams. Bounded in
 * time (S7).
 */
const close = Effect.fnUntraced(function* ({
  lifetime,
  ownerSession,
  questions,
  recorder,
  resources,
  session: { config, context },
  subscribers,
  supervisor,
  turns
}: Parts) {
  lifetime.close()
  questions.cancelAll(undefined, "end")
  supervisor.abort("Shutdown")
  if (supervisor.state()._tag !== "Idle" || ownerSession.hasChildren) {
    const idle = Effect.timeoutOption(supervisor.awaitIdle, closeLimit(config, turns))
    const children = Effect.timeoutOption(runDetached(context, ownerSession.closeChildren), config.delegateDeadline)
    // mutant evicts (S7: a session that closes ends its delegates): replace: yield* idle
    yield* Effect.all([idle, children], { concurrency: "unbounded" })
  } else yield* ownerSession.closeChildren
  if (!resources.isEmpty) {
    yield* Effect.timeoutOption(runDetached(context, resources.endAll), config.processDeadline)
  }
  // nothing is recorded after the last wait: a straggler that ends now would write to a journal that is closed
  // mutant no-record-after-the-last-wait (S7: a session that closes records nothing after its last wait): drop
  recorder.close()
  // a journal that fails here has reported that to every subscriber
  yield* Effect.ignore(recorder.flush)
  subscribers.end()
  recorder.signals.emit({ _tag: "Closed" })
})

const makeService = (parts: Parts, writer: JournalWriter): Session => {
  const { lifetime, queue, recorder, resources, session, submissions, subscribers, supervisor, turns } = parts
  const { context, sessionId } = session
  const submit: Session["submit"] = (submission) => submissions.submit(submission)
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
      title: recorder.state.title,
      seq: recorder.state.seq,
      status: statusOf(parts),
      turnId: recorder.state.turn?.turnId,
      items: History.toArray(recorder.state.history),
      waiting: recorder.state.inbox.map((entry) => entry.submissionId),
      usage: recorder.state.usage,
      turnCount: recorder.state.turnCount,
      turnContext: recorder.state.turnContext
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

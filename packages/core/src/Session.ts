/**
 * A session: one conversation that runs one turn at a time.
 *
 * It owns a journal, a history, an inbox and at most one turn. Its clients send it operations with `submit` and read
 * its events. An application makes a session from an `Agent` and the services that the agent needs, and runs custom
 * tasks in it with `start`. Closing the scope of a session stops the running turn, settles it and closes the journal.
 * `Sessions` keeps many sessions by id.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { Agent } from "./Agent.ts"
import { approvalsOf, warnUnanswered } from "./internal/session/approvals.ts"
import { close, makeParts, type Parts } from "./internal/session/parts.ts"
import * as Recovery from "./internal/session/recovery.ts"
import type { SessionContext } from "./internal/session/sessionContext.ts"
import { currentParent } from "./internal/session/submissionSpan.ts"
import { guard, Hooks } from "./Hooks.ts"
import { replace } from "./internal/turn/replacement.ts"
import type { RunningTurn } from "./internal/turn/turnStart.ts"
import { acquireAll } from "./journal/acquireAll.ts"
import { Approvals } from "./ports/Approvals.ts"
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
import type { Task } from "./Task.ts"
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
   * Asks the running turn to stop, and returns at once whether one was running (I1). `awaitIdle` waits for its end.
   * Input that is submitted before that end is kept and starts with the next submission (P2). It runs in one step, so it
   * cannot be interrupted.
   */
  readonly abort: (reason?: AbortReason) => Effect.Effect<boolean>
  /**
   * The events of the session, from a record onwards (the first by default, and for `NaN`). Each subscriber holds a
   * bounded number of events. No subscriber misses a record. A slow one may get text in larger pieces, and may miss
   * output of tools, which the offsets show (W2). The stream ends with the session. **Interruption** ends the
   * subscription. **Errors**: `JournalFailed` if records cannot be read back.
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
 * there is no journal to resume; `SessionBusy` if the session is open already, here or in another process;
 * `JournalFailed` if its journal cannot be read or written.
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
    approvals: approvalsOf(config, yield* Approvals, (question) => warnUnanswered(parts, question)),
    contextRule: ancestors.length === 0 ? yield* TurnContextRule : refuseChange,
    newId
  }
  const parts = makeParts(session, writer, { observers: observersOf(options, yield* SessionObserver), agent, services })
  const { recorder } = parts
  yield* Effect.addFinalizer(() => close(parts))
  recorder.descendFrom(Tracing.currentSpan(creator as Context.Context<never>))
  yield* Recovery.start(session, recorder, writer.opened, options.meta)
  recorder.descendFrom(undefined)
  return makeService(parts, writer)
}, acquireAll)

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
    snapshot: Effect.sync(() => {
      const { state } = recorder
      return {
        sessionId,
        title: state.title,
        seq: state.seq,
        status: statusOf(parts),
        turnId: state.turn?.turnId,
        items: History.toArray(state.history),
        waiting: state.inbox.map((entry) => entry.submissionId),
        usage: state.usage,
        turnCount: state.turnCount,
        turnContext: state.turnContext
      }
    }),
    processes: Effect.sync(() => resources.processes)
  }
}

type TaskServices<T> = T extends Task<any, any, infer R> ? R : never

const statuses = { Idle: "idle", Running: "running", Aborting: "aborting", Settling: "settling" } as const

const statusOf = ({ lifetime, recorder, supervisor }: Parts): Snapshot["status"] => {
  if (recorder.failure !== undefined) return "failed"
  return lifetime.isClosed ? "closed" : statuses[supervisor.state()._tag]
}

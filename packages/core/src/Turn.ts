/**
 * The view that a running task has of its session: its turn.
 *
 * Everything that a task records or starts goes through its turn and is kept in the turn's ledger, which belongs to the
 * owner of the turn. So a turn can be settled correctly even if its task hangs, and what a straggler does afterwards has
 * no effect: once the turn is settled each call is an interruption (contract I3). From the abort until then the turn is
 * *closing*: members that start something (`takeInput`, `sample`, `nestedCall`, `ask`, `process`, `delegate`) interrupt
 * their caller, but what is open may finish and finalizers may record.
 *
 * Members cannot fail. A journal that cannot be written ends the turn through its owner; the caller is interrupted.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { NestedCall, NestedResult } from "./NestedCalls.ts"
import type { NoteKind } from "./NoteKind.ts"
import type { Model, ModelPart, ModelRequest } from "./ports/Model.ts"
import type { Process, ProcessFailed, Processes, ProcessSpec } from "./ports/Processes.ts"
import type { AgentStatus, CallDetail, CallDisplay } from "./protocol/Display.ts"
import type { CallId, ModelRequestId, ProcessId, QuestionId, SessionId, TurnId } from "./protocol/Ids.ts"
import type { Input } from "./protocol/Input.ts"
import type { Item, NewItem, SealedSummary, ToolCall, ToolStatus } from "./protocol/Item.ts"
import type { Decision, Op, Receipt, Submission } from "./protocol/Op.ts"
import type { AbortReason } from "./protocol/Outcome.ts"
import type { DelegateSpending, Straggler } from "./protocol/SessionEvent.ts"
import type { DecisionSource, QuestionKind } from "./protocol/Question.ts"
import type { JournalFailed, ModelFailed } from "./protocol/SessionError.ts"
import type { TraceContext } from "./protocol/TraceContext.ts"
import type { Cleanup } from "./TaskSupervisor.ts"
import type { Spending } from "./state/Spending.ts"

/**
 * A question: `payload`, in JSON, is for the person or program that answers. `asker` is set when the question of a delegate
 * is passed on: it keeps its id, if it has one, and the path from the root to the session that asked.
 */
export interface NewQuestion {
  readonly kind: QuestionKind
  readonly callId?: CallId | undefined
  readonly tool?: string | undefined
  readonly payload: unknown
  /** What a grant is remembered by. The default is one key, of the tool and the payload; see `ToolPolicy.keys`. */
  readonly keys?: ReadonlyArray<string> | undefined
  readonly asker?: { readonly questionId?: QuestionId | undefined; readonly path: ReadonlyArray<SessionId> } | undefined
}

/** A call that was allowed or denied without a question. */
export interface CallDecision {
  readonly callId: CallId
  readonly tool: string
  readonly permission: "allow" | "deny"
  readonly source: DecisionSource
  readonly reason?: string | undefined
  /** What the call may do, a JSON value, if it is less than it asked for. */
  readonly permissions?: unknown
}

/** A child session that a turn starts. A linked one ends with its turn; any other keeps running (contract D1, D7). */
export interface TurnDelegate {
  readonly delegateId: SessionId
  /** For people. */
  readonly name: string
  readonly linked: boolean
  readonly callId?: CallId | undefined
  /** Ends it. With this the turn owns the child; without it something else has to end it. See `own`. */
  readonly end?: OwnedResource["end"] | undefined
  readonly drain?: OwnedResource["drain"] | undefined
}

/** How a child session ended. `message` is its last message, or that of its error; `spent` is what it has used. */
export interface DelegateEnd {
  readonly status: AgentStatus
  readonly message?: string | undefined
  readonly spent?: DelegateSpending | undefined
}

/** The session of a turn, for what outlives the turn, such as delegates. All turns of a session have the same. */
export interface TurnSession {
  readonly sessionId: SessionId
  /** The sessions from the root to this one. */
  readonly path: ReadonlyArray<SessionId>
  /** What its child sessions have used until now, from its records: limits of a tree survive a resume (contract D6). */
  readonly spending: Effect.Effect<Spending>
  /** As `Session.submit`. */
  readonly submit: (submission: Op | Submission) => Effect.Effect<Receipt, JournalFailed>
  /**
   * Asks a question that belongs to no turn, but to the session. It waits while the session is idle, and when a turn ends,
   * until it is answered, the deadline passes, or the session closes or fails. What was granted for the session is answered
   * at once. A session that is closed or has failed interrupts the caller. **Interruption** cancels the question.
   */
  readonly ask: (question: NewQuestion) => Effect.Effect<Answer>
  /**
   * A scope that is closed with the session, within `SessionConfig.delegateDeadline`. What lives in it is closed
   * concurrently.
   */
  readonly scope: Effect.Effect<Scope.Scope>
}

/**
 * Something that a turn has started and that must end with the turn or with the session: a process, a child session, a
 * server, a terminal.
 */
export interface OwnedResource {
  readonly kind: Straggler["kind"]
  /** Names it among all resources of the session; see `Turn.keep`. */
  readonly id: string
  /** For people, and for the model. */
  readonly name: string
  /**
   * Whether it outlives the turn. It then ends with the session, and with an abort whose reason is `Parent` or
   * `Shutdown`. Default false.
   */
  readonly keep?: boolean | undefined
  /**
   * Ends it, and returns when it has ended. It may be called again while it runs. What has not ended within the grace
   * period of an abort is named as a straggler.
   */
  readonly end: (reason: AbortReason) => Effect.Effect<void>
  /**
   * How long a turn that returned waits for `end`, which is then called with the reason `Parent`. By default such a turn
   * does not end it, and only an abort does.
   */
  readonly drain?: Duration.Input | undefined
  /** Whether an abort ends it only after the abort hook of the task; see `Cleanup`. Default false. */
  readonly afterHook?: boolean | undefined
}

/** The answer to a question: a decision, or that it was cancelled, which is not a refusal (contract A2). */
export type Answer = Decision | { readonly _tag: "Cancelled"; readonly by: "abort" | "deadline" | "end" }

/** A process to start in a turn. With `keep` it outlives the turn, which then names it (contract X1). */
export interface TurnProcessSpec extends Omit<ProcessSpec, "processId"> {
  readonly callId?: CallId | undefined
  readonly keep?: boolean | undefined
}

/** What a model request carries in addition to the history of its session. */
export interface SampleRequest extends Pick<ModelRequest, "instructions" | "tools" | "output"> {
  /**
   * Items that the request carries instead of the history. It is then *aside*: its response enters neither the history nor
   * the events, only its usage is recorded, and calls in it are ignored. `Sampled.text` has the text.
   */
  readonly items?: ReadonlyArray<Item> | undefined
  /** Describes a call as it is recorded; undefined for a call that it knows nothing about. Must not throw. */
  readonly display?: ((call: Pick<ToolCall, "name" | "params">) => CallDisplay | undefined) | undefined
}

/**
 * How a sampling request ended. `text` is the last message of the response, if nothing followed it; `sealed` is the
 * summary in a request aside to `Model.compact`.
 */
export interface Sampled {
  readonly requestId: ModelRequestId
  readonly text: string | undefined
  readonly sealed?: SealedSummary | undefined
  readonly finish: Extract<ModelPart, { readonly _tag: "Finish" }>["reason"]
}

/** A retry that is about to wait. `attempt` of `maxAttempts`, from 1. `maxAttempts` may be infinite. */
export interface Retry {
  readonly attempt: number
  readonly maxAttempts: number
  readonly delay: Duration.Input
  readonly error: ModelFailed
}

/** The turn of the running task. Provided to every task; see the module for what its members do after an abort. */
export interface Turn {
  readonly sessionId: SessionId
  readonly turnId: TurnId
  /** The trace that caused this turn, if there was one. */
  readonly trace: TraceContext | undefined
  /** What remains when this turn has ended. */
  readonly session: TurnSession
  /** The input that this turn was started with; may be empty. */
  readonly input: Input
  /** The texts of `input`. */
  readonly inputText: string

  /** Waits for the request to stop, and returns its reason. For tasks that chose to be signalled (contract I2). */
  readonly aborting: Effect.Effect<AbortReason>
  /** The reason why this turn is stopping, or undefined while it is not. */
  readonly abortReason: Effect.Effect<AbortReason | undefined>
  /**
   * Runs an effect that starts something, unless this turn is stopping. An abort that interrupts the task interrupts the
   * effect in the same step, while a look at `abortReason` before it leaves a step in which an abort starts it (I2).
   */
  readonly unlessStopping: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Aborts this turn; returns at once whether it was running (I1). The caller is interrupted soon. */
  readonly abort: (reason: AbortReason) => Effect.Effect<boolean>
  /** Registers a clean-up for an abort. Returns an effect that removes it; see `own`. */
  readonly onAbort: (cleanup: Cleanup) => Effect.Effect<Effect.Effect<void>>
  /**
   * Makes the turn the owner of a resource, which ends with it unless it is kept (contract X1, D1). If the turn is already
   * ending, the end of the resource starts at once. Returns an effect that reports that the resource has ended by itself.
   */
  readonly own: (resource: OwnedResource) => Effect.Effect<Effect.Effect<void>>
  /**
   * Keeps a resource of the session when its turn ends; see `OwnedResource.keep`. Returns whether it was found. It cannot
   * be kept once its turn is stopping.
   */
  readonly keep: (id: string) => Effect.Effect<boolean>

  /** The history as the next model request would carry it: calls and results paired, in order (I6). */
  readonly history: Effect.Effect<ReadonlyArray<Item>>
  /** The items of the history that this turn has recorded, in order. */
  readonly items: Effect.Effect<ReadonlyArray<Item>>
  /**
   * How many tokens the next model request costs with this history: as reported by the provider for the part that it has
   * seen, and for the rest an estimate that is scaled as the last report requires.
   */
  readonly contextTokens: Effect.Effect<number>
  /** Adds an item to history, journal and events. **Interruption**: not interruptible; does not wait for the disk. */
  readonly record: (item: NewItem) => Effect.Effect<Item>
  /**
   * Replaces the history by these items, or by what a function makes of it in one step, in journal and events too: the next
   * model request carries them instead. An item that has an id keeps it, another one gets a new id. A rollback to before
   * this point restores what was. Allowed between model requests, while no call is open; at another time the caller dies.
   * **Interruption**: as `record`.
   */
  readonly replaceHistory: (
    items: ReadonlyArray<Item | NewItem> | ((history: ReadonlyArray<Item>) => ReadonlyArray<Item | NewItem>)
  ) => Effect.Effect<ReadonlyArray<Item>>
  /** Adds an assistant message. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Publishes more output of a call, or of a command that the task names itself; see `ToolOutput`. */
  readonly output: (callId: CallId, text: string) => Effect.Effect<void>
  /**
   * Reports what came of a running call, as data; the last report is recorded with the result of the call. Ignored for a
   * call that is not open. What JSON cannot represent is a defect of the caller.
   */
  readonly detail: (callId: CallId, detail: CallDetail) => Effect.Effect<void>
  /**
   * Records a note of this kind for clients, which is no part of the history. Data that does not fit the schema of its kind
   * is a defect of the caller. **Interruption**: as `record`.
   */
  readonly note: <A>(kind: NoteKind<A>, data: A) => Effect.Effect<void>
  /** Records a warning that a person should see. */
  readonly warn: (message: string) => Effect.Effect<void>
  /** Waits until everything recorded so far is durable. **Interruption** stops only the wait. */
  readonly flush: Effect.Effect<void>

  /**
   * Carries the input that waits for this turn into the history, in order: first its own, then what steered it. Each
   * passes the prompt hooks (P5). Returns how many inputs were carried. **Interruption**: an input is either carried
   * completely or still waits.
   */
  readonly takeInput: Effect.Effect<number>
  /**
   * Checks the inbox for the last time and closes the steering gate, in one step (P4). Returns true if no input waits: then
   * no more input joins the turn. Otherwise returns false.
   */
  readonly closeGate: Effect.Effect<boolean>

  /**
   * Sends one request to the model, once the record of the attempt is durable (J8), and waits for the end of the response.
   * Text goes to subscribers and into the ledger as it arrives, and complete items into the history, so that an abort loses
   * nothing (I7). `onCall` is called with each tool call as soon as it is complete and recorded. `attempt` counts from 1.
   * **Errors**: `ModelFailed`, as the model failed.
   */
  readonly sample: (
    request: SampleRequest,
    attempt: number,
    onCall: (call: ToolCall) => Effect.Effect<unknown>
  ) => Effect.Effect<Sampled, ModelFailed, Model>
  /** Records that the last request is tried again. */
  readonly reportRetry: (retry: Retry) => Effect.Effect<void>
  /**
   * Reports the result of a call. Results are recorded in the order of their calls, once the response that made them has
   * ended. A second result is ignored.
   */
  readonly finish: (call: Pick<ToolCall, "callId">, status: ToolStatus, output: unknown) => Effect.Effect<void>
  /**
   * Records that a running call calls a tool, and counts that as a tool call (S10). Returns a function that records the
   * result. `NestedCalls` runs such calls.
   */
  readonly nestedCall: (call: NestedCall) => Effect.Effect<(result: NestedResult) => Effect.Effect<void>>

  /**
   * Asks, and waits for the answer, for the abort of the turn or for the deadline. What was granted before for the turn or
   * the session is answered at once, without asking. **Interruption** cancels the question.
   */
  readonly ask: (question: NewQuestion) => Effect.Effect<Answer>
  /** Records that a call was allowed or denied without a question. */
  readonly recordDecision: (decision: CallDecision) => Effect.Effect<void>
  /**
   * Starts a process that this turn owns, once its record is durable. **Interruption** before it returns ends the process.
   */
  readonly process: (spec: TurnProcessSpec) => Effect.Effect<Process, ProcessFailed, Processes>
  /** Ends a process of this turn with its descendants, within the grace of the configuration. */
  readonly endProcess: (processId: ProcessId) => Effect.Effect<void>
  /**
   * Records that this turn starts a child session, and returns a function that records, once, that the child has ended. The
   * child may end after the turn.
   */
  readonly delegate: (child: TurnDelegate) => Effect.Effect<(end: DelegateEnd) => void>
}

/** The service key of {@link Turn}. */
export const Turn: Context.Service<Turn, Turn> = Context.Service("@spindle/core/Turn")

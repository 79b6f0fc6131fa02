/**
 * The turn of a running task: the view that the task has of its session.
 *
 * Everything that a task records or starts goes through its turn and is kept in the turn's ledger, which belongs to the
 * owner of the turn. The owner can therefore settle the turn correctly even if its task hangs. Afterwards each call of
 * a straggler is interrupted and has no effect (contract I3). From the abort until then the turn is *closing*: members
 * that start something (`takeInput`, `sample`, `nestedCall`, `ask`, `process`, `delegate`) interrupt their caller, but
 * calls that are open may finish, and finalizers may record.
 *
 * Members cannot fail unless their type says so. If the journal cannot be written, the owner ends the turn, and the
 * caller is interrupted.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Locals } from "./Local.ts"
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
 * A question to ask. `payload`, in JSON, is for the person or program that answers. `asker` is set when the question of
 * a delegate is passed on. It has the id of that question, if there is one, and the path from the root to the session
 * that asked.
 */
export interface NewQuestion {
  readonly kind: QuestionKind
  readonly callId?: CallId | undefined
  readonly tool?: string | undefined
  readonly payload: unknown
  /**
   * The keys by which a grant is remembered. Default: one key, made of the tool and the payload; see `ToolPolicy.keys`.
   */
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
  /** The permissions that the call gets, a JSON value, if they are less than it asked for. */
  readonly permissions?: unknown
}

/** A child session that a turn starts. A linked one ends with its turn; any other keeps running (contract D1, D7). */
export interface TurnDelegate {
  readonly delegateId: SessionId
  /** A name for people. */
  readonly name: string
  readonly linked: boolean
  readonly callId?: CallId | undefined
  /** Ends the child. With this function the turn owns the child; without it, the caller has to end it. See `own`. */
  readonly end?: OwnedResource["end"] | undefined
  readonly drain?: OwnedResource["drain"] | undefined
}

/** The end of a child session. `message` is its last message, or that of its error; `spent` is what it has used. */
export interface DelegateEnd {
  readonly status: AgentStatus
  readonly message?: string | undefined
  readonly spent?: DelegateSpending | undefined
}

/**
 * The session of a turn, for work that outlives the turn, such as delegates. All turns of a session have the same
 * value.
 */
export interface TurnSession {
  readonly sessionId: SessionId
  /** The sessions from the root to this one. */
  readonly path: ReadonlyArray<SessionId>
  /** State that belongs to the session; see `Local`. */
  readonly locals: Locals
  /**
   * The spending of its child sessions until now, folded from its records, so that limits of a tree survive a resume
   * (contract D6).
   */
  readonly spending: Effect.Effect<Spending>
  /** Submits to the session; see `Session.submit`. */
  readonly submit: (submission: Op | Submission) => Effect.Effect<Receipt, JournalFailed>
  /**
   * Asks a question that belongs to the session and not to a turn. It waits, even while the session is idle and when a
   * turn ends, until it is answered, the deadline passes, or the session closes or fails. If the session has granted it
   * before, the answer comes at once. A session that is closed or has failed interrupts the caller. **Interruption**
   * cancels the question.
   */
  readonly ask: (question: NewQuestion) => Effect.Effect<Answer>
  /**
   * A scope that is closed with the session, within `SessionConfig.delegateDeadline`. Its finalizers run concurrently.
   */
  readonly scope: Effect.Effect<Scope.Scope>
}

/**
 * Something that a turn has started and that must end with the turn or with the session: a process, a child session, a
 * server, a terminal.
 */
export interface OwnedResource {
  readonly kind: Straggler["kind"]
  /** An id that is unique among all resources of the session; see `Turn.keep`. */
  readonly id: string
  /** A name for people and for the model. */
  readonly name: string
  /**
   * True if it outlives the turn. It then ends with the session, or with an abort whose reason is `Parent` or
   * `Shutdown`. Default: false.
   */
  readonly keep?: boolean | undefined
  /**
   * Ends the resource, and returns when it has ended. It may be called again while it runs. A resource that has not
   * ended within the grace period of an abort is named as a straggler.
   */
  readonly end: (reason: AbortReason) => Effect.Effect<void>
  /**
   * The time that a turn whose task has returned waits for `end`, which it then calls with the reason `Parent`. By
   * default only an abort ends the resource.
   */
  readonly drain?: Duration.Input | undefined
  /** True if an abort ends it only after the abort hook of the task; see `Cleanup`. Default: false. */
  readonly afterHook?: boolean | undefined
}

/** The answer to a question: a decision, or the report that it was cancelled, which is not a refusal (contract A2). */
export type Answer = Decision | { readonly _tag: "Cancelled"; readonly by: "abort" | "deadline" | "end" }

/** A process to start in a turn. With `keep` it outlives the turn, which then names it (contract X1). */
export interface TurnProcessSpec extends Omit<ProcessSpec, "processId"> {
  readonly callId?: CallId | undefined
  readonly keep?: boolean | undefined
}

/** A model request of a task. The turn adds the history of the session. */
export interface SampleRequest extends Pick<ModelRequest, "instructions" | "tools" | "output"> {
  /**
   * Items that the request carries instead of the history. The request is then *aside*: its response enters neither the
   * history nor the events, only its usage is recorded, and its calls are ignored. `Sampled.text` has its text.
   */
  readonly items?: ReadonlyArray<Item> | undefined
  /**
   * Returns the description of a call for its record, or undefined for a call that it does not know. Must not throw.
   */
  readonly display?: ((call: Pick<ToolCall, "name" | "params">) => CallDisplay | undefined) | undefined
}

/**
 * The end of a model request. `text` is the last message of the response, if nothing followed it; `sealed` is the
 * summary in the response of a request aside to `Model.compact`.
 */
export interface Sampled {
  readonly requestId: ModelRequestId
  readonly text: string | undefined
  readonly sealed?: SealedSummary | undefined
  readonly finish: Extract<ModelPart, { readonly _tag: "Finish" }>["reason"]
}

/** A retry that is about to wait for `delay`. `attempt` counts from 1 to `maxAttempts`, which may be `Infinity`. */
export interface Retry {
  readonly attempt: number
  readonly maxAttempts: number
  readonly delay: Duration.Input
  readonly error: ModelFailed
}

/**
 * The turn of the running task. It is provided to every task. The comment on the module says what its members do after
 * an abort.
 */
export interface Turn {
  readonly sessionId: SessionId
  readonly turnId: TurnId
  /** The trace that caused this turn, if there was one. */
  readonly trace: TraceContext | undefined
  /** The session of this turn, which remains when the turn has ended. */
  readonly session: TurnSession
  /** State that belongs to this turn; see `Local`. */
  readonly locals: Locals
  /** The input that this turn was started with; may be empty. */
  readonly input: Input
  /** The texts of `input`. */
  readonly inputText: string

  /**
   * Waits for the request to stop, and returns its reason. It is meant for tasks that an abort signals (contract I2).
   * **Interruption** stops only the wait.
   */
  readonly aborting: Effect.Effect<AbortReason>
  /** The reason why this turn is stopping, or undefined while it is not. */
  readonly abortReason: Effect.Effect<AbortReason | undefined>
  /**
   * Runs an effect that starts something, unless this turn is stopping. An abort that interrupts the task interrupts
   * the effect in the same step. A check of `abortReason` before the effect is not enough: the abort may come between
   * the check and the effect (I2).
   */
  readonly unlessStopping: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Aborts this turn, and returns at once whether it was running (I1). The caller is interrupted soon after. */
  readonly abort: (reason: AbortReason) => Effect.Effect<boolean>
  /** Registers a clean-up for an abort, and returns an effect that removes it; see `own`. */
  readonly onAbort: (cleanup: Cleanup) => Effect.Effect<Effect.Effect<void>>
  /**
   * Makes the turn the owner of a resource. The resource ends with the turn unless it is kept (contract X1, D1). If the
   * turn is already ending, the end of the resource starts at once. Returns an effect to run when the resource has
   * ended by itself.
   */
  readonly own: (resource: OwnedResource) => Effect.Effect<Effect.Effect<void>>
  /**
   * Keeps a resource of the session when its turn ends; see `OwnedResource.keep`. Returns whether it was found. A
   * resource cannot be kept once its turn is stopping.
   */
  readonly keep: (id: string) => Effect.Effect<boolean>

  /** The history as the next model request would carry it: calls and results paired, in order (I6). */
  readonly history: Effect.Effect<ReadonlyArray<Item>>
  /** The items of the history that this turn has recorded, in order. */
  readonly items: Effect.Effect<ReadonlyArray<Item>>
  /**
   * The number of tokens that the next model request costs with this history. The provider has reported those of the
   * part that it has seen; those of the rest are an estimate, scaled by the last report.
   */
  readonly contextTokens: Effect.Effect<number>
  /**
   * Adds an item to history, journal and events, and returns it with its id. **Interruption**: not interruptible; it
   * does not wait for the disk.
   */
  readonly record: (item: NewItem) => Effect.Effect<Item>
  /**
   * Replaces the history with these items, or with the result of a function of the history, which is called in the same
   * step. Journal and events carry the replacement, and so does the next model request. An item that has an id keeps
   * it; any other item gets a new id. A rollback to before this point restores the earlier history. A replacement is
   * allowed between model requests, while no call is open; otherwise the caller dies. **Interruption**: as `record`.
   */
  readonly replaceHistory: (
    items: ReadonlyArray<Item | NewItem> | ((history: ReadonlyArray<Item>) => ReadonlyArray<Item | NewItem>)
  ) => Effect.Effect<ReadonlyArray<Item>>
  /** Adds an assistant message. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Publishes more output of a call, or of a command under an id that the task chose; see `ToolOutput`. */
  readonly output: (callId: CallId, text: string) => Effect.Effect<void>
  /**
   * Reports the outcome of a running call, as data. The last report is recorded with the result of the call. It is
   * ignored for a call that is not open. The caller dies if JSON cannot represent the detail.
   */
  readonly detail: (callId: CallId, detail: CallDetail) => Effect.Effect<void>
  /**
   * Records a note of this kind for clients. It is not part of the history. The caller dies if the data does not fit
   * the schema of the kind. **Interruption**: as `record`.
   */
  readonly note: <A>(kind: NoteKind<A>, data: A) => Effect.Effect<void>
  /** Records a warning that a person should see. */
  readonly warn: (message: string) => Effect.Effect<void>
  /** Waits until everything recorded so far is durable. **Interruption** stops only the wait. */
  readonly flush: Effect.Effect<void>

  /**
   * Carries the input that waits for this turn into the history, in order: first its own input, then steered input.
   * Each input passes the prompt hooks (P5). Returns the number of inputs that were carried. **Interruption**: an input
   * is either carried completely or still waits.
   */
  readonly takeInput: Effect.Effect<number>
  /**
   * Closes the steering gate if no input waits, in one step, and returns whether it did (P4). With
   * `SessionPolicy.leftoverInput` set to `record` it closes the gate in any case. Once the gate is closed, no more
   * input joins the turn.
   */
  readonly closeGate: Effect.Effect<boolean>

  /**
   * Sends one request to the model, once the record of the attempt is durable (J8), and waits for the end of the
   * response. Text goes to subscribers and into the ledger as it arrives, and complete items go into the history, so
   * that an abort loses nothing (I7). `onCall` is called with each tool call as soon as it is complete and recorded.
   * `attempt` counts from 1. **Interruption** ends the response; text that has arrived is recorded as partial.
   * **Errors**: `ModelFailed` from the model.
   */
  readonly sample: (
    request: SampleRequest,
    attempt: number,
    onCall: (call: ToolCall) => Effect.Effect<unknown>
  ) => Effect.Effect<Sampled, ModelFailed, Model>
  /** Records that the last model request will be sent again. */
  readonly reportRetry: (retry: Retry) => Effect.Effect<void>
  /**
   * Reports the result of a call. Results are recorded in the order of their calls, once the response that contains the
   * calls has ended. A second result for a call is ignored.
   */
  readonly finish: (call: Pick<ToolCall, "callId">, status: ToolStatus, output: unknown) => Effect.Effect<void>
  /**
   * Records that a running call calls a tool, and counts it as a tool call (S10). Returns a function that records the
   * result. `NestedCalls` runs such calls.
   */
  readonly nestedCall: (call: NestedCall) => Effect.Effect<(result: NestedResult) => Effect.Effect<void>>

  /**
   * Asks a question, and waits for the answer, for the abort of the turn or for the deadline. If the turn or the
   * session has granted it before, the answer comes at once and no question is opened. **Interruption** cancels the
   * question.
   */
  readonly ask: (question: NewQuestion) => Effect.Effect<Answer>
  /** Records that a call was allowed or denied without a question. */
  readonly recordDecision: (decision: CallDecision) => Effect.Effect<void>
  /**
   * Starts a process that this turn owns, once its record is durable. **Interruption** before it returns ends the
   * process. **Errors**: `ProcessFailed` if the process could not be started.
   */
  readonly process: (spec: TurnProcessSpec) => Effect.Effect<Process, ProcessFailed, Processes>
  /** Ends a process of this turn and its descendants, within `SessionConfig.processGrace`. */
  readonly endProcess: (processId: ProcessId) => Effect.Effect<void>
  /**
   * Records that this turn starts a child session, and returns a function that records, once, that the child has ended. The
   * child may end after the turn.
   */
  readonly delegate: (child: TurnDelegate) => Effect.Effect<(end: DelegateEnd) => void>
}

/** The service key of {@link Turn}. */
export const Turn: Context.Service<Turn, Turn> = Context.Service("@spindle/core/Turn")

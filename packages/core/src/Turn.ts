/**
 * What a running task sees of its session: its turn.
 *
 * Everything a task tells or starts goes through its turn and is kept in the turn's ledger, which belongs to the
 * supervisor. So a turn can be settled correctly although its task hangs, and what a straggler does afterwards reaches
 * nobody: from settling on each call is an interruption (contract I3). Between the abort and settling the turn is
 * *closing*: members that start something new (`takeInput`, `sample`, `ask`,
 * `process`, `delegate`) interrupt their caller, but what is open may finish and finalizers may record.
 *
 * Members cannot fail. A journal that cannot be written ends the turn through its owner; the caller sees an
 * interruption.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Model, ModelPart, ModelRequest } from "./ports/Model.ts"
import type { Process, ProcessFailed, Processes, ProcessSpec } from "./ports/Processes.ts"
import type { AgentStatus, CallDetail, CallDisplay } from "./protocol/Display.ts"
import type { CallId, ModelRequestId, ProcessId, QuestionId, SessionId, SubmissionId, TurnId } from "./protocol/Ids.ts"
import type { Input } from "./protocol/Input.ts"
import type { Item, NewItem, ToolCall, ToolStatus } from "./protocol/Item.ts"
import type { Decision, Op, Receipt } from "./protocol/Op.ts"
import type { AbortReason } from "./protocol/Outcome.ts"
import type { QuestionKind } from "./protocol/Question.ts"
import type { JournalFailed, ModelFailed } from "./protocol/SessionError.ts"
import type { TraceContext } from "./protocol/TraceContext.ts"
import type { Cleanup } from "./TaskSupervisor.ts"

/**
 * What to ask: `payload` is for whoever answers, in JSON. `asker` is there when the question of a delegate is passed on:
 * it keeps its id, if that is given, and the path from the root to whoever asked.
 */
export interface NewQuestion {
  readonly kind: QuestionKind
  readonly callId?: CallId
  readonly tool?: string
  readonly payload: unknown
  readonly asker?: { readonly questionId?: QuestionId; readonly path: ReadonlyArray<SessionId> }
}

/** A child session that a turn has started. A linked one ends with its turn, another goes on (contract D1, D7). */
export interface TurnDelegate {
  readonly delegateId: SessionId
  /** For people. */
  readonly name: string
  readonly linked: boolean
  readonly callId?: CallId
}

/** How a child session ended. `message` is its last message, or that of its error. */
export interface DelegateEnd {
  readonly status: AgentStatus
  readonly message?: string | undefined
}

/** The session of a turn, for what outlives the turn: delegates. One for all turns of the session. */
export interface TurnSession {
  readonly sessionId: SessionId
  /** The sessions from the root to this one. */
  readonly path: ReadonlyArray<SessionId>
  /** As `Session.submit`. */
  readonly submit: (
    op: Op,
    options?: { readonly id?: SubmissionId; readonly trace?: TraceContext }
  ) => Effect.Effect<Receipt, JournalFailed>
  /**
   * Asks beside all turns: the request is the session's own. It waits while the session rests, and when a turn ends, for
   * its answer, for the deadline, or until the session closes or fails. What was granted for the session is answered at
   * once. A session that is closed or has failed interrupts the caller. **Interruption** cancels the request.
   */
  readonly ask: (question: NewQuestion) => Effect.Effect<Answer>
  /**
   * A scope that is closed with the session, side by side with what else lives in it, within the drain deadline of
   * `SessionConfig`.
   */
  readonly scope: Effect.Effect<Scope.Scope>
}

/** What became of a question: decided, or cancelled, which is not a refusal (contract A2). */
export type Answer = Decision | { readonly _tag: "Cancelled"; readonly by: "abort" | "deadline" | "end" }

/** What to start in a turn; `keep` lets the process outlive the turn, which then names it (contract X1). */
export interface TurnProcessSpec extends Omit<ProcessSpec, "processId"> {
  readonly callId?: CallId
  readonly keep?: boolean
}

/** What a model request carries, beside the history of its session. */
export interface SampleRequest extends Pick<ModelRequest, "instructions" | "tools" | "output"> {
  /** Describes a call as it is recorded; undefined for a call that it knows nothing about. Must not throw. */
  readonly display?: ((call: Pick<ToolCall, "name" | "params">) => CallDisplay | undefined) | undefined
}

/** How a sampling request ended. `text` is the last message of the response, if nothing followed it. */
export interface Sampled {
  readonly requestId: ModelRequestId
  readonly text: string | undefined
  readonly finish: Extract<ModelPart, { readonly _tag: "Finish" }>["reason"]
}

/** A retry that is about to wait. `attempt` of `maxAttempts`, from 1. `maxAttempts` may be infinite. */
export interface Retry {
  readonly attempt: number
  readonly maxAttempts: number
  readonly delayMillis: number
  readonly error: ModelFailed
}

/** The turn of the running task. Provided to every task; see the module for what its members do after an abort. */
export interface Turn {
  readonly sessionId: SessionId
  readonly turnId: TurnId
  /** The trace of whoever caused this turn, if it came with one. */
  readonly trace: TraceContext | undefined
  /** What stays when this turn has ended. */
  readonly session: TurnSession
  /** The input that this turn was started with; empty for a task that needs none. */
  readonly input: Input
  /** Its texts. */
  readonly inputText: string

  /** Waits for the request to stop, and says why. For tasks that chose to be signalled (contract I2). */
  readonly aborting: Effect.Effect<AbortReason>
  /** Why this turn is stopping, or undefined while it is not. */
  readonly abortReason: Effect.Effect<AbortReason | undefined>
  /** Asks the session to abort this turn; answers at once whether it hit (I1). The caller is interrupted soon. */
  readonly abort: (reason: AbortReason) => Effect.Effect<boolean>
  /** Registers what an abort has to end beside the task. Answers an effect that takes the registration back. */
  readonly onAbort: (cleanup: Cleanup) => Effect.Effect<Effect.Effect<void>>

  /** The history as the next model request would carry it: calls and results paired, in order (I6). */
  readonly history: Effect.Effect<ReadonlyArray<Item>>
  /** Adds an item to history, journal and events. **Interruption**: not interruptible; does not wait for the disk. */
  readonly record: (item: NewItem) => Effect.Effect<Item>
  /**
   * Replaces the history by these items, in journal and events too: the next model request carries them instead. An item
   * that has an id keeps it, another one gets a new id. A rollback to before this point restores what was. Allowed
   * between model requests, while no call is open; at another time the caller dies. **Interruption**: as `record`.
   */
  readonly replaceHistory: (items: ReadonlyArray<Item | NewItem>) => Effect.Effect<ReadonlyArray<Item>>
  /** Adds an assistant message. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Tells subscribers more output of a running call. */
  readonly output: (callId: CallId, text: string) => Effect.Effect<void>
  /**
   * Reports what came of a running call, as data; the last report is recorded with the result of the call. Ignored for a
   * call that is not open. What JSON cannot represent is a defect of the caller.
   */
  readonly detail: (callId: CallId, detail: CallDetail) => Effect.Effect<void>
  /** Tells subscribers something a person should know. */
  readonly warn: (message: string) => Effect.Effect<void>
  /** Waits until everything told so far is durable. **Interruption** stops only the wait. */
  readonly flush: Effect.Effect<void>

  /**
   * Carries the input that waits for this turn into the history, in order: first its own, then what steered it. Each
   * passes the prompt hooks (P5). Answers how many items were carried. **Interruption**: an input is either carried
   * as a whole or still waits.
   */
  readonly takeInput: Effect.Effect<number>
  /**
   * The last look into the inbox and the closing of the steering gate, in one step (P4): answers true, and takes no
   * input any more, if nothing waits; else answers false.
   */
  readonly closeGate: Effect.Effect<boolean>

  /**
   * Sends one request to the model and waits for its end, after the record of the attempt is durable (J8). Text goes
   * to subscribers and into the ledger as it comes, and complete items into the history, so that an abort loses
   * nothing (I7). `onCall` gets each tool call as soon as it is complete and recorded. `attempt` counts from 1.
   * **Errors**: `ModelFailed`, as the model gave it.
   */
  readonly sample: (
    request: SampleRequest,
    attempt: number,
    onCall: (call: ToolCall) => Effect.Effect<void>
  ) => Effect.Effect<Sampled, ModelFailed, Model>
  /** Tells that the request before is tried again. */
  readonly retrying: (retry: Retry) => Effect.Effect<void>
  /**
   * Hands in the result of a call. Results are recorded in the order of their calls, once the response that made them
   * has ended.
   */
  readonly finish: (call: ToolCall, status: ToolStatus, output: unknown) => Effect.Effect<void>

  /**
   * Asks, and waits for the answer, for the abort of the turn or for the deadline. What was granted before for the
   * turn or the session is answered at once, and nobody is asked. **Interruption** cancels the request.
   */
  readonly ask: (question: NewQuestion) => Effect.Effect<Answer>
  /**
   * Starts a process that this turn owns, after its record is durable. **Interruption** before the answer ends the
   * process.
   */
  readonly process: (spec: TurnProcessSpec) => Effect.Effect<Process, ProcessFailed, Processes>
  /** Ends a process of this turn with its descendants, within the grace of the configuration. */
  readonly endProcess: (processId: ProcessId) => Effect.Effect<void>
  /**
   * Records that this turn starts a child session, and answers how to record, once, that the child has ended. The end
   * may come after the turn's. What ends a linked child with its turn is a clean-up of `onAbort`.
   */
  readonly delegate: (child: TurnDelegate) => Effect.Effect<(end: DelegateEnd) => void>
}

/** The service key of {@link Turn}. */
export const Turn: Context.Service<Turn, Turn> = Context.Service("@spindle/core/Turn")

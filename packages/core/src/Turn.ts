/**
 * What a running task sees of its session: its turn.
 *
 * Everything a task tells or starts goes through its turn and is kept in the turn's ledger, which belongs to the supervisor. So a turn can be settled
 * correctly although its task hangs, and what a straggler does afterwards reaches nobody: from settling on each call is an interruption (contract
 * I3). Between the abort and settling the turn is *closing*: it starts nothing new, but what is open may finish and finalizers may record.
 *
 * Members cannot fail. A journal that cannot be written ends the turn through its owner; the caller sees an interruption.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Process, ProcessFailed, Processes, ProcessSpec } from "./ports/Processes.ts"
import type { ModelPart, ModelRequest } from "./ports/Model.ts"
import type * as Model from "./ports/Model.ts"
import type { CallId, ProcessId, RequestId, SessionId, TurnId } from "./protocol/Ids.ts"
import type { Input } from "./protocol/Input.ts"
import type { Item, NewItem } from "./protocol/Item.ts"
import type { Decision } from "./protocol/Op.ts"
import type { AbortReason } from "./protocol/Outcome.ts"
import type { ModelFailed } from "./protocol/SessionError.ts"
import type { Straggler } from "./protocol/SessionEvent.ts"
import type { TraceContext } from "./protocol/TraceContext.ts"
import type * as Stream from "effect/Stream"

/** What to ask: `payload` is for whoever answers, in JSON. */
export interface Question {
  readonly kind: "command" | "patch" | "permissions" | "question" | "elicitation"
  readonly callId?: CallId
  readonly tool?: string
  readonly payload: unknown
}

/** What became of a question: decided, or cancelled, which is not a refusal (contract A2). */
export type Answer = Decision | { readonly _tag: "Cancelled"; readonly by: "abort" | "deadline" | "end" }

/** What to start in a turn; `keep` lets the process outlive the turn, which then names it (contract X1). */
export interface TurnProcessSpec extends Omit<ProcessSpec, "processId"> {
  readonly callId?: CallId
  readonly keep?: boolean
}

/** What an abort runs beside the interruption of the task. */
export interface Cleanup {
  readonly kind: Straggler["kind"]
  readonly name: string
  readonly run: (reason: AbortReason) => Effect.Effect<void>
}

/** The turn of the running task. Provided to every task; see the module for what its members do after an abort. */
export class Turn extends Context.Service<
  Turn,
  {
    readonly sessionId: SessionId
    readonly turnId: TurnId
    /** The trace of whoever caused this turn, if it came with one. */
    readonly trace: TraceContext | undefined
    /** The input that this turn was started with; empty for a task that needs none. */
    readonly input: Input
    /** Its texts. */
    readonly inputText: string

    /** Waits for the request to stop, and says why. For tasks that chose to be signalled (contract I2). */
    readonly aborting: Effect.Effect<AbortReason>
    /** Why this turn is stopping, or undefined while it is not. */
    readonly abortReason: Effect.Effect<AbortReason | undefined>
    /** Asks the session to abort this turn; answers at once whether it hit (contract I1). The caller is interrupted soon. */
    readonly abort: (reason: AbortReason) => Effect.Effect<boolean>
    /** Registers what an abort has to end beside the task. Answers an effect that takes the registration back. */
    readonly onAbort: (cleanup: Cleanup) => Effect.Effect<Effect.Effect<void>>

    /** The history as the next model request would carry it: calls and results paired, in order (contract I6). */
    readonly history: Effect.Effect<ReadonlyArray<Item>>
    /** Adds an item to the history, journal and events. **Interruption**: not interruptible, and does not wait for the disk. */
    readonly record: (item: NewItem) => Effect.Effect<Item>
    /** Adds an assistant message. */
    readonly say: (text: string) => Effect.Effect<void>
    /** Tells subscribers more output of a running call. */
    readonly output: (callId: CallId, text: string) => Effect.Effect<void>
    /** Tells subscribers something a person should know. */
    readonly warn: (message: string) => Effect.Effect<void>
    /** Waits until everything told so far is durable. **Interruption**: stops only the wait. */
    readonly flush: Effect.Effect<void>

    /**
     * Carries the input that waits for this turn into the history, in order: first its own, then what steered it. Each passes the prompt hooks
     * (contract P5). Answers how many items were carried. **Interruption**: an input is either carried as a whole or still waits.
     */
    readonly takeInput: Effect.Effect<number>
    /**
     * The last look into the inbox and the closing of the steering gate, in one step (contract P4): answers true, and takes no input any
     * more, if nothing waits; else answers false.
     */
    readonly closeGate: Effect.Effect<boolean>

    /**
     * Sends one request to the model and streams its parts, after the record of the attempt is durable (contract J8). Text goes to subscribers and into the ledger as it
     * comes, and complete items into the history, so that an abort loses nothing (contract I7). `attempt` counts from 1.
     */
    readonly sample: (
      request: Pick<ModelRequest, "instructions" | "tools" | "output">,
      attempt: number
    ) => Stream.Stream<SampledPart, ModelFailed, Model.Model>
    /** Tells that a request is tried again. */
    readonly retrying: (
      requestId: RequestId,
      retry: {
        readonly attempt: number
        readonly maxAttempts: number
        readonly delay: Duration.Duration
        readonly error: ModelFailed
      }
    ) => Effect.Effect<void>

    /** Asks, and waits for the answer, for the end of the turn or for the deadline. **Interruption**: cancels the request. */
    readonly ask: (question: Question) => Effect.Effect<Answer>
    /** Starts a process that this turn owns, after its record is durable. **Interruption** before the answer ends the process. */
    readonly process: (spec: TurnProcessSpec) => Effect.Effect<Process, ProcessFailed, Processes>
    /** Ends a process of this turn with its descendants, within the grace of the configuration. */
    readonly endProcess: (processId: ProcessId) => Effect.Effect<void, never, Processes>
  }
>()("@spindle/core/Turn") {}

/** What a task sees of a sampling request: the items as they were recorded, tool calls above all, and the end. */
export type SampledPart =
  | { readonly _tag: "Item"; readonly item: Item; readonly requestId: RequestId }
  | { readonly _tag: "Finish"; readonly finish: Extract<ModelPart, { _tag: "Finish" }>; readonly requestId: RequestId }

/**
 * The port to a model: one sampling request in, a stream of parts out.
 *
 * The session's model loop calls it; `packages/openai` and `EffectAiModel` implement it. The loop owns retries, history
 * and tools. An implementation sends exactly one request per stream, never retries, and closes its connection when the
 * stream is interrupted. It must not emit anything after `Finish`; the loop drops what follows. A stream that ends
 * without `Finish` counts as `Disconnected`.
 */
import * as Context from "effect/Context"
import type * as Stream from "effect/Stream"
import type { CallDisplay } from "../protocol/Display.ts"
import type { CallId, SessionId, TurnId } from "../protocol/Ids.ts"
import type { Item, SealedSummary } from "../protocol/Item.ts"
import type { ModelFailed } from "../protocol/SessionError.ts"
import type { TokenUsage } from "../protocol/TokenUsage.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"

/** The description of a tool that a model gets. */
export interface ToolSpec {
  readonly name: string
  readonly description: string | undefined
  /** JSON Schema of the arguments. */
  readonly parameters: unknown
  /** A tool whose input is plain text in a grammar, instead of JSON arguments. Its call carries `{ input }`. */
  readonly freeform?: { readonly syntax: string; readonly definition: string } | undefined
  /** The tool of `effect/ai` that this describes, for models that want it. */
  readonly source: unknown
}

/** A JSON Schema that the model's output must follow. */
export interface OutputFormat {
  readonly name: string
  readonly schema: unknown
}

/** One sampling request. `items` pair up: each tool call is followed by its result (contract I6). */
export interface ModelRequest {
  readonly sessionId: SessionId
  readonly turnId: TurnId
  readonly instructions: string | undefined
  readonly items: ReadonlyArray<Item>
  /** The same array as long as the tools are the same, so that it can be a key of a cache. */
  readonly tools: ReadonlyArray<ToolSpec>
  readonly output: OutputFormat | undefined
}

/**
 * The parts of a model's response, in order. An id joins start, deltas and end of one text or reasoning; it means nothing outside
 * its stream. A text may begin with its first delta. `ToolCall` comes when the call is complete.
 */
export type ModelPart =
  | { readonly _tag: "TextStart"; readonly id: string }
  | { readonly _tag: "TextDelta"; readonly id: string; readonly delta: string }
  | { readonly _tag: "TextEnd"; readonly id: string; readonly providerId?: string }
  | { readonly _tag: "ReasoningStart"; readonly id: string }
  | { readonly _tag: "ReasoningDelta"; readonly id: string; readonly delta: string }
  | {
      readonly _tag: "ReasoningEnd"
      readonly id: string
      readonly encrypted?: string
      /** Names who can read `encrypted`; see `Reasoning` in `Item`. */
      readonly sealedBy?: string
      readonly providerId?: string
    }
  | {
      readonly _tag: "ToolCall"
      readonly callId: CallId
      readonly name: string
      readonly params: unknown
      /** The arguments as they arrived, if they are not JSON; `params` is then undefined. */
      readonly invalid?: string
      readonly freeform?: true
      readonly providerId?: string
      /** Set for a call that the provider has run: what came of it, and what it is to people. The session runs nothing. */
      readonly executed?: { readonly output: unknown; readonly display: CallDisplay }
    }
  /** A summary of the request's items that only the provider can read. Only `compact` emits it. */
  | { readonly _tag: "SealedSummary"; readonly summary: SealedSummary }
  /** A message for a person about the request. The session records it as a `Warning`. */
  | { readonly _tag: "Warning"; readonly message: string }
  | {
      readonly _tag: "Finish"
      readonly reason: "stop" | "tool-calls" | "length" | "content-filter"
      readonly usage: TokenUsage | undefined
    }

/** A model. */
export interface Model {
  /** The provider's name, for records and traces. */
  readonly provider: string
  /** The model's name, for records and traces. */
  readonly model: string
  /** How many tokens fit, if known. */
  readonly contextWindow: number | undefined
  /**
   * Sends one request. **Interruption**: closes the connection and leaves nothing running. **Errors**: `ModelFailed`, whose
   * kind says whether the request may be retried.
   */
  readonly stream: (request: ModelRequest) => Stream.Stream<ModelPart, ModelFailed>
  /**
   * Asks the provider to compact the items of a request, if it can: emits their summary as text, as a `SealedSummary`, or
   * both. Messages of the user that the response repeats are no part of it. **Interruption** and **errors** as of `stream`.
   */
  readonly compact?: ((request: ModelRequest) => Stream.Stream<ModelPart, ModelFailed>) | undefined
}

/** The service key of {@link Model}. */
export const Model: Context.Service<Model, Model> = Context.Service("@spindle/core/Model")

/**
 * Returns the model of a turn whose context inputs have changed; `own` is that of its session. Called when the turn starts,
 * so it must not block. By default it is that of the session.
 */
export const ModelOfTurn: Context.Reference<(context: TurnContext, own: Model) => Model> = Context.Reference<
  (context: TurnContext, own: Model) => Model
>("@spindle/core/ModelOfTurn", { defaultValue: () => (_, own) => own })

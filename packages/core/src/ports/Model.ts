/**
 * The port to a model: a request in, a stream of parts out.
 *
 * The regular task calls it; `packages/openai`, `packages/anthropic` and `EffectAiModel` implement it. The regular task
 * owns retries, history and tools. An implementation sends exactly one request per stream, never retries, and closes
 * its connection when the stream is interrupted. It must not emit anything after `Finish`; the session ignores such
 * parts. A stream that ends without `Finish` counts as `Disconnected`.
 */
import * as Context from "effect/Context"
import type * as Stream from "effect/Stream"
import type { CallDisplay } from "../protocol/Display.ts"
import type { CallId, SessionId, TurnId } from "../protocol/Ids.ts"
import type { Item, SealedSummary } from "../protocol/Item.ts"
import type { ModelFailed } from "../protocol/SessionError.ts"
import type { TokenUsage } from "../protocol/TokenUsage.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"

/** The description of a tool for a model. */
export interface ToolSpec {
  readonly name: string
  readonly description: string | undefined
  /** JSON Schema of the arguments. */
  readonly parameters: unknown
  /**
   * Set for a tool whose input is plain text in a grammar instead of JSON arguments. The arguments of its calls are `{
   * input }`.
   */
  readonly freeform?: { readonly syntax: string; readonly definition: string } | undefined
  /** The tool of `effect/ai` that this describes, for models that need it. */
  readonly source: unknown
}

/** A JSON Schema that the model's output must follow. */
export interface OutputFormat {
  readonly name: string
  readonly schema: unknown
}

/** One model request. In `items` each tool call is followed by its result (contract I6). */
export interface ModelRequest {
  readonly sessionId: SessionId
  readonly turnId: TurnId
  readonly instructions: string | undefined
  readonly items: ReadonlyArray<Item>
  /** The tools. It is the same array while the tools are the same, so that it can be the key of a cache. */
  readonly tools: ReadonlyArray<ToolSpec>
  readonly output: OutputFormat | undefined
}

/**
 * A part of a model's response. The start, the deltas and the end of one text or reasoning have the same `id`, which is
 * valid within its stream only. A text may begin with its first delta. A `ToolCall` comes when the call is complete.
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
      /** The provider and the model that can read `encrypted`; see `Item.Reasoning`. */
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
      /**
       * Set for a call that the provider has run: its output, and its description for people. The session does not run
       * it.
       */
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
  /** The name of the provider, for records and traces. */
  readonly provider: string
  /** The name of the model, for records and traces. */
  readonly model: string
  /** The number of tokens that fit into a request and its response, if known. */
  readonly contextWindow: number | undefined
  /**
   * Sends one request. **Interruption** closes the connection and leaves nothing running. **Errors**: `ModelFailed`.
   * Its kind says whether the request may be sent again.
   */
  readonly stream: (request: ModelRequest) => Stream.Stream<ModelPart, ModelFailed>
  /**
   * Asks the provider to compact the items of a request, if it can. The stream emits their summary as text, as a
   * `SealedSummary`, or both. It leaves out messages of the user that the response repeats. **Interruption**,
   * **Errors**: as `stream`.
   */
  readonly compact?: ((request: ModelRequest) => Stream.Stream<ModelPart, ModelFailed>) | undefined
}

/** The service key of {@link Model}. */
export const Model: Context.Service<Model, Model> = Context.Service("@spindle/core/Model")

/**
 * Returns the model of a turn whose context was changed by inputs. `own` is the model of its session. It is called when
 * the turn starts, so it must not block. Default: the model of the session.
 */
export const ModelOfTurn: Context.Reference<(context: TurnContext, own: Model) => Model> = Context.Reference<
  (context: TurnContext, own: Model) => Model
>("@spindle/core/ModelOfTurn", { defaultValue: () => (_, own) => own })

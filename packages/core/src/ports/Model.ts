/**
 * The port to a model: one sampling request in, a stream of parts out.
 *
 * The session's model loop calls it; `packages/openai` and `Model.fromLanguageModel` implement it. The loop owns
 * retries, history and tools: an implementation sends exactly one request per stream, never retries, and closes its
 * connection when the stream is interrupted. It must not emit anything after `Finish`; what it does emit is dropped. A
 * stream that ends without `Finish` counts as `Disconnected`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import type { CallId, SessionId, TurnId } from "../protocol/Ids.ts"
import type { Item } from "../protocol/Item.ts"
import type { ModelFailed } from "../protocol/SessionError.ts"
import type { TokenUsage } from "../protocol/TokenUsage.ts"
import * as Adapter from "./languageModel.ts"

/** A tool as a model is told about it. */
export interface ToolSpec {
  readonly name: string
  readonly description: string | undefined
  /** JSON Schema of the arguments. */
  readonly parameters: unknown
  /** A tool whose input is plain text in a grammar, instead of JSON arguments. Its call carries `{ input }`. */
  readonly freeform?: { readonly syntax: string; readonly definition: string }
  /** The tool of `effect/ai` that this describes, for models that want it. */
  readonly source: unknown
}

/** A JSON Schema that the answer must follow. */
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
 * What a model answers, in order. An id joins start, deltas and end of one text or reasoning; it means nothing beyond
 * its stream. A text may begin with its first delta. `ToolCall` comes when the call is complete.
 */
export type ModelPart =
  | { readonly _tag: "TextStart"; readonly id: string }
  | { readonly _tag: "TextDelta"; readonly id: string; readonly delta: string }
  | { readonly _tag: "TextEnd"; readonly id: string; readonly providerId?: string }
  | { readonly _tag: "ReasoningStart"; readonly id: string }
  | { readonly _tag: "ReasoningDelta"; readonly id: string; readonly delta: string }
  | { readonly _tag: "ReasoningEnd"; readonly id: string; readonly encrypted?: string; readonly providerId?: string }
  | {
      readonly _tag: "ToolCall"
      readonly callId: CallId
      readonly name: string
      readonly params: unknown
      /** The arguments as they came, when they are not JSON; `params` is then undefined. */
      readonly invalid?: string
      readonly freeform?: true
      readonly providerId?: string
    }
  | {
      readonly _tag: "Finish"
      readonly reason: "stop" | "tool-calls" | "length" | "content-filter"
      readonly usage: TokenUsage | undefined
    }

/** A model. */
export class Model extends Context.Service<
  Model,
  {
    /** The provider's name, for records and traces. */
    readonly provider: string
    /** The model's name, for records and traces. */
    readonly model: string
    /** How many tokens fit, if known. */
    readonly contextWindow: number | undefined
    /**
     * Sends one request. **Interruption**: closes the connection; nothing goes on. **Errors**: `ModelFailed` by kind;
     * see there which may be tried again.
     */
    readonly stream: (request: ModelRequest) => Stream.Stream<ModelPart, ModelFailed>
  }
>()("@spindle/core/Model") {
  /**
   * Any `LanguageModel` of `effect/ai` as a model. Tools are described to it and never run by it; bad arguments and
   * invented tools pass through, so that the session can answer the model. Three things are less than with a `Model` of
   * one's own: reasoning is sent back as text, and what only a provider can read is lost; the form of the answer
   * (`Agent.output`) is asked for in the instructions, and not enforced; tools that a provider runs itself fail the
   * request.
   */
  static readonly fromLanguageModel = (options: {
    readonly provider: string
    readonly model: string
    readonly contextWindow?: number
  }): Layer.Layer<Model, never, LanguageModel.LanguageModel> =>
    Layer.effect(
      Model,
      Effect.map(LanguageModel.LanguageModel, (languageModel) => ({
        provider: options.provider,
        model: options.model,
        contextWindow: options.contextWindow,
        stream: (request: ModelRequest) =>
          Stream.transformPull(
            Stream.mapError(streamOf(languageModel, request), Adapter.failureOf(options.provider, options.model)),
            (pull) => Effect.succeed(partsOf(pull, options))
          )
      }))
    )
}

/** The parts that mean something to a session, as they come; fails with the first that says that the answer has failed. */
const partsOf = (pull: Pulled<Response.AnyPart>, options: Adapter.Names): Pulled<ModelPart> => {
  const next: Pulled<ModelPart> = Effect.flatMap(pull, (parts) => {
    const failed = Adapter.failureIn(parts, options)
    if (failed !== undefined) return Effect.fail(failed)
    const [first, ...rest] = parts.flatMap((part) => Adapter.partOf(part) ?? [])
    return first === undefined ? next : Effect.succeed([first, ...rest] as const)
  })
  return next
}

type Pulled<A> = Pull.Pull<readonly [A, ...Array<A>], ModelFailed>

const streamOf = (
  model: (typeof LanguageModel.LanguageModel)["Service"],
  request: ModelRequest
): Adapter.PartStream => {
  const prompt = Adapter.promptOf(request)
  if (request.tools.length === 0) return model.streamText({ prompt })
  const toolkit = Adapter.toolkitOf(request.tools)
  // the schemas of tools that need services are not used: calls are neither decoded nor run here
  return model.streamText({
    prompt,
    toolkit,
    disableToolCallResolution: true,
    toolCallValidation: "deferred"
  }) as Adapter.PartStream
}

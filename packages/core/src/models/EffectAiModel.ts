/** Any `LanguageModel` of `effect/ai` as a {@link Model}. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as AiModel from "effect/ai/Model"
import type * as Response from "effect/ai/Response"
import { Model, type ModelPart, type ModelRequest } from "../ports/Model.ts"
import type { ModelFailed } from "../protocol/SessionError.ts"
import * as Adapter from "./effectAi.ts"

/** The names of a model, and how many tokens fit. */
export interface EffectAiModelOptions {
  /** The name of the provider, for records and traces. The default is that of the `Model` of `effect/ai`. */
  readonly provider?: string | undefined
  /** The name of the model, for records and traces. The default is that of the `Model` of `effect/ai`. */
  readonly model?: string | undefined
  readonly contextWindow?: number | undefined
}

/**
 * Makes a model of any `LanguageModel` of `effect/ai`. Tools are described to it and never run by it. Bad arguments and
 * invented tools pass through, so that the session can tell the model about them.
 *
 * Names that are not given are taken from the context, where the `Model.make` of `effect/ai` puts them.
 *
 * Three things are less than with a custom {@link Model}:
 *
 * - Reasoning is sent back as text. What only its provider can read is lost.
 * - The form of the output is asked for in the instructions, and not enforced.
 * - Tools that a provider runs itself fail the request.
 *
 * @example
 * ```ts
 * import { EffectAiModel } from "@spindle/core"
 * import { Layer } from "effect"
 * import type { LanguageModel } from "effect/ai"
 *
 * // any provider of `effect/ai` as the model of a session
 * export const model = (languageModel: Layer.Layer<LanguageModel.LanguageModel>) =>
 *   EffectAiModel.layer({ provider: "example", model: "example-1" }).pipe(Layer.provide(languageModel))
 * ```
 */
export const layer: {
  (
    options: EffectAiModelOptions & { readonly provider: string; readonly model: string }
  ): Layer.Layer<Model, never, LanguageModel.LanguageModel>
  (
    options?: EffectAiModelOptions
  ): Layer.Layer<Model, never, LanguageModel.LanguageModel | AiModel.ProviderName | AiModel.ModelName>
} = (options: EffectAiModelOptions = {}): Layer.Layer<Model, never, any> =>
  Layer.effect(
    Model,
    Effect.gen(function* () {
      const languageModel = yield* LanguageModel.LanguageModel
      const provider = options.provider ?? (yield* AiModel.ProviderName)
      const model = options.model ?? (yield* AiModel.ModelName)
      const names = { provider, model }
      return {
        ...names,
        contextWindow: options.contextWindow,
        stream: (request: ModelRequest) =>
          Stream.transformPull(
            Stream.mapError(streamOf(languageModel, request), Adapter.failureOf(provider, model)),
            (pull) => Effect.succeed(partsOf(pull, names))
          )
      }
    })
  )

/** The parts that a session uses, as they come. Fails with the first part that reports a failure. */
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

const streamOf = (model: LanguageModel.LanguageModel, request: ModelRequest): Adapter.PartStream => {
  const prompt = Adapter.promptOf(request)
  if (request.tools.length === 0) return model.streamText({ prompt })
  const toolkit = Adapter.toolkitOf(request.tools)
  // schemas that need services are not used: calls are neither decoded nor run here
  return model.streamText({
    prompt,
    toolkit,
    disableToolCallResolution: true,
    toolCallValidation: "deferred"
  }) as Adapter.PartStream
}

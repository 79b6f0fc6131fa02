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

/** The names and the context window of a model. */
export interface EffectAiModelOptions {
  /** The name of the provider, for records and traces. Default: that of the `Model` of `effect/ai`. */
  readonly provider?: string | undefined
  /** The name of the model, for records and traces. Default: that of the `Model` of `effect/ai`. */
  readonly model?: string | undefined
  readonly contextWindow?: number | undefined
}

/**
 * Makes a model of any `LanguageModel` of `effect/ai`. The session describes tools to it and runs them itself. Calls
 * with bad arguments or of unknown tools reach the session, which informs the model about them.
 *
 * Names that are not given come from the context, where the `Model.make` of `effect/ai` puts them.
 *
 * It has three limits that a custom {@link Model} does not have:
 *
 * - Reasoning is sent back as text. Its encrypted form is lost.
 * - The instructions ask for the output format, but it is not enforced.
 * - A request fails if the provider runs a tool itself.
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

/** Emits the parts that a session uses. Fails with the first part that reports a failure. */
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
  // calls are neither decoded nor run here, so the services that schemas may need are not used
  return model.streamText({
    prompt,
    toolkit,
    disableToolCallResolution: true,
    toolCallValidation: "deferred"
  }) as Adapter.PartStream
}

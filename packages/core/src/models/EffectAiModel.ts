/** Any `LanguageModel` of `effect/ai` as a {@link Model}. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import { Model, type ModelPart, type ModelRequest } from "../ports/Model.ts"
import type { ModelFailed } from "../protocol/SessionError.ts"
import * as Adapter from "./effectAi.ts"

/**
 * Any `LanguageModel` of `effect/ai` as a model. Tools are described to it and never run by it; bad arguments and
 * invented tools pass through, so that the session can answer the model. Three things are less than with a `Model` of
 * one's own: reasoning is sent back as text, and what only a provider can read is lost; the form of the answer
 * (`Agent.output`) is asked for in the instructions, and not enforced; tools that a provider runs itself fail the
 * request.
 */
export const layer = (options: {
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

/**
 * Core's `Model` over the OpenAI Responses API, and over servers that speak it.
 *
 * Each stream is one `POST {baseUrl}/responses` that stores nothing with the provider: the complete history goes out
 * every time, reasoning in its encrypted form. A request is sent again only when the provider refuses a part of it that
 * can be repaired: an item that it names, or a key that has expired. All other retries belong to the session's model
 * loop. The `HttpClient` also puts the `traceparent` of the current span on the request.
 */
import { Model } from "@spindle/core/Model"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as HttpClient from "effect/http/HttpClient"
import type { Options } from "./internal/options.ts"
import * as Responses from "./internal/responses.ts"
import * as Sampling from "./internal/sampling.ts"

export type { ApiKey } from "./internal/apiKey.ts"
export type { Options } from "./internal/options.ts"
export { TraceState } from "@spindle/core/TraceContext"

/**
 * Makes a model.
 *
 * **Interruption** of a stream closes its connection. **Errors** of a stream: `ModelFailed`, whose `detail` has the words
 * of the provider, or the server that could not be reached; neither it nor its `cause` holds the key. The README lists
 * which response becomes which kind.
 */
export const make = (options: Options): Effect.Effect<Model, never, HttpClient.HttpClient> =>
  Effect.map(Sampling.make(options), ({ senderOf, provider }) => {
    const send = senderOf(Responses.make(options))
    return {
      provider,
      model: options.model,
      contextWindow: options.contextWindow,
      stream: (request) => send({ ...request, toolChoice: "auto" }),
      ...(options.compactEndpoint === true ? { compact: senderOf(Responses.makeCompaction(options)) } : {})
    }
  })

/**
 * The model as a layer. See {@link make}.
 *
 * @example
 * ```ts
 * import { NodeHttpClient } from "@effect/platform-node"
 * import { OpenAiModel } from "@spindle/openai"
 * import { Layer, Redacted } from "effect"
 *
 * export const model = OpenAiModel.layer({
 *   model: "gpt-test",
 *   apiKey: Redacted.make("sk-test"),
 *   contextWindow: 200_000
 * }).pipe(Layer.provide(NodeHttpClient.layerUndici))
 * ```
 */
export const layer = (options: Options): Layer.Layer<Model, never, HttpClient.HttpClient> =>
  Layer.effect(Model, make(options))

/** The model as a layer, its options read from the configuration. See {@link make}. */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<Model, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

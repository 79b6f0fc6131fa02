/**
 * Core's `Model` over the chat completions API, which llama.cpp, Ollama, vLLM, LM Studio, OpenRouter, Mistral, DeepSeek
 * and many others speak.
 *
 * Each stream is one `POST {baseUrl}/chat/completions` with the complete history. A request is sent again only when the
 * provider refuses a message by its place, a field that is not needed, or a key that has expired. All other retries
 * belong to the session's model loop. A history that was recorded with the Responses API continues here, and the other
 * way round.
 */
import { Model } from "@spindle/core/Model"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as HttpClient from "effect/http/HttpClient"
import * as ChatWire from "./internal/chat/chatWire.ts"
import * as Sampling from "./internal/sampling.ts"
import type * as OpenAiModel from "./OpenAiModel.ts"

export type { ApiKey } from "./internal/apiKey.ts"

/** The options of the model. A local server needs no key. */
export interface Options extends Omit<
  OpenAiModel.Options,
  "reasoningSummary" | "encryptedReasoning" | "compactEndpoint" | "webSearch"
> {}

/**
 * Makes a model.
 *
 * A freeform tool is offered as a function with one text as its parameter, and its calls are translated back.
 *
 * **Interruption** of a stream closes its connection. **Errors** of a stream: `ModelFailed`, as from `OpenAiModel`.
 */
export const make = (options: Options): Effect.Effect<Model, never, HttpClient.HttpClient> =>
  Effect.map(Sampling.make(options), ({ senderOf, provider }) => ({
    provider,
    model: options.model,
    contextWindow: options.contextWindow,
    stream: senderOf(ChatWire.make(options))
  }))

/** The model as a layer. See {@link make}. */
export const layer = (options: Options): Layer.Layer<Model, never, HttpClient.HttpClient> =>
  Layer.effect(Model, make(options))

/** The model as a layer, its options read from the configuration. See {@link make}. */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<Model, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

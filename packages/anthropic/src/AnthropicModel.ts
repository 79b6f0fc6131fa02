/**
 * Core's `Model` over the Messages API of Anthropic, and over servers that speak it.
 *
 * Each stream is one `POST {baseUrl}/messages` with the complete history. Thinking goes back with its signature, to the
 * model that has signed it. A history that was recorded with another API continues here, and the other way round.
 */
import { Model } from "@spindle/core/Model"
import * as HttpModel from "@spindle/openai/HttpModel"
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Messages from "./internal/wire.ts"

export type { ApiKey } from "@spindle/openai/HttpModel"

/** The model, and the provider that serves it. */
export interface Options {
  /** The model's name, as the provider knows it. */
  readonly model: string
  /** The provider's name, for records and traces. Default `anthropic`. */
  readonly provider?: string | undefined
  /** The address of the API, up to the version. Default `https://api.anthropic.com/v1`. */
  readonly baseUrl?: string | undefined
  /** Sent as `x-api-key`; see `OpenAiModel.Options`. */
  readonly apiKey?: HttpModel.ApiKey | undefined
  /** More headers. They replace the headers of this module, except that of the key. */
  readonly headers?: { readonly [name: string]: string } | undefined
  /** Added to the address. */
  readonly queryParams?: { readonly [name: string]: string } | undefined
  /**
   * The amount of thinking: `none`, or `minimal`, `low`, `medium` and `high` as a budget of tokens. Any other word is
   * sent as the effort of a model that decides itself how much to think. Default: none.
   */
  readonly reasoningEffort?: string | undefined
  /** The most tokens of a response, including those of thinking. Default 32,000. */
  readonly maxOutputTokens?: number | undefined
  /** True if the model may call several tools at once. Default true. */
  readonly parallelToolCalls?: boolean | undefined
  /** As in `OpenAiModel.Options`. Default 300 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /** The number of tokens that the model's context holds, if known. */
  readonly contextWindow?: number | undefined
}

/** The version of the API that requests ask for. */
const version = "2023-06-01"

/**
 * Puts the key and the version of the API on a request: for other requests to the provider, such as for its list of
 * models.
 */
export const authorize: NonNullable<HttpModel.Wire<HttpModel.WireRequest>["authorize"]> = (request, key) =>
  HttpClientRequest.setHeader(Messages.authorize(request, key), "anthropic-version", version)

/**
 * Makes a model.
 *
 * A freeform tool is offered as a function with one text as its parameter, and its calls are translated back.
 *
 * **Interruption** of a stream closes its connection. **Errors** of a stream: `ModelFailed`, whose `detail` has the
 * words of the provider; neither it nor its `cause` holds the key.
 */
export const make = (options: Options): Effect.Effect<Model, never, HttpClient.HttpClient> =>
  HttpModel.make(Messages.make(options), {
    ...options,
    provider: options.provider ?? "anthropic",
    baseUrl: options.baseUrl ?? "https://api.anthropic.com/v1",
    headers: { "anthropic-version": version, ...options.headers }
  })

/** The model as a layer. See {@link make}. */
export const layer = (options: Options): Layer.Layer<Model, never, HttpClient.HttpClient> =>
  Layer.effect(Model, make(options))

/** The model as a layer, its options read from the configuration. See {@link make}. */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<Model, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

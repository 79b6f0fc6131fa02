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
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as HttpClient from "effect/http/HttpClient"
import type { ApiKey } from "./internal/apiKey.ts"
import * as Responses from "./internal/responses.ts"
import * as Sampling from "./internal/sampling.ts"

export type { ApiKey } from "./internal/apiKey.ts"
export { TraceState } from "@spindle/core/TraceContext"

/** The model, and how to reach it. */
export interface Options {
  /** The model's name, as the provider knows it. */
  readonly model: string
  /** The provider's name, for records and traces. Default `openai`. */
  readonly provider?: string | undefined
  /** The address of the API, up to the version. Its query, if any, goes with each request. Default `https://api.openai.com/v1`. */
  readonly baseUrl?: string | undefined
  /**
   * Sent as a bearer token. Without it no `authorization` header is sent. An effect runs when the first request needs a
   * key; its key is kept until the provider replies with 401, and then asked for once more, for all requests together. Its
   * failure fails the request as `Unauthorized`. Models share a key, and its refreshes, through `ApiKeys`.
   */
  readonly apiKey?: ApiKey | undefined
  /** Sent as `openai-organization`. */
  readonly organization?: string | undefined
  /** Sent as `openai-project`. */
  readonly project?: string | undefined
  /** More headers. They replace the headers of this module, except that of the key. */
  readonly headers?: { readonly [name: string]: string } | undefined
  /** Added to the address. */
  readonly queryParams?: { readonly [name: string]: string } | undefined
  /** How much the model thinks: `minimal`, `low`, `medium`, `high`, or another word of the model. Default: the model's. */
  readonly reasoningEffort?: string | undefined
  /** Which summary of its thinking the model writes: `auto`, `concise` or `detailed`. Default: none. */
  readonly reasoningSummary?: string | undefined
  /** How long the model's answers are: `low`, `medium` or `high`. Default: the model's. */
  readonly verbosity?: string | undefined
  /** How many tokens a response may have, those of reasoning included. Default: the provider's limit. */
  readonly maxOutputTokens?: number | undefined
  /** How the provider schedules requests, for example `flex` or `priority`. Default: the provider's. */
  readonly serviceTier?: string | undefined
  /** Whether to ask for reasoning in its encrypted form; `false` for models that refuse this. Default true. */
  readonly encryptedReasoning?: boolean | undefined
  /** Whether the model may call several tools at once. Default true. */
  readonly parallelToolCalls?: boolean | undefined
  /**
   * Whether the provider searches the web when the model asks for it: `live`, or only what it has in a cache. Sent with
   * requests that have tools. Default: not at all.
   */
  readonly webSearch?: "cached" | "live" | undefined
  /**
   * Whether the provider compacts conversations at `POST {baseUrl}/responses/compact`. Its summaries may be sealed: models
   * of other providers cannot read them. Default false.
   */
  readonly compactEndpoint?: boolean | undefined
  /**
   * How long to wait for the response to begin and, in it, from one event to the next, before the request fails with
   * `IdleTimeout`. Default 300 seconds. Infinity, zero and less mean no limit.
   */
  readonly idleTimeout?: Duration.Input | undefined
  /** How many tokens the model's context holds, if known. */
  readonly contextWindow?: number | undefined
}

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

/** The options of the models of this package. */
import type * as Duration from "effect/Duration"
import type { ApiKey } from "./apiKey.ts"

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
  /**
   * The effort with which the model thinks: `minimal`, `low`, `medium`, `high`, or another word of the model. Default: the
   * model's.
   */
  readonly reasoningEffort?: string | undefined
  /** The summary of its thinking that the model writes: `auto`, `concise` or `detailed`. Default: none. */
  readonly reasoningSummary?: string | undefined
  /** The length of the model's answers: `low`, `medium` or `high`. Default: the model's. */
  readonly verbosity?: string | undefined
  /** The most tokens of a response, those of reasoning included. Default: the provider's limit. */
  readonly maxOutputTokens?: number | undefined
  /** The tier in which the provider schedules requests, for example `flex` or `priority`. Default: the provider's. */
  readonly serviceTier?: string | undefined
  /** True to ask for reasoning in its encrypted form; `false` for models that refuse this. Default true. */
  readonly encryptedReasoning?: boolean | undefined
  /** True if the model may call several tools at once. Default true. */
  readonly parallelToolCalls?: boolean | undefined
  /**
   * The web search of the provider, when the model asks for it: `live`, or only what it has in a cache. Sent with
   * requests that have tools. Default: not at all.
   */
  readonly webSearch?: "cached" | "live" | undefined
  /**
   * True if the provider compacts conversations at `POST {baseUrl}/responses/compact`. Its summaries may be sealed:
   * models of other providers cannot read them. Default false.
   */
  readonly compactEndpoint?: boolean | undefined
  /**
   * The time to wait for the response to begin and, in it, from one event to the next, before the request fails with
   * `IdleTimeout`. Default 300 seconds. Infinity, zero and less mean no limit.
   */
  readonly idleTimeout?: Duration.Input | undefined
  /** The size of the model's context in tokens, if known. */
  readonly contextWindow?: number | undefined
}

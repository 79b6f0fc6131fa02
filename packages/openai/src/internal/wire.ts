/** An API that a server speaks. Writes its requests and reads their responses. */
import type { Item } from "@spindle/core/Item"
import type { ModelRequest } from "@spindle/core/Model"
import type * as Redacted from "effect/Redacted"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { ProviderError } from "./failures.ts"
import type { ReadingContext, ResponseReader } from "./reader.ts"

/** The part of a request that every API needs. */
export type WireRequest = Pick<ModelRequest, "instructions" | "items" | "tools" | "output">

/** A request as it is sent. */
export interface WrittenRequest {
  readonly body: string
  /** The items that an error of the server names, and without which it may accept the request. */
  readonly refusedItems: (error: ProviderError) => ReadonlyArray<Item>
}

/** The options of writing a request. */
export interface Writing {
  /** The items of the request, without those that the server refused. */
  readonly items: ReadonlyArray<Item>
  /** The seal of the {@link ReadingContext}. */
  readonly seal: string
  /** The provider, which can read sealed summaries of all its models. */
  readonly provider: string
  /** True if the optional fields are left out. */
  readonly isPlain: boolean
}

/** One API, for requests of type `R`. */
export interface Wire<R extends WireRequest> {
  /** The path after the base URL. */
  readonly path: string
  /** The content type that a response should have. Default: `text/event-stream`. */
  readonly accept?: string
  /** Returns a name for the models that can read the sealed reasoning of a model. */
  readonly sealOf: (provider: string, model: string) => string
  /** The fields of the body that a server may refuse and that a request does not need. */
  readonly optionalFields: ReadonlyArray<string>
  /** Adds the key to a request. Default: as a bearer token. */
  readonly authorize?: (
    request: HttpClientRequest.HttpClientRequest,
    key: Redacted.Redacted<string>
  ) => HttpClientRequest.HttpClientRequest
  /** Writes a request. Throws when JSON cannot represent it. */
  readonly write: (request: R, writing: Writing) => WrittenRequest
  /** Makes the reader of a response to this request. */
  readonly read: (request: R, context: ReadingContext) => ResponseReader
}

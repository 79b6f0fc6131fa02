/**
 * The parts that models over HTTP share, for a package that adds the API of another provider.
 *
 * A {@link Wire} writes requests and reads responses. This module does the rest, as for the models of this package: the
 * key and its refreshes, redirects, time limits, compressed bodies, server-sent events, repairs of a request that was
 * refused, and failures without secrets.
 */
import type { Model } from "@spindle/core/Model"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Sampling from "./internal/sampling.ts"
import type { Wire, WireRequest } from "./internal/wire.ts"

export type { ApiKey } from "./internal/apiKey.ts"
export { CallIds, inputText, type MakeId, plainId, resultText, type ToolCall } from "./internal/calls.ts"
export { type Call, freeformInput, isComplete } from "./internal/chat/calls.ts"
export {
  freeformParameter,
  freeformParameters,
  resultsOf,
  type ToolResult,
  withoutProviderCalls
} from "./internal/chat/messages.ts"
export { paramsOf } from "./internal/eventItems.ts"
export type { FailureContext, ProviderError } from "./internal/failures.ts"
export { missingImage } from "./internal/history.ts"
export { isObject, type Json, parse, stringify, textOf } from "./internal/json.ts"
export { type ReadingContext, ResponseReader, sealOf } from "./internal/reader.ts"
export type { SamplingOptions as Options } from "./internal/sampling.ts"
export { wireName } from "./internal/toolNames.ts"
export type { Wire, WireRequest, Writing, WrittenRequest } from "./internal/wire.ts"
export { mapOnce } from "./internal/wireTools.ts"

/**
 * Makes a model from a wire. **Interruption** of a stream closes its connection. **Errors** of a stream: `ModelFailed`,
 * with the words of the provider and without the key.
 */
export const make = (
  wire: Wire<WireRequest>,
  options: Sampling.SamplingOptions & { readonly provider: string; readonly contextWindow?: number | undefined }
): Effect.Effect<Model, never, HttpClient.HttpClient> =>
  Effect.map(Sampling.make(options), ({ senderOf, provider }) => ({
    provider,
    model: options.model,
    contextWindow: options.contextWindow,
    stream: senderOf(wire)
  }))

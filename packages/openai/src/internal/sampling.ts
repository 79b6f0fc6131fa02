/** Sends one request to a model, with the repairs that it may need, and streams its response. */
import type { ModelPart } from "@spindle/core/Model"
import type { Item } from "@spindle/core/Item"
import type { ModelFailed } from "@spindle/core/SessionError"
import { traceStateOf } from "@spindle/core/TraceContext"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as ResponseStream from "./responseStream.ts"
import * as ApiKey from "./apiKey.ts"
import * as Failures from "./failures.ts"
import type { ReadingContext } from "./reader.ts"
import * as Redirects from "./redirects.ts"
import * as Refusals from "./refusals.ts"
import { changedNames } from "./toolNames.ts"
import type { Wire, WireRequest, WrittenRequest } from "./wire.ts"

/** The options of the requests to a model. */
export interface SamplingOptions {
  readonly model: string
  readonly provider?: string | undefined
  readonly baseUrl?: string | undefined
  readonly apiKey?: ApiKey.ApiKey | undefined
  readonly organization?: string | undefined
  readonly project?: string | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
  readonly queryParams?: { readonly [name: string]: string } | undefined
  readonly idleTimeout?: Duration.Input | undefined
}

/** Sends requests of one kind to a model. */
export type Send<R extends WireRequest> = (request: R) => Stream.Stream<ModelPart, ModelFailed>

/** Sends requests to one model. */
export interface Sampling {
  readonly provider: string
  /** Returns the function that sends over an API. All share the key and the items that the provider has refused. */
  readonly senderOf: <R extends WireRequest>(wire: Wire<R>) => Send<R>
}

/** The parts of a model that its requests need. */
interface Connection<R extends WireRequest> {
  readonly client: HttpClient.HttpClient
  readonly wire: Wire<R>
  readonly base: HttpClientRequest.HttpClientRequest
  readonly context: Failures.FailureContext
  readonly seal: string
  readonly idleTimeout: Duration.Duration
  readonly apiKey: ApiKey.Key
  /** The items that the provider refused, and without which it accepted a request. */
  readonly refused: WeakSet<Item>
  /** The models that the provider has named. */
  readonly served: Set<string>
  /** True if the provider accepted a request only without the optional fields. */
  isPlain: boolean
}

/** The repairs of a request so far: the items that are left out, and the warnings about them. */
interface Repairs {
  readonly leftOut: ReadonlySet<Item>
  readonly warnings: ReadonlyArray<string>
  readonly isKeyRenewed: boolean
  readonly isPlain: boolean
}

/** The number of times that a request is sent again because the provider refused an item by name. */
const mostRefusals = 3

/** Makes the sampling of one model. */
export const make = (options: SamplingOptions): Effect.Effect<Sampling, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const provider = options.provider ?? "openai"
    const context = { provider, model: options.model, secrets: secretsOf(options) }
    const apiKey = yield* ApiKey.make(context, options.apiKey)
    const idleTimeout = limitOf(options.idleTimeout ?? "300 seconds")
    const refused = new WeakSet<Item>()
    const served = new Set<string>()
    const repairs: Repairs = { leftOut: new Set(), warnings: [], isKeyRenewed: false, isPlain: false }
    const senderOf = <R extends WireRequest>(wire: Wire<R>): Send<R> => {
      const connection: Connection<R> = {
        client,
        wire,
        base: requestOf(wire, options),
        context,
        seal: wire.sealOf(provider, options.model),
        idleTimeout,
        apiKey,
        refused,
        served,
        isPlain: false
      }
      return (request) => Stream.unwrap(sample(connection, request, repairs))
    }
    return { provider, senderOf }
  })

/** Reads a limit of time. Zero, less and infinity mean no limit. */
const limitOf = (input: Duration.Input): Duration.Duration => {
  const limit = Duration.fromInputUnsafe(input)
  return Duration.toMillis(limit) > 0 ? limit : Duration.infinity
}

/** Sends a request until it is accepted or fails for good; see {@link Repairs}. */
const sample = Effect.fnUntraced(function* <R extends WireRequest>(
  connection: Connection<R>,
  request: R,
  repairs: Repairs
): Effect.fn.Return<Stream.Stream<ModelPart, ModelFailed>, ModelFailed> {
  const { apiKey, base, client, idleTimeout, refused, seal, wire } = connection
  const key = yield* apiKey.get
  const context: ReadingContext = {
    ...connection.context,
    secrets: [...connection.context.secrets, ...(key === undefined ? [] : [Redacted.value(key)])],
    seal,
    toolNames: changedNames(request.tools),
    served: connection.served
  }
  const reading: ResponseStream.Reading = { context, idleTimeout }
  const items = request.items.filter((item) => !refused.has(item) && !repairs.leftOut.has(item))
  const written = yield* Effect.try({
    try: () =>
      wire.write(request, { items, seal, provider: context.provider, isPlain: connection.isPlain || repairs.isPlain }),
    catch: (cause) =>
      Failures.failure(context, "InvalidRequest", { detail: "the request cannot be written as JSON", cause })
  })
  const authorize = wire.authorize ?? HttpClientRequest.bearerToken
  const withBody = HttpClientRequest.bodyText(base, written.body, "application/json")
  const ready = yield* withTraceState(key === undefined ? withBody : authorize(withBody, key))
  const response = yield* Redirects.execute(client, context, ready).pipe(ResponseStream.failWhenIdle(reading))
  if (response.status >= 200 && response.status < 300) {
    for (const item of repairs.leftOut) refused.add(item)
    if (repairs.isPlain) connection.isPlain = true
    const warnings = repairs.warnings.map((message): ModelPart => ({ _tag: "Warning", message }))
    const parts = ResponseStream.partsOf(reading, response, (own) => wire.read(request, own))
    return warnings.length === 0 ? parts : Stream.concat(Stream.fromArray(warnings), parts)
  }
  const refusal = yield* ResponseStream.failedResponseOf(reading, response)
  const failure = Failures.fromResponse(context, refusal)
  if (response.status === 401 && !repairs.isKeyRenewed && (yield* apiKey.refuse(key))) {
    return yield* sample(connection, request, { ...repairs, isKeyRenewed: true })
  }
  if (failure.kind !== "InvalidRequest") return yield* failure
  if (!connection.isPlain && !repairs.isPlain && wire.optionalFields.some((name) => refusal.body.includes(name))) {
    return yield* sample(connection, request, { ...repairs, isPlain: true })
  }
  const next = repairsAfter(context, refusal, written, repairs)
  return next === undefined ? yield* failure : yield* sample(connection, request, next)
})

/** Returns the repairs of the next attempt; undefined if the refusal names no item that can be left out. */
const repairsAfter = (
  context: Failures.FailureContext,
  refusal: Failures.FailedResponse,
  written: WrittenRequest,
  repairs: Repairs
): Repairs | undefined => {
  const error = Failures.errorOf(refusal.body)
  const named = written.refusedItems(error)
  if (named.length === 0 || repairs.warnings.length === mostRefusals) return undefined
  const warning = Failures.toPlainLine(Failures.scrub(context, Refusals.warningOf(context.provider, named, error)))
  return {
    ...repairs,
    leftOut: new Set([...repairs.leftOut, ...named]),
    warnings: [...repairs.warnings, warning]
  }
}

/** Returns the texts that must not appear in a failure: headers and parameters whose name says that they are secret. */
const secretsOf = (options: SamplingOptions): ReadonlyArray<string> =>
  Object.entries({ ...options.headers, ...options.queryParams, ...partsOfUrl(options.baseUrl).params })
    .filter(([name]) => /auth|key|token|secret|cookie|signature|password|^sig$/i.test(name))
    .flatMap(([, value]) => [value, value.replace(/^Bearer\s+/i, "")])

/** Splits a base URL: the address without a slash at the end, the query, and the secrets in the URL by name. */
const partsOfUrl = (baseUrl = "https://api.openai.com/v1") => {
  const [, address = "", query = ""] = /^([^?#]*)(\?[^#]*)?/.exec(baseUrl) ?? []
  const pairs = query
    .slice(1)
    .split("&")
    .map((pair) => pair.split("=", 2))
  const [, password] = /^https?:\/\/[^/:@]*:([^/@]*)@/i.exec(address) ?? []
  const params: { readonly [name: string]: string } = {
    ...Object.fromEntries(pairs.map(([name = "", value = ""]) => [name, decodePercent(value)])),
    ...(password === undefined ? {} : { password: decodePercent(password) })
  }
  return { address: address.replace(/\/+$/, ""), query, params }
}

const decodePercent = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const requestOf = (
  { accept = "text/event-stream", path }: Pick<Wire<never>, "accept" | "path">,
  options: SamplingOptions
): HttpClientRequest.HttpClientRequest => {
  const { address, query } = partsOfUrl(options.baseUrl)
  return HttpClientRequest.post(`${address}${path}${query}`).pipe(
    HttpClientRequest.setHeaders({
      accept,
      ...(options.organization === undefined ? {} : { "openai-organization": options.organization }),
      ...(options.project === undefined ? {} : { "openai-project": options.project }),
      ...options.headers
    }),
    HttpClientRequest.appendUrlParams(options.queryParams ?? {})
  )
}

/** Adds `tracestate` to a request. `HttpClient` sends only `traceparent` by itself. */
const withTraceState = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.map(Effect.serviceOption(Tracer.ParentSpan), (span) => {
    const state = Option.isNone(span) ? undefined : traceStateOf(span.value)
    return state === undefined ? request : HttpClientRequest.setHeader(request, "tracestate", state)
  })

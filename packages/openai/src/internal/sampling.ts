/** One request to `/responses` and the stream of its answer. */
import type { ModelPart } from "@spindle/core/Model"
import type { ModelFailed } from "@spindle/core/SessionError"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { EventReader } from "./events.ts"
import * as Failures from "./failures.ts"
import { bodyOf, type BodyOptions, type BodyRequest } from "./request.ts"
import { traceStateOf } from "@spindle/core/TraceContext"

/** How to reach a model. */
export interface SamplingOptions extends BodyOptions {
  readonly provider?: string | undefined
  readonly baseUrl?: string | undefined
  readonly apiKey?: Redacted.Redacted<string> | undefined
  readonly organization?: string | undefined
  readonly project?: string | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
  readonly queryParams?: { readonly [name: string]: string } | undefined
  readonly idleTimeout?: Duration.Input | undefined
}

/** Sends requests to one model. */
export interface Sampling {
  readonly provider: string
  readonly stream: (request: BodyRequest) => Stream.Stream<ModelPart, ModelFailed>
}

/** The largest event that is read: a response that ends repeats its whole output, images included. */
const maxEventCharacters = 64 * 1024 * 1024
/** How long a finished answer may take to end, so that its connection can be used again. */
const drainTimeout = Duration.millis(100)

interface Limits {
  readonly context: Failures.FailureContext
  readonly idleTimeout: Duration.Duration
}

export const make = (options: SamplingOptions): Effect.Effect<Sampling, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (client) => {
    const provider = options.provider ?? "openai"
    const idleTimeout = Duration.fromInputUnsafe(options.idleTimeout ?? "300 seconds")
    const context = { provider, model: options.model, secrets: secretsOf(options) }
    const limits: Limits = { context, idleTimeout }
    const base = requestOf(options)
    return {
      provider,
      stream: (request) =>
        Stream.unwrap(
          withBody(context, base, options, request).pipe(
            Effect.flatMap(withTraceState),
            Effect.flatMap((ready) =>
              Effect.mapError(client.execute(ready), (error) => Failures.fromRequest(context, error))
            ),
            failWhenIdle(limits),
            Effect.filterOrElse(isStream, (response) => refused(limits, response)),
            Effect.map((response) => partsOf(limits, response))
          )
        )
    }
  })

/** What must not be told: the key, and every header or parameter whose name says that it is one. */
const secretsOf = (options: SamplingOptions): ReadonlyArray<string> => [
  ...(options.apiKey === undefined ? [] : [Redacted.value(options.apiKey)]),
  ...Object.entries({ ...options.headers, ...options.queryParams })
    .filter(([name]) => /auth|key|token|secret|cookie|signature|^sig$/i.test(name))
    .flatMap(([, value]) => [value, value.replace(/^Bearer\s+/i, "")])
]

const requestOf = (options: SamplingOptions): HttpClientRequest.HttpClientRequest => {
  const baseUrl = (options.baseUrl ?? "https://api.openai.com/v1").replace(/\/+$/, "")
  const request = HttpClientRequest.post(`${baseUrl}/responses`).pipe(
    HttpClientRequest.setHeaders({
      accept: "text/event-stream",
      ...(options.organization === undefined ? {} : { "openai-organization": options.organization }),
      ...(options.project === undefined ? {} : { "openai-project": options.project }),
      ...options.headers
    }),
    HttpClientRequest.appendUrlParams(options.queryParams ?? {})
  )
  return options.apiKey === undefined ? request : HttpClientRequest.bearerToken(request, options.apiKey)
}

const withBody = (
  context: Failures.FailureContext,
  base: HttpClientRequest.HttpClientRequest,
  options: BodyOptions,
  request: BodyRequest
): Effect.Effect<HttpClientRequest.HttpClientRequest, ModelFailed> =>
  Effect.try({
    try: () => HttpClientRequest.bodyText(base, JSON.stringify(bodyOf(options, request)), "application/json"),
    catch: (cause) =>
      Failures.failure(context, "InvalidRequest", { detail: "the request cannot be written as JSON", cause })
  })

/** HttpClient sends `traceparent` by itself, and no `tracestate`. */
const withTraceState = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.map(Effect.serviceOption(Tracer.ParentSpan), (span) => {
    const state = Option.isNone(span) ? undefined : traceStateOf(span.value)
    return state === undefined ? request : HttpClientRequest.setHeader(request, "tracestate", state)
  })

const failWhenIdle =
  ({ context, idleTimeout }: Limits) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | ModelFailed, R> =>
    Duration.isFinite(idleTimeout)
      ? Effect.timeoutOrElse(self, {
          duration: idleTimeout,
          orElse: () => Effect.fail(Failures.idle(context, Duration.toMillis(idleTimeout)))
        })
      : self

const isStream = ({ headers, status }: HttpClientResponse.HttpClientResponse): boolean =>
  status >= 200 && status < 300 && !/^(application\/json|text\/html)/.test(headers["content-type"] ?? "")

const refused = (limits: Limits, response: HttpClientResponse.HttpClientResponse): Effect.Effect<never, ModelFailed> =>
  Effect.gen(function* () {
    // the status says enough when its body cannot be read
    const body = yield* response.text.pipe(
      failWhenIdle(limits),
      Effect.orElseSucceed(() => "")
    )
    const { headers, status } = response
    const nowMillis = yield* Clock.currentTimeMillis
    return yield* Failures.fromAnswer(limits.context, { status, headers, body, nowMillis })
  })

const partsOf = (
  limits: Limits,
  response: HttpClientResponse.HttpClientResponse
): Stream.Stream<ModelPart, ModelFailed> =>
  Stream.transformPull(
    response.stream.pipe(
      Stream.mapError((error) => Failures.fromStream(limits.context, error)),
      Stream.decodeText
    ),
    (upstream) => Effect.sync(() => pullParts(limits, upstream))
  )

type Texts = readonly [string, ...Array<string>]
type Parts = readonly [ModelPart, ...Array<ModelPart>]

/**
 * Pulls parts out of texts. What was read before a failure is told before it. Time counts from event to event, so that
 * comments which only keep a connection open do not count.
 */
const pullParts = (limits: Limits, upstream: Pull.Pull<Texts, ModelFailed>): Pull.Pull<Parts, ModelFailed> => {
  const { context } = limits
  const reader = new EventReader(context)
  let events = 0
  const parser = Sse.makeParser(
    (event) => {
      events++
      // a reconnection time is of no use here: a response cannot be continued
      if (event._tag === "Event") reader.read(event.data)
    },
    { maxEventSize: maxEventCharacters }
  )
  const feed = (chunks: Texts) => {
    for (const chunk of chunks) {
      const error = parser.feed(chunk)
      if (error !== undefined)
        reader.failure ??= Failures.failure(context, "InvalidResponse", { detail: error.message })
    }
  }
  const ended = () => {
    const detail = "the stream ended before the response was complete"
    return Effect.fail(Failures.failure(context, "Disconnected", { detail }))
  }
  const nextEvent: Effect.Effect<void, ModelFailed> = Effect.suspend(() => {
    const before = events
    return Effect.whileLoop({
      while: () => events === before && reader.failure === undefined,
      body: () => Pull.catchDone(upstream, ended),
      step: feed
    })
  }).pipe(failWhenIdle(limits))
  const drained = Effect.forever(upstream).pipe(Effect.ignore, Effect.timeoutOption(drainTimeout))
  return Effect.suspend(function next(): Pull.Pull<Parts, ModelFailed> {
    const parts = reader.take()
    if (Arr.isArrayNonEmpty(parts)) return Effect.succeed(parts)
    if (reader.failure !== undefined) return Effect.fail(reader.failure)
    if (reader.isFinished) return Effect.andThen(drained, Cause.done())
    return Effect.flatMap(nextEvent, next)
  })
}

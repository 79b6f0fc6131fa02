/** Reads the stream of a successful response as parts. */
import type { ModelPart } from "@spindle/core/Model"
import type { ModelFailed } from "@spindle/core/SessionError"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as Sse from "effect/encoding/Sse"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Decoding from "./decoding.ts"
import * as Failures from "./failures.ts"
import type { ReadingContext, ResponseReader } from "./reader.ts"

/** The options of reading a response. An infinite `idleTimeout` means no limit. */
export interface Reading {
  readonly context: ReadingContext
  readonly idleTimeout: Duration.Duration
}

/** The largest event that is read, in characters. The last event repeats the entire output, images included. */
const maxEventCharacters = 64 * 1024 * 1024
/** The time to wait for the end of a finished response, so that its connection can be used again. */
const drainTimeout = Duration.millis(100)
/** The most that is read of a body that only explains a failure, in characters. */
const maxErrorCharacters = 1024 * 1024

/** Fails with `IdleTimeout` if an effect takes too long. */
export const failWhenIdle =
  ({ context, idleTimeout }: { readonly context: Failures.FailureContext; readonly idleTimeout: Duration.Duration }) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | ModelFailed, R> =>
    Duration.isFinite(idleTimeout)
      ? Effect.timeoutOrElse(self, {
          duration: idleTimeout,
          orElse: () => Effect.fail(Failures.idle(context, Duration.toMillis(idleTimeout)))
        })
      : self

/** Reads the body of a response that is a failure, as far as it can be read. */
export const failedResponseOf = (
  reading: Reading,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<Failures.FailedResponse> =>
  Effect.gen(function* () {
    let body = ""
    // the status says enough if the body breaks off or is too long
    yield* Decoding.textOf(reading.context, response).pipe(
      Stream.takeUntil((text) => (body += text).length > maxErrorCharacters),
      Stream.runDrain,
      failWhenIdle(reading),
      Effect.ignore
    )
    const nowMillis = yield* Clock.currentTimeMillis
    return { status: response.status, headers: response.headers, body, nowMillis }
  })

/** Reads a successful response. It is read as events first, whatever its content type says. */
export const partsOf = (
  reading: Reading,
  response: HttpClientResponse.HttpClientResponse,
  makeReader: (context: ReadingContext) => ResponseReader
): Stream.Stream<ModelPart, ModelFailed> =>
  Stream.transformPull(Decoding.textOf(reading.context, response), (upstream) =>
    Effect.sync(() => pullParts({ reading, response, reader: makeReader(reading.context) }, upstream))
  )

interface Source {
  readonly reading: Reading
  readonly response: HttpClientResponse.HttpClientResponse
  readonly reader: ResponseReader
}

type Texts = readonly [string, ...Array<string>]
type Parts = readonly [ModelPart, ...Array<ModelPart>]

/**
 * Pulls parts out of texts. Parts that were read before a failure are emitted before it. The idle limit runs from event
 * to event: comments that only keep a connection open do not extend it.
 */
const pullParts = (
  { reader, reading, response }: Source,
  upstream: Pull.Pull<Texts, ModelFailed>
): Pull.Pull<Parts, ModelFailed> => {
  const { context } = reading
  let events = 0
  // kept until the first event: a body without events is not a stream
  let body = ""
  const parser = Sse.makeParser(
    (event) => {
      events++
      // a reconnection time is of no use here: a response cannot be continued
      if (event._tag === "Event") reader.read(event.data, event.event)
    },
    { maxEventSize: maxEventCharacters }
  )
  const feed = (chunks: Texts) => {
    for (const chunk of chunks) {
      if (events === 0 && body.length < maxEventCharacters) body += chunk
      const error = parser.feed(chunk)
      if (error !== undefined) {
        reader.failure ??= Failures.failure(context, "InvalidResponse", { detail: error.message })
      }
    }
  }
  const ended = Effect.suspend((): Effect.Effect<Texts, ModelFailed> => {
    // some servers leave out the empty line after the last event
    feed(["\n\n"])
    if (reader.understood === 0 && reader.skipped.count === 0) reader.readResponse(body)
    if (!reader.isOver) reader.end(false)
    if (reader.isOver) return Effect.succeed([""])
    return Effect.map(Clock.currentTimeMillis, (nowMillis): Texts => {
      reader.failure = earlyEndFailure(reader, { status: response.status, headers: response.headers, body, nowMillis })
      return [""]
    })
  })
  const nextEvent: Effect.Effect<void, ModelFailed> = Effect.suspend(() => {
    const before = events
    return Effect.whileLoop({
      while: () => events === before && !reader.isOver,
      body: () => Pull.catchDone(upstream, () => ended),
      step: feed
    })
  }).pipe(
    failWhenIdle(reading),
    // a response that is complete does not fail with its connection
    Effect.catch((error) => {
      reader.end(false)
      return reader.isOver ? Effect.void : Effect.fail(error)
    })
  )
  const drained = Effect.forever(upstream).pipe(Effect.ignore, Effect.timeoutOption(drainTimeout))
  return Effect.suspend(function next(): Pull.Pull<Parts, ModelFailed> {
    const parts = reader.take()
    if (Arr.isArrayNonEmpty(parts)) return Effect.succeed(parts)
    if (reader.failure !== undefined) return Effect.fail(reader.failure)
    if (reader.isFinished) return Effect.andThen(Effect.andThen(noteSkipped(reader), drained), Cause.done())
    return Effect.flatMap(nextEvent, next)
  })
}

/** Makes the failure of a stream that ended without its last event. */
const earlyEndFailure = (reader: ResponseReader, response: Failures.FailedResponse): ModelFailed => {
  const { api, context, skipped, understood } = reader
  if (understood > 0) {
    const frames = skipped.count === 0 ? "" : `; frames that made no sense: ${skipped.count}`
    const detail = `the stream ended before the response was complete${frames}`
    return Failures.failure(context, "Disconnected", { detail })
  }
  if (skipped.count > 0) {
    const detail = `no frame of the stream is an event of ${api}; the first of ${skipped.count} is ${skipped.first}`
    return Failures.failure(context, "InvalidResponse", { detail, status: response.status })
  }
  if (!reader.isMarked && response.body.trim() !== "") return Failures.fromResponse(context, response)
  return Failures.failure(context, "Disconnected", { detail: "the stream ended before the response was complete" })
}

/** Writes the number of frames that made no sense to the span. */
const noteSkipped = ({ skipped }: ResponseReader): Effect.Effect<void> =>
  skipped.count === 0 ? Effect.void : Effect.annotateCurrentSpan("spindle.response.skipped_frames", skipped.count)

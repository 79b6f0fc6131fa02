/** The bodies of HTTP responses: one message, or a stream of events that each hold one. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import * as Sse from "effect/encoding/Sse"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Wire from "./wire.ts"

/** The position from which a stream of events can be continued, and the pause before that. */
export interface Position {
  lastEventId: string | undefined
  retryMillis: number | undefined
}

/** Returns true if the response is a stream of events. */
export const isEvents = (response: HttpClientResponse): boolean => mediaType(response) === "text/event-stream"

/** Returns true if the response is one message. */
export const isJson = (response: HttpClientResponse): boolean => mediaType(response) === "application/json"

const mediaType = ({ headers }: HttpClientResponse): string | undefined =>
  headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase()

/** Fails with the status of a response, unless it is one of success. */
export const checkStatus = (
  response: HttpClientResponse
): Effect.Effect<HttpClientResponse, McpClientError.McpClientError> =>
  response.status >= 200 && response.status <= 299
    ? Effect.succeed(response)
    : Effect.flatMap(Effect.option(readMessage(response)), (body) => {
        const remote = body._tag === "Some" && "error" in body.value ? body.value.error : undefined
        return Effect.fail(
          Wire.failure(
            new McpClientError.HttpError({
              status: response.status,
              code: remote?.code,
              description: remote?.message,
              wwwAuthenticate: response.headers["www-authenticate"]
            })
          )
        )
      })

/** Reads a body that is one message. */
export const readMessage = (response: HttpClientResponse) => Effect.flatMap(textOf(response), Wire.decode)

/** Reads a body of a known length at once, and any other one in pieces, up to the limit. */
const textOf = (response: HttpClientResponse): Effect.Effect<string, McpClientError.McpClientError> => {
  const { "content-encoding": encoding, "content-length": length } = response.headers
  return encoding === undefined && Number(length) <= Wire.limitBytes
    ? Effect.mapError(response.text, breakError)
    : bytesOf(response).pipe(
        Stream.limitBytes(Wire.limitBytes, () => Stream.fail(Wire.tooLargeError())),
        Stream.decodeText(),
        Stream.mkString
      )
}

const breakError = (cause: unknown) => Wire.lostError("the response broke off", cause)

/** Calls `receive` with the message of each event, until it returns false or the stream ends. Updates the position. */
export const readEvents = <R>(
  response: HttpClientResponse,
  position: Position,
  receive: (message: McpSchema.JsonRpcMessage) => Effect.Effect<boolean, never, R>
): Effect.Effect<void, McpClientError.McpClientError, R> =>
  Effect.suspend(() => {
    let events: Array<string> = []
    const parser = Sse.makeParser(
      (event) => {
        if (event._tag === "Retry") position.retryMillis = Duration.toMillis(event.duration)
        else {
          position.lastEventId = event.id ?? position.lastEventId
          if (event.data !== "") events.push(event.data)
        }
      },
      { maxEventSize: Wire.limitBytes }
    )
    const feed = Effect.fnUntraced(function* (text: string) {
      const error = parser.feed(text)
      const batch = events
      events = []
      for (const data of batch) if (!(yield* receive(yield* Wire.decode(data)))) return false
      return error === undefined ? true : yield* Wire.tooLargeError()
    })
    return bytesOf(response).pipe(
      Stream.decodeText(),
      Stream.mapEffect(feed),
      Stream.takeWhile((continues) => continues),
      Stream.runDrain
    )
  })

const bytesOf = (response: HttpClientResponse) => Stream.mapError(response.stream, breakError)

/** The body of a response as text. It is decompressed when the server compressed it without being asked. */
import type { ModelFailed } from "@spindle/core/SessionError"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Failures from "./failures.ts"

/** The text of a body, piece by piece. **Errors**: `Disconnected` when it breaks, `InvalidResponse` when it cannot be read. */
export const textOf = (
  context: Failures.FailureContext,
  response: HttpClientResponse.HttpClientResponse
): Stream.Stream<string, ModelFailed> => {
  const bytes = Stream.mapError(response.stream, (error) => Failures.fromStream(context, error))
  const encoding = (response.headers["content-encoding"] ?? "").trim().toLowerCase()
  const isPlain = encoding === "" || encoding === "identity"
  return Stream.decodeText(isPlain ? bytes : decodeBytes(context, encoding, bytes))
}

interface Format {
  /** The name of the format in `DecompressionStream`. */
  readonly name: string
  /** Whether bytes begin like this format. A client may have decompressed them already and left the header. */
  readonly isBegun: (first: number) => boolean
}

const gzip: Format = { name: "gzip", isBegun: (first) => first === 0x1f }
const formats: { readonly [encoding: string]: Format | undefined } = {
  gzip,
  "x-gzip": gzip,
  deflate: { name: "deflate", isBegun: (first) => (first & 0x0f) === 8 },
  // brotli has no mark: a body that does not begin like an event, JSON or HTML is compressed
  br: { name: "brotli", isBegun: (first) => !":deir{<\n\r\u00ef".includes(String.fromCharCode(first)) }
}

const decodeBytes = (
  context: Failures.FailureContext,
  encoding: string,
  bytes: Stream.Stream<Uint8Array, ModelFailed>
): Stream.Stream<Uint8Array, ModelFailed> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const pull = yield* Stream.toPull(bytes)
      const first = yield* Pull.catchDone(pull, () => Effect.succeed([]))
      const byte = first.find((chunk) => chunk.length > 0)?.[0]
      const all = Stream.concat(Stream.fromArray(first), Stream.fromPull(Effect.succeed(pull)))
      const format = formats[encoding]
      if (byte === undefined || format?.isBegun(byte) === false) return all
      const decompress = format === undefined ? undefined : makeDecompression(format.name)
      if (decompress === undefined) {
        const detail = `the response is encoded as ${encoding}, which was not asked for`
        return Stream.fail(Failures.failure(context, "InvalidResponse", { detail }))
      }
      return Stream.fromReadableStream({
        evaluate: () => Stream.toReadableStream(all).pipeThrough(decompress),
        onError: (cause) => {
          const detail = `the response is encoded as ${encoding} and cannot be decoded`
          return Failures.failure(context, "Disconnected", { detail, cause })
        }
      })
    })
  )

/** The part of the web standard that is used here; TypeScript without the DOM does not declare it. */
interface Decompression {
  readonly readable: unknown
  readonly writable: unknown
}

/** Makes a decompression; undefined when this platform has none for the format. */
const makeDecompression = (format: string): Decompression | undefined => {
  const { DecompressionStream } = globalThis as {
    readonly DecompressionStream?: new (format: string) => Decompression
  }
  try {
    return DecompressionStream === undefined ? undefined : new DecompressionStream(format)
  } catch {
    return undefined
  }
}

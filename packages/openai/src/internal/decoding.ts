/** Reads the body of a response as text. Decompresses one that the server compressed without being asked. */
import type { ModelFailed } from "@spindle/core/SessionError"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Failures from "./failures.ts"

/**
 * Returns the text of a body, piece by piece. **Errors**: `Disconnected` if the connection breaks, `InvalidResponse` if
 * the body cannot be read.
 */
export const textOf = (
  context: Failures.FailureContext,
  response: HttpClientResponse.HttpClientResponse
): Stream.Stream<string, ModelFailed> => {
  const bytes = Stream.mapError(response.stream, (error) => Failures.fromStream(context, error))
  const encodings = (response.headers["content-encoding"] ?? "")
    .split(",")
    .map((encoding) => encoding.trim().toLowerCase())
    .filter((encoding) => encoding !== "" && encoding !== "identity")
  // the last one was applied last
  const plain = encodings.reduceRight((body, encoding) => decodeBytes(context, encoding, body), bytes)
  return Stream.decodeText(plain, { encoding: charsetOf(response) })
}

/**
 * Returns the character set of a body. An error may come from any server in between, so its header counts. Events are
 * UTF-8 whatever the header says.
 */
const charsetOf = ({ headers, status }: HttpClientResponse.HttpClientResponse): string => {
  const named = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(headers["content-type"] ?? "")?.[1]
  if (status < 400 || named === undefined) return "utf-8"
  try {
    return new Platform.TextDecoder(named).encoding
  } catch {
    // the name is unknown
    return "utf-8"
  }
}

/**
 * Returns the name in `DecompressionStream` of the compression of a body, from its beginning; undefined for a body that
 * is not compressed.
 */
type Format = (start: Uint8Array) => string | undefined

// an HTTP client may have decompressed the body and left the header
const gzip: Format = ([first]) => (first === 0x1f ? "gzip" : undefined)
const formats: { readonly [encoding: string]: Format | undefined } = {
  gzip,
  "x-gzip": gzip,
  // some servers leave out the header of zlib
  deflate: (start) => ((start[0]! & 0x0f) === 8 ? "deflate" : isText(start) ? undefined : "deflate-raw"),
  br: (start) => (isText(start) ? undefined : "brotli")
}

/** Returns true if a body begins like an event, JSON or HTML. */
const isText = (start: Uint8Array): boolean =>
  /^(\u00ef\u00bb\u00bf)?[:deir{<[\n\r ][\t\n\r -~]*$/.test(String.fromCharCode(...start.subarray(0, 8)))

const decodeBytes = (
  context: Failures.FailureContext,
  encoding: string,
  bytes: Stream.Stream<Uint8Array, ModelFailed>
): Stream.Stream<Uint8Array, ModelFailed> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const pull = yield* Stream.toPull(bytes)
      const first = yield* Pull.catchDone(pull, () => Effect.succeed([]))
      const start = first.find((chunk) => chunk.length > 0)
      const all = Stream.concat(Stream.fromArray(first), Stream.fromPull(Effect.succeed(pull)))
      if (start === undefined) return all
      const format = formats[encoding]
      const name = format?.(start)
      // a server may name something other than an encoding, for example a character set
      if (name === undefined && (format !== undefined || isText(start))) return all
      const decompress = name === undefined ? undefined : makeDecompression(name)
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

interface Decompression {
  readonly readable: unknown
  readonly writable: unknown
}

/** The parts of the web standards that are used here; TypeScript without the DOM does not declare them. */
const Platform = globalThis as unknown as {
  readonly DecompressionStream?: new (format: string) => Decompression
  readonly TextDecoder: new (label: string) => { readonly encoding: string }
}

/** Makes a decompression; undefined if this platform has none for the format. */
const makeDecompression = (format: string): Decompression | undefined => {
  const { DecompressionStream } = Platform
  try {
    return DecompressionStream === undefined ? undefined : new DecompressionStream(format)
  } catch {
    return undefined
  }
}

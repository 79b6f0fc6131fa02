/**
 * The tool `view_image`: shows the model an image file.
 *
 * The image goes to the model as the next input, because not every provider takes images in the result of a call. The
 * type of a file is read from its bytes, whatever its name.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import * as Base64 from "effect/encoding/Base64"
import type { CallDisplay } from "@spindle/core/Display"
import type { Input } from "@spindle/core/Input"
import { Turn } from "@spindle/core/Turn"
import * as RegularFile from "../internal/project/regularFile.ts"
import { ToolFailure } from "../ToolFailure.ts"

/** The largest image that is sent, in bytes. */
export const maxBytes = 10_485_760

/** The arguments of the tool. */
export const Parameters = Schema.Struct({
  path: Schema.String.annotate({
    description: "The image file (PNG, JPEG, GIF or WebP), relative to the working directory or absolute."
  })
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. */
export const tool = Tool.make("view_image", {
  description: "Shows you an image file of this machine. The image follows as the next message.",
  parameters: Parameters,
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return",
  dependencies: [Turn]
})

/** Describes a call for people: the image. */
export const display = ({ path }: Parameters): CallDisplay => ({ _tag: "Image", path })

/** Returns the media type of an image by its first bytes; undefined if models do not take it. */
export const mediaTypeOf = (bytes: Uint8Array): string | undefined => {
  const starts = (at: number, ...wanted: ReadonlyArray<number>) => wanted.every((byte, i) => bytes[at + i] === byte)
  if (starts(0, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "image/png"
  if (starts(0, 0xff, 0xd8, 0xff)) return "image/jpeg"
  // GIF87a and GIF89a
  if (starts(0, 0x47, 0x49, 0x46, 0x38) && (bytes[4] === 0x37 || bytes[4] === 0x39) && bytes[5] === 0x61) {
    return "image/gif"
  }
  // RIFF, a length, WEBP
  if (starts(0, 0x52, 0x49, 0x46, 0x46) && starts(8, 0x57, 0x45, 0x42, 0x50)) return "image/webp"
  return undefined
}

/** Returns an image as input; undefined if the bytes are not an image that models take. */
export const toInput = (bytes: Uint8Array): Input | undefined => {
  const type = mediaTypeOf(bytes)
  return type === undefined ? undefined : [{ _tag: "Image", url: `data:${type};base64,${Base64.encode(bytes)}` }]
}

/**
 * Gives the model an image with the next request of its turn. **Errors**: `ToolFailure` if the session accepts none.
 */
export const attach: (input: Input) => Effect.Effect<void, ToolFailure, Turn> = Effect.fnUntraced(function* (input) {
  const { session } = yield* Turn
  const receipt = yield* Effect.mapError(
    session.submit({ _tag: "Notice", fragment: "tool_images", input, delivery: "wait" }),
    (error) => new ToolFailure({ detail: error.message })
  )
  if (receipt._tag === "Rejected") {
    return yield* new ToolFailure({ detail: `the session did not accept the image: ${receipt.reason._tag}` })
  }
})

/**
 * Shows an image. **Interruption**: the image is not shown. **Errors**: `ToolFailure` for a file that is missing, not a
 * regular file, not an image, or too large.
 */
export const run: (
  params: Parameters,
  options: { readonly cwd: string }
) => Effect.Effect<string, ToolFailure, Turn | FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function* (
  { path: name },
  { cwd }
) {
  const path = yield* Path.Path
  const refuse = (detail: string) => new ToolFailure({ detail: `cannot show ${name}: ${detail}` })
  const bytes = yield* Effect.mapError(RegularFile.readAll(path.resolve(cwd, name), maxBytes), refuse)
  const input = toInput(bytes)
  if (input === undefined) return yield* refuse("it is not a PNG, JPEG, GIF or WebP image")
  yield* Effect.mapError(attach(input), ({ detail }) => refuse(detail))
  return `The image ${name} follows as the next message.`
})

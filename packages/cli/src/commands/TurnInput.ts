/**
 * Reads the input of a turn from the command line and the files that it names.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { OutputFormat } from "@spindle/core/Model"
import type { Input } from "@spindle/core/Input"
import * as Effect from "effect/Effect"
import type { TurnOptions } from "../args/Arguments.ts"
import * as Help from "../args/Help.ts"
import { reasonOf } from "../output/failures.ts"
import { CliError } from "./CliError.ts"
import * as NamedFiles from "./namedFiles.ts"

/**
 * Returns the prompt and its images. Names of images are relative to `cwd`. **Errors**: `CliError` if a file is not an
 * image that can be sent.
 */
export const inputOf = Effect.fnUntraced(function* (what: {
  readonly cwd: string
  readonly options: TurnOptions
  readonly prompt: string
}) {
  const { cwd, options, prompt } = what
  const images: Array<Input[number]> = []
  for (const file of options.images) images.push({ _tag: "Image", url: yield* imageUrl(Path.resolve(cwd, file), file) })
  const text: Input = prompt === "" ? [] : [{ _tag: "Text", text: prompt }]
  return [...text, ...images] satisfies Input
})

const mediaTypes: { readonly [extension: string]: string } = {
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp"
}

const usageError = (detail: string) => new CliError({ detail, exitCode: Help.exitCodes.usage })

const imageUrl = (path: string, name: string) => {
  const type = mediaTypes[Path.extname(path).toLowerCase()]
  if (type === undefined) return Effect.fail(usageError(`${name} is not an image (png, jpeg, gif, webp)`))
  return Effect.flatMap(read(path, name), (bytes) =>
    bytes.length === 0
      ? Effect.fail(usageError(`cannot send ${name}: the file is empty`))
      : Effect.succeed(`data:${type};base64,${bytes.toString("base64")}`)
  )
}

const read = (path: string, name: string) =>
  Effect.tryPromise({
    try: (signal) => NamedFiles.read(path, signal),
    catch: (error) => usageError(`cannot read ${name}: ${reasonOf(error)}`)
  })

/** Reads the JSON Schema that the answer must follow. **Errors**: `CliError` if the file does not contain one. */
export const outputFormat = Effect.fnUntraced(function* (file: string | undefined) {
  if (file === undefined) return undefined
  const bytes = yield* read(Path.resolve(file), file)
  const schema = yield* Effect.try({
    // the decoder drops a byte order mark
    try: (): unknown => JSON.parse(new TextDecoder().decode(bytes)),
    catch: (error) => usageError(`${file} is not valid JSON: ${reasonOf(error)}`)
  })
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    return yield* usageError(`${file} is not a JSON Schema: it must be an object`)
  }
  return { name: "answer", schema } satisfies OutputFormat
})

/** Checks that a file can be written, before a turn is paid for. **Errors**: `CliError`. */
export const checkWritable = (file: string | undefined): Effect.Effect<void, CliError> =>
  Effect.suspend(() => {
    if (file === undefined) return Effect.void
    const folder = Fs.statSync(Path.dirname(Path.resolve(file)), { throwIfNoEntry: false })
    if (folder?.isDirectory() !== true)
      return Effect.fail(usageError(`cannot write ${file}: its directory does not exist`))
    const isDirectory = Fs.statSync(file, { throwIfNoEntry: false })?.isDirectory() === true
    return isDirectory ? Effect.fail(usageError(`cannot write ${file}: it is a directory`)) : Effect.void
  })

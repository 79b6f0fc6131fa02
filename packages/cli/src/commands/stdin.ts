/** Reads the prompt, or an addition to it, from standard input. */
import * as Fs from "node:fs"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Prompt } from "../args/Arguments.ts"
import * as Help from "../args/Help.ts"
import * as Failures from "../output/failures.ts"
import * as Log from "../output/Log.ts"
import { CliError } from "./CliError.ts"

/** The most that is read. No session accepts a prompt of this size. */
const limitBytes = 16 * 1_048_576

const noPrompt = () => usageError("give a prompt as an argument or on stdin (see spindle exec --help)")

const usageError = (detail: string) => new CliError({ detail, exitCode: Help.exitCodes.usage })

/**
 * Returns the prompt. Without one on the command line it is standard input. With one, standard input is added as a
 * block if it is a file or a pipe, and the program reports that. **Errors**: `CliError` if there is no prompt, or if
 * standard input cannot be read.
 */
export const promptOf = (prompt: Prompt, hasImages: boolean): Effect.Effect<string, CliError> =>
  Effect.suspend(() => {
    if (prompt._tag === "Text") return Effect.map(addition, (added) => `${prompt.text}${added}`)
    if (process.stdin.isTTY === true && !prompt.dash) return Effect.fail(noPrompt())
    return Effect.filterOrFail(read, (text) => text.trim() !== "" || hasImages, noPrompt)
  })

/** Returns the patch on standard input. **Errors**: `CliError` if it cannot be read. */
export const patch: Effect.Effect<string, CliError> = Effect.suspend(() =>
  process.stdin.isTTY === true ? Effect.fail(usageError("give a patch as an argument or on stdin")) : read
)

/** Returns the key on standard input. **Errors**: `CliError` if there is none, or if it cannot be read. */
export const key: Effect.Effect<string, CliError> = Effect.suspend(() =>
  process.stdin.isTTY === true ? Effect.fail(noKey()) : Effect.filterOrFail(read, (text) => text.trim() !== "", noKey)
).pipe(Effect.map((text) => text.trim()))

const noKey = () => usageError("give the key on stdin: printenv OPENAI_API_KEY | spindle login --with-api-key")

const addition = Effect.gen(function* () {
  if (!isPiped()) return ""
  const waiting = yield* Effect.forkChild(
    Effect.andThen(
      Effect.sleep("1 second"),
      Effect.sync(() => Log.say("waiting for the end of standard input, to add it to the prompt (</dev/null: without)"))
    )
  )
  const text = yield* read
  yield* Fiber.interrupt(waiting)
  if (text.trim() === "") return ""
  Log.say(`added standard input to the prompt (${text.length.toLocaleString("en-US")} characters)`)
  return `\n\n<stdin>\n${text}\n</stdin>`
})

/** Returns true if standard input is a file or a pipe. A device, such as `/dev/null`, adds nothing. */
const isPiped = (): boolean => {
  try {
    const stat = Fs.fstatSync(0)
    return stat.isFIFO() || stat.isFile() || stat.isSocket()
  } catch {
    // it is closed
    return false
  }
}

const read = Effect.flatMap(
  Effect.tryPromise({
    try: async () => {
      const chunks: Array<Uint8Array> = []
      let size = 0
      for await (const chunk of process.stdin) {
        chunks.push(chunk as Uint8Array)
        size += (chunk as Uint8Array).length
        if (size > limitBytes) return undefined
      }
      // the decoder drops a byte order mark
      return new TextDecoder().decode(Buffer.concat(chunks)).trimEnd()
    },
    catch: (error) => usageError(`cannot read standard input: ${Failures.reasonOf(error)}`)
  }),
  (text) =>
    text === undefined
      ? Effect.fail(usageError("standard input is too large: it has more than 16 MiB"))
      : Effect.succeed(text)
)

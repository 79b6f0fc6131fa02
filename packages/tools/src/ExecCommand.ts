/**
 * The tool `exec_command`: runs a shell command to its end and tells its output.
 *
 * The process belongs to the turn (contract X1): when the handler is interrupted it only stops waiting, and the turn
 * ends the process with everything it started. Output goes to the subscribers as it comes, and its head and tail to the
 * model at the end (contract X4).
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tool from "effect/ai/Tool"
import { CallId } from "@spindle/core/Ids"
import type { Processes } from "@spindle/core/Processes"
import { type Process, type ProcessExit } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"
import * as BoundedOutput from "./BoundedOutput.ts"
import { ToolFailure } from "./ToolFailure.ts"
import * as Utf8 from "./Utf8.ts"

/** How long a command may run when it does not say: 10 minutes. */
export const defaultTimeoutMillis = 600_000
/** How much of its output a model gets when it does not say, in tokens of four bytes. */
export const defaultOutputTokens = 10_000
/** The most bytes of one piece of output for subscribers. */
export const pieceBytes = 8_192

const bytesPerToken = 4
/** The longest a timer can wait: 24 days. */
const maxTimeoutMillis = 2_147_483_647
/** How long the rest of the output is waited for after a process was ended. */
const restMillis = 1_000

/** What makes programs print plain text, in one language, without waiting for a key. */
export const environment = {
  NO_COLOR: "1",
  TERM: "dumb",
  LANG: "C.UTF-8",
  LC_CTYPE: "C.UTF-8",
  LC_ALL: "C.UTF-8",
  COLORTERM: "",
  PAGER: "cat",
  GIT_PAGER: "cat",
  GH_PAGER: "cat"
} as const

/** The arguments of the tool. Those that mean nothing for a command that runs to its end are accepted and ignored. */
export const Parameters = Schema.Struct({
  cmd: Schema.String.annotate({ description: "The shell command." }),
  workdir: Schema.optionalKey(
    Schema.String.annotate({ description: "Where to run it, relative to the working directory, which is the default." })
  ),
  shell: Schema.optionalKey(Schema.String.annotate({ description: "Another shell than the default." })),
  login: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "Whether the shell reads the profile of the user first. Default: true." })
  ),
  timeout_ms: Schema.optionalKey(
    Schema.Finite.annotate({ description: "Ends the command after so many milliseconds. Default: 600000." })
  ),
  max_output_tokens: Schema.optionalKey(
    Schema.Finite.annotate({ description: "How much of the output to answer; its middle is left out. Default: 10000." })
  ),
  yield_time_ms: Schema.optionalKey(Schema.Finite.annotate({ description: "Ignored: a command runs to its end." })),
  tty: Schema.optionalKey(Schema.Boolean.annotate({ description: "Ignored: there is no terminal." })),
  sandbox_permissions: Schema.optionalKey(Schema.String.annotate({ description: "Ignored: there is no sandbox." })),
  justification: Schema.optionalKey(
    Schema.String.annotate({ description: "Why the command is needed, in one sentence for the user who has to agree." })
  )
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. A command that ran is a success, whatever its exit code; the text says how it ended. */
export const tool = Tool.make("exec_command", {
  description:
    "Runs a shell command to its end and answers its exit code and its output, standard error included. Standard input is empty.",
  parameters: Parameters,
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return",
  dependencies: [Turn]
})

/** Where and with what commands run: `cwd` is absolute, and `shell` a program that takes `-c`. */
export interface Options {
  readonly cwd: string
  readonly shell: string
}

/** The default shell of this host: `/bin/bash`, or `/bin/sh` where there is none. */
export const defaultShell: Effect.Effect<string, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  return (yield* Effect.isSuccess(fileSystem.access("/bin/bash"))) ? "/bin/bash" : "/bin/sh"
})

/** The words of the command that these arguments mean. */
export const commandOf = (params: Parameters, shell: string): ReadonlyArray<string> => [
  params.shell ?? shell,
  params.login === false ? "-c" : "-lc",
  params.cmd
]

/**
 * Runs a command in the turn of the call, and answers the text for the model. **Interruption**: stops the waiting; the
 * process goes on until its turn ends it. **Errors**: `ToolFailure` when there is no such directory or shell.
 */
export const run: (
  params: Parameters,
  callId: string | undefined,
  options: Options
) => Effect.Effect<string, ToolFailure, Turn | Processes | FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function* (params, callId, options) {
    const turn = yield* Turn
    const cwd = yield* directory(params.workdir, options.cwd)
    const call = callId === undefined ? {} : { callId: CallId.make(callId) }
    const begin = yield* Clock.currentTimeMillis
    const process = yield* Effect.mapError(
      turn.process({ ...call, command: commandOf(params, options.shell), cwd, env: environment }),
      (error) => new ToolFailure({ detail: error.message })
    )
    const output = BoundedOutput.make(limitBytes(params))
    const reading = yield* Effect.forkChild(read(process, output, call.callId))
    const timeoutMillis = Math.min(Math.max(0, params.timeout_ms ?? defaultTimeoutMillis), maxTimeoutMillis)
    const exit = yield* Effect.timeoutOption(process.exit, timeoutMillis)
    if (Option.isNone(exit)) {
      yield* turn.endProcess(process.processId)
      yield* Effect.timeoutOption(Fiber.await(reading), restMillis)
    } else yield* Fiber.join(reading)
    const millis = (yield* Clock.currentTimeMillis) - begin
    const ending = Option.match(exit, { onNone: () => timedOut(timeoutMillis), onSome: endingOf })
    return report(output, ending, millis)
  }
)

const directory = Effect.fnUntraced(function* (workdir: string | undefined, cwd: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const resolved = path.resolve(cwd, workdir ?? ".")
  const info = yield* Effect.option(fileSystem.stat(resolved))
  if (Option.isSome(info) && info.value.type === "Directory") return resolved
  return yield* new ToolFailure({ detail: `The command was not run: there is no directory ${resolved}` })
})

/** Keeps the output and tells it in pieces, until it ends. */
const read = Effect.fnUntraced(function* (
  process: Process,
  output: BoundedOutput.BoundedOutput,
  callId: CallId | undefined
) {
  const turn = yield* Turn
  const decoder = Utf8.makeDecoder()
  const tell = (text: string) =>
    callId === undefined
      ? Effect.void
      : Effect.forEach(Utf8.split(text, pieceBytes), (piece) => turn.output(callId, piece), { discard: true })
  yield* Stream.runForEach(process.output, (chunk) =>
    Effect.suspend(() => {
      output.append(chunk)
      return tell(decoder.push(chunk))
    })
  )
  yield* tell(decoder.end())
})

const endingOf = (exit: ProcessExit): string =>
  exit.exitCode === null
    ? `Process ended by signal ${exit.signal ?? "of unknown name"}`
    : `Process exited with code ${exit.exitCode}`

const timedOut = (timeoutMillis: number): string =>
  `Process was ended because it ran longer than its limit of ${timeoutMillis} ms`

/** The limit of the model, and never more than what is kept of an output at all. */
const limitBytes = (params: Parameters): number => {
  const tokens = Math.max(0, Math.floor(params.max_output_tokens ?? defaultOutputTokens))
  return Math.min(BoundedOutput.defaultLimitBytes, bytesPerToken * tokens)
}

const report = (output: BoundedOutput.BoundedOutput, ending: string, millis: number): string => {
  const { head, omittedBytes, tail } = output.kept()
  return [
    `Wall time: ${(millis / 1_000).toFixed(4)} seconds`,
    ending,
    `Original token count: ${Math.ceil(output.totalBytes() / bytesPerToken)}`,
    "Output:",
    omittedBytes === 0 ? head : `${head}\n[${omittedBytes} bytes of the output are left out here]\n${tail}`
  ].join("\n")
}

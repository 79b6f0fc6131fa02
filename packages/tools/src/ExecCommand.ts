/**
 * The tool `exec_command`: runs a shell command to its end and returns its output.
 *
 * The process belongs to the turn (contract X1): when the handler is interrupted, it only stops waiting, and the turn
 * ends the process with everything that it started. Subscribers get the output as it arrives, and the model gets its
 * head and tail at the end (contract X4).
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
import type { CallDisplay } from "@spindle/core/Display"
import { CallId } from "@spindle/core/Ids"
import type { Processes } from "@spindle/core/Processes"
import { type Process, type ProcessExit } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"
import * as BoundedOutput from "./BoundedOutput.ts"
import { ToolFailure } from "./ToolFailure.ts"
import * as Utf8 from "./Utf8.ts"

/** How long a command may run by default: 10 minutes. */
export const defaultTimeoutMillis = 600_000
/** How much of the output a model gets by default, in tokens of four bytes. */
export const defaultOutputTokens = 10_000
/** How much of the output is recorded for people, in bytes. */
export const detailBytes = 40_000
/** The most bytes of one piece of output for subscribers. */
export const pieceBytes = 8_192

const bytesPerToken = 4
/** The longest a timer can wait: 24 days. */
const maxTimeoutMillis = 2_147_483_647
/** How long to wait for the rest of the output after a process was ended. */
const restMillis = 1_000

/** Variables that make programs print plain text in one language, without waiting for a key. */
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

/** The arguments of the tool. Those that have no meaning for a command that runs to its end are ignored. */
export const Parameters = Schema.Struct({
  cmd: Schema.String.annotate({ description: "The shell command." }),
  workdir: Schema.optionalKey(
    Schema.String.annotate({
      description: "The directory to run it in, relative to the working directory, which is the default."
    })
  ),
  shell: Schema.optionalKey(Schema.String.annotate({ description: "The shell to use instead of the default one." })),
  login: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "Whether the shell reads the profile of the user first. Default: true." })
  ),
  timeout_ms: Schema.optionalKey(
    Schema.Finite.annotate({ description: "The time limit in milliseconds; 0 means none. Default: 600000." })
  ),
  max_output_tokens: Schema.optionalKey(
    Schema.Finite.annotate({
      description: "The most tokens of output to return; the middle of a longer one is left out. Default: 10000."
    })
  ),
  yield_time_ms: Schema.optionalKey(Schema.Finite.annotate({ description: "Ignored: a command runs to its end." })),
  tty: Schema.optionalKey(Schema.Boolean.annotate({ description: "Ignored: there is no terminal." })),
  sandbox_permissions: Schema.optionalKey(Schema.String.annotate({ description: "Ignored: there is no sandbox." })),
  justification: Schema.optionalKey(
    Schema.String.annotate({
      description: "Why the command is needed, in one sentence for the user who must approve it."
    })
  )
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. A command that ran is a success, whatever its exit code. The text says how it ended. */
export const tool = Tool.make("exec_command", {
  description:
    "Runs a shell command to its end and returns its exit code and its output, including standard error. Standard input is empty. To change files, call the tool apply_patch; it is not a shell command.",
  parameters: Parameters,
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return",
  dependencies: [Turn]
})

/** The directory and the shell of commands: `cwd` is absolute, and `shell` is a program that takes `-c`. */
export interface Options {
  readonly cwd: string
  readonly shell: string
}

/** Returns the default shell of this host: `/bin/bash`, or `/bin/sh` if that does not exist. */
export const defaultShell: Effect.Effect<string, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  return (yield* Effect.isSuccess(fileSystem.access("/bin/bash"))) ? "/bin/bash" : "/bin/sh"
})

/** Returns the words of the command for these arguments. */
export const commandOf = (params: Parameters, shell: string): ReadonlyArray<string> => [
  params.shell || shell,
  params.login === false ? "-c" : "-lc",
  params.cmd
]

/** Describes a call for people: the command line, and the absolute directory it runs in. */
export const display = (params: Parameters, cwd: string): CallDisplay => ({
  _tag: "Command",
  command: params.cmd,
  cwd: workingDirectory(cwd, params.workdir)
})

/** Resolves the directory of a call against the absolute working directory `cwd`. */
export const workingDirectory = (cwd: string, workdir: string | undefined): string =>
  workdir === undefined ? cwd : workdir.startsWith("/") ? workdir : `${cwd}/${workdir}`

/**
 * Runs a command in the turn of the call and returns the text for the model. It reports to the turn what is known about
 * the command when it starts, when it ends, and when the handler is interrupted. **Interruption** stops the wait; the
 * turn ends the process. **Errors**: `ToolFailure` when the directory or the shell does not exist.
 */
export const run: (
  params: Parameters,
  callId: string | undefined,
  options: Options
) => Effect.Effect<string, ToolFailure, Turn | Processes | FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function* (params, callId, options) {
    const turn = yield* Turn
    const cwd = yield* directory(params.workdir, options.cwd)
    const call = callId === undefined ? undefined : CallId.make(callId)
    const process = yield* Effect.mapError(
      turn.process({
        ...(call === undefined ? {} : { callId: call }),
        command: commandOf(params, options.shell),
        cwd,
        env: environment
      }),
      (error) => new ToolFailure({ detail: error.message })
    )
    const running = yield* makeRunning(call)
    yield* running.report({})
    const ending = yield* Effect.onInterrupt(awaitEnd(process, running, timeoutOf(params)), () => running.report({}))
    yield* running.report(ending)
    return yield* textOf(running, ending, limitBytes(params))
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

/** How a command ended; without a member while it runs. */
interface Ending {
  readonly exit?: ProcessExit
  /** The limit that it exceeded. */
  readonly timeoutMillis?: number
}

/** A command that was started. */
interface Running {
  readonly callId: CallId | undefined
  readonly output: BoundedOutput.BoundedOutput
  readonly elapsedMillis: Effect.Effect<number>
  /** Reports to the turn how the command ended, and its output so far. */
  readonly report: (ending: Ending) => Effect.Effect<void>
}

const makeRunning = Effect.fnUntraced(function* (callId: CallId | undefined) {
  const turn = yield* Turn
  const output = BoundedOutput.make()
  const start = yield* Clock.monotonicTimeNanos
  const elapsedMillis = Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - start) / 1_000_000)
  const running: Running = {
    callId,
    output,
    elapsedMillis,
    report: ({ exit, timeoutMillis }) =>
      callId === undefined
        ? Effect.void
        : Effect.flatMap(elapsedMillis, (millis) =>
            turn.detail(callId, {
              _tag: "Command",
              exitCode: exit?.exitCode ?? null,
              ...(exit?.signal === undefined ? {} : { signal: exit.signal }),
              ...(timeoutMillis === undefined ? {} : { timedOut: true }),
              durationMillis: Math.round(millis),
              output: BoundedOutput.toText(output.kept(detailBytes))
            })
          )
  }
  return running
})

/** Reads the output until the process ends, or ends the process when it exceeds its limit. */
const awaitEnd = Effect.fnUntraced(function* (process: Process, running: Running, timeoutMillis: number | undefined) {
  const turn = yield* Turn
  const reading = yield* Effect.forkChild(read(process, running))
  const exit = yield* timeoutMillis === undefined
    ? Effect.asSome(process.exit)
    : Effect.timeoutOption(process.exit, timeoutMillis)
  if (Option.isSome(exit) || timeoutMillis === undefined) {
    yield* Fiber.join(reading)
    return Option.isSome(exit) ? { exit: exit.value } : {}
  }
  yield* turn.endProcess(process.processId)
  yield* Effect.timeoutOption(Fiber.await(reading), restMillis)
  const ended = yield* Effect.timeoutOption(process.exit, restMillis)
  return { timeoutMillis, ...(Option.isSome(ended) ? { exit: ended.value } : {}) }
})

/** Keeps the output and publishes it in pieces, until it ends. */
const read = Effect.fnUntraced(function* (process: Process, { callId, output }: Running) {
  const turn = yield* Turn
  const decoder = Utf8.makeDecoder()
  const publish = (text: string) =>
    callId === undefined
      ? Effect.void
      : Effect.forEach(Utf8.split(text, pieceBytes), (piece) => turn.output(callId, piece), { discard: true })
  yield* Stream.runForEach(process.output, (chunk) =>
    Effect.suspend(() => {
      output.append(chunk)
      return publish(decoder.push(chunk))
    })
  )
  yield* publish(decoder.end())
})

/** Zero, and everything that is longer than a timer can wait, is no limit. */
const timeoutOf = ({ timeout_ms: millis = defaultTimeoutMillis }: Parameters): number | undefined =>
  millis <= 0 || millis > maxTimeoutMillis ? undefined : millis

/** The limit that the model asked for, and never more than the output that is kept. */
const limitBytes = (params: Parameters): number => {
  const tokens = Math.max(0, Math.floor(params.max_output_tokens ?? defaultOutputTokens))
  return Math.min(BoundedOutput.defaultLimitBytes, bytesPerToken * tokens)
}

const sentenceOf = ({ exit, timeoutMillis }: Ending): string => {
  if (timeoutMillis !== undefined)
    return `Process was ended because it ran longer than its limit of ${timeoutMillis} ms`
  return typeof exit?.exitCode === "number"
    ? `Process exited with code ${exit.exitCode}`
    : `Process ended by signal ${exit?.signal ?? "of unknown name"}`
}

const textOf = (running: Running, ending: Ending, limit: number): Effect.Effect<string> =>
  Effect.map(running.elapsedMillis, (millis) =>
    [
      `Wall time: ${(millis / 1_000).toFixed(4)} seconds`,
      sentenceOf(ending),
      `Original token count: ${Math.ceil(running.output.totalBytes() / bytesPerToken)}`,
      "Output:",
      BoundedOutput.toText(running.output.kept(limit))
    ].join("\n")
  )

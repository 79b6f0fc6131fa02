/**
 * Starts the programs of processes, on a pseudo terminal or on pipes, and returns the reason why one cannot be started.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import { type ProcessExit, ProcessFailed, type ProcessSpec, type TerminalSize } from "@spindle/core/Processes"
import * as Utf8 from "../Utf8.ts"
import type * as ControlGroups from "./controlGroups.ts"
import * as InputPipe from "./inputPipe.ts"
import type { Spawned } from "./spawned.ts"
import * as Terminal from "./terminal.ts"

/** The services that start programs. */
export interface Platform {
  readonly spawner: ChildProcessSpawner["Service"]
  readonly fileSystem: FileSystem.FileSystem
  /** Loads the terminals of this host, once; undefined if it has none. */
  readonly terminals: Effect.Effect<Terminal.Terminals | undefined>
}

/** Environment variables by name. */
export interface Environment {
  readonly [name: string]: string
}

/** The surroundings in which a program is started. */
export interface SpawnOptions {
  readonly env: Environment
  readonly control: ControlGroups.ControlGroup | undefined
  /** See {@link hasProgram}. */
  readonly hasProgram: boolean
}

/**
 * Returns true if the program of a command exists. Without it, the spawner has to report the failure, and not a shell.
 */
export const hasProgram = Effect.fnUntraced(function* (
  { fileSystem }: Platform,
  { command: [program = ""], cwd }: ProcessSpec,
  env: Environment
) {
  const searched = program.includes("/") ? [cwd] : (env["PATH"] ?? "").split(":")
  const folders = program.startsWith("/") ? [""] : searched.map((folder) => `${folder}/`)
  for (const folder of folders) {
    const isProgram = yield* Effect.match(fileSystem.stat(`${folder}${program}`), {
      onFailure: () => false,
      onSuccess: ({ mode, type }) => type === "File" && (mode & 0o111) !== 0
    })
    if (isProgram) return true
  }
  return false
})

/**
 * Starts the program of a command in its control group, on a terminal if one is wanted and exists, or else on pipes.
 */
export const spawn = (
  platform: Platform,
  spec: ProcessSpec,
  options: SpawnOptions
): Effect.Effect<Spawned, ProcessFailed, Scope.Scope> =>
  Effect.catchDefect(spawnProgram(platform, spec, options), (defect) => failThrown(spec, defect))

const spawnProgram = Effect.fnUntraced(function* (
  platform: Platform,
  spec: ProcessSpec,
  { control, env, hasProgram }: SpawnOptions
) {
  const { cwd, input = "none" } = spec
  const command = control === undefined ? spec.command : control.commandInside(spec.command)
  const terminals = typeof input === "string" ? undefined : yield* platform.terminals
  // a terminal does not report that the program or the directory of its command does not exist: the spawner does
  if (terminals !== undefined && hasProgram && (yield* Effect.isSuccess(platform.fileSystem.access(cwd)))) {
    return yield* Terminal.spawn(terminals, { ...spec, command }, { env, size: input as TerminalSize })
  }
  return yield* spawnOnPipes(platform, spec, { command, env })
})

const spawnOnPipes = Effect.fnUntraced(function* (
  { spawner }: Platform,
  spec: ProcessSpec,
  { command, env }: { readonly command: ReadonlyArray<string>; readonly env: Environment }
) {
  const [program, ...args] = command
  const pipe = (spec.input ?? "none") === "none" ? undefined : yield* InputPipe.make(spec.processId)
  const handle = yield* spawner
    .spawn(
      ChildProcess.make(program!, args, {
        cwd: spec.cwd,
        env,
        extendEnv: false,
        detached: true,
        stdin: pipe === undefined ? "ignore" : pipe.source,
        stdout: "pipe",
        stderr: "pipe"
      })
    )
    .pipe(Effect.mapError((error) => failureOf(spec, reasonOf(error.reason), error)))
  const exit = Effect.matchEager(handle.exitCode, {
    onSuccess: (exitCode): ProcessExit => ({ exitCode }),
    onFailure: signalExit
  })
  const spawned: Spawned = {
    pid: handle.pid,
    input: pipe?.input,
    output: handle.all,
    exit: pipe === undefined ? exit : Effect.tap(exit, () => Effect.sync(pipe.end)),
    unref: Effect.ignore(handle.unref)
  }
  return spawned
})

/** Makes the error of a process that cannot be started. */
export const failureOf = (spec: ProcessSpec, detail: string, cause?: unknown): ProcessFailed =>
  new ProcessFailed({ command: spec.command, cwd: spec.cwd, detail, ...(cause === undefined ? {} : { cause }) })

const codeOf = (error: unknown): string | undefined => {
  const code = (error as { readonly code?: unknown } | undefined)?.code
  return typeof code === "string" ? code : undefined
}

/** Returns the reason why a program cannot be started. */
export const reasonOf = (reason: PlatformError["reason"]): string => {
  const what = reason.module === "FileSystem" ? "directory" : "program"
  switch (reason._tag) {
    case "NotFound":
      return `there is no such ${what}`
    case "PermissionDenied":
      return `no permission for this ${what}`
    case "BadArgument":
      return reason.description ?? "the command cannot be passed to the host"
    default:
      return `the host refused: ${codeOf(reason.cause) ?? reason._tag}`
  }
}

/**
 * Node reports most errors of a spawn later and throws the others (`ENOTDIR`, `E2BIG`), which the spawner does not
 * catch.
 */
const failThrown = (spec: ProcessSpec, defect: unknown): Effect.Effect<never, ProcessFailed> => {
  const code = codeOf(defect)
  if (code === undefined) return Effect.die(defect)
  const sizeBytes = spec.command.reduce((sum, word) => sum + Utf8.encode(word).length, 0)
  const detail =
    code === "E2BIG"
      ? `the command of ${sizeBytes} bytes is longer than the host allows; put it into a file and run the file`
      : `the host refused: ${code}`
  return Effect.fail(failureOf(spec, detail, defect))
}

/** The spawner reports death by a signal as an error, and only its text names the signal. */
const signalExit = (error: PlatformError): ProcessExit => {
  const signal = /SIG[A-Z0-9]+/.exec(String(error.reason.cause))?.[0]
  return signal === undefined ? { exitCode: null } : { exitCode: null, signal }
}

/**
 * The tool `exec_command`: runs a shell command and returns its output, or the output so far and a number by which the tool
 * `write_stdin` continues the command, if it still runs when the call returns.
 *
 * The process belongs to the turn (contract X1): when the handler is interrupted, it only stops waiting, and the turn
 * ends the process with everything that it started. A command whose call has returned is kept: it ends with its session.
 * Subscribers get the output as it arrives, and the model gets its head and tail (contract X4).
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import type { CallDisplay } from "@spindle/core/Display"
import { CallId } from "@spindle/core/Ids"
import type { Process, Processes } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"
import { type Command, Commands, maxCount, warningCount } from "./Commands.ts"
import { HostVariables } from "./CommandEnvironment.ts"
import * as BoundedOutput from "./BoundedOutput.ts"
import * as CommandCall from "./internal/commandCall.ts"
import type { Escalation } from "./internal/escalation.ts"
import * as PatchCommand from "./internal/patch/patchCommand.ts"
import * as NetworkPolicy from "./sandbox/NetworkPolicy.ts"
import * as Permissions from "./sandbox/Permissions.ts"
import { isLikelyDenied } from "./Sandbox.ts"
import * as SandboxPolicy from "./SandboxPolicy.ts"
import { textResult } from "./internal/textResult.ts"
import { ToolFailure } from "./ToolFailure.ts"

export type { Escalation } from "./internal/escalation.ts"

/** The time that a call waits for the end of its command, in milliseconds. */
const yieldMillis = { min: 250, max: 30_000, otherwise: 10_000 }

/** The longest a timer can wait: 24 days. */
const maxTimeoutMillis = 2_147_483_647
/** The size of the terminals of commands. */
const terminalSize = { columns: 80, rows: 24 }

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

/** The arguments of the tool. */
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
    Schema.Finite.annotate({
      description: "The time after which the command is ended, in milliseconds; 0 means never. Default: 0."
    })
  ),
  max_output_tokens: CommandCall.maxOutputTokens,
  yield_time_ms: Schema.optionalKey(
    Schema.Finite.annotate({
      description:
        "How long to wait for the end of the command, in milliseconds: 250 to 30000. A command that runs longer continues in the background. Default: 10000."
    })
  ),
  tty: Schema.optionalKey(
    Schema.Boolean.annotate({
      description: "Whether the command gets a terminal, which write_stdin writes to. Default: false."
    })
  ),
  sandbox_permissions: Schema.optionalKey(
    Schema.String.annotate({
      description:
        'Set it to "require_escalated", with a justification, to run the command outside the sandbox. The user must approve that.'
    })
  ),
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
    "Runs a shell command and returns its exit code and its output, including standard error. If it still runs after yield_time_ms, returns a session ID, with which write_stdin continues it. Standard input is empty without tty. To change files, call the tool apply_patch.",
  parameters: Parameters,
  ...textResult,
  dependencies: [Turn]
})

/** The directory and the shell of commands: `cwd` is absolute, and `shell` is a program that takes `-c`. */
export interface Options {
  readonly cwd: string
  readonly shell: string
  /** True if the shell reads the profile of the user, unless the model asks for the opposite. Default: true. */
  readonly login?: boolean | undefined
  /** A directory of programs that the command finds before those of its path, if its shell is a POSIX shell. */
  readonly bin?: string | undefined
  /** More variables of the command, in addition to {@link environment}. */
  readonly variables?: { readonly [name: string]: string } | undefined
  /** The most that the command may touch. Default: full access. */
  readonly sandbox?: SandboxPolicy.SandboxPolicy | undefined
  /** The paths that commands never write, even if a person lets them write around them. */
  readonly protectedPaths?: ReadonlyArray<string> | undefined
  /** Runs when a process of the call has started, even if the call is interrupted then. */
  readonly onStarted?: ((process: Process) => Effect.Effect<void, never, Turn>) | undefined
  /** Decides what happens after the sandbox has blocked a command. By default the model only reads its output. */
  readonly onBlocked?: ((params: Parameters, callId: string) => Effect.Effect<Escalation, never, Turn>) | undefined
  /** Returns the hosts that a command may reach after it failed without them. By default none. */
  readonly onDenied?:
    | ((
        params: Parameters,
        callId: string,
        denials: ReadonlyArray<NetworkPolicy.Denial>
      ) => Effect.Effect<ReadonlyArray<string>, never, Turn>)
    | undefined
}

const blockedAdvice =
  'The sandbox may have blocked this command. If it is needed, call exec_command again with sandbox_permissions "require_escalated" and a justification.'

/** The shells that take `-lc`, by the name of their program. */
const shells = ["bash", "zsh", "sh", "dash", "ksh"]

/**
 * Returns the default shell of this host: that of the user (`$SHELL`) if it is a POSIX shell that exists, or else
 * `/bin/bash`, or `/bin/sh` if that does not exist.
 */
export const defaultShell: Effect.Effect<string, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const own = (yield* HostVariables)()["SHELL"] ?? ""
  const isKnown = own.startsWith("/") && isPosixShell(own)
  for (const shell of [...(isKnown ? [own] : []), "/bin/bash"]) {
    if (yield* Effect.isSuccess(fileSystem.access(shell))) return shell
  }
  return "/bin/sh"
})

/** Returns the words of the command for these arguments. */
export const commandOf = (
  params: Parameters,
  { bin, login = true, shell }: Omit<Options, "cwd">
): ReadonlyArray<string> => {
  const program = params.shell || shell
  return [
    program,
    (params.login ?? login) ? "-lc" : "-c",
    `${isPosixShell(program) ? pathBefore(bin) : ""}${params.cmd}`
  ]
}

/** Returns why a command is not run, in words for the model; undefined if it may run. */
export const refusalOf = ({ cmd }: Parameters): string | undefined =>
  PatchCommand.isPatch(cmd) ? "The command was not run: it is a patch. Call the tool apply_patch with it." : undefined

/** Sets the path in the line itself, because the profile that a login shell reads may set it. */
const pathBefore = (bin: string | undefined): string =>
  bin === undefined ? "" : `export PATH='${bin.replaceAll("'", "'\\''")}':"$PATH"; `

const isPosixShell = (program: string): boolean => shells.includes(program.slice(program.lastIndexOf("/") + 1))

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
 * Starts a command in the turn of the call and returns the text for the model: its end and its output, or its session ID
 * and its output so far if it still runs when the call returns. It reports the state of the command to the turn when
 * it starts, when the call returns, and when the handler is interrupted. **Interruption** stops the wait; the turn ends the
 * process. A command that the sandbox has blocked may run once more, without it, and one that was denied hosts may run again
 * with them. **Errors**: `ToolFailure` when the
 * directory or the shell does not exist.
 */
export const run: (
  params: Parameters,
  callId: string | undefined,
  options: Options
) => Effect.Effect<string, ToolFailure, Services> = Effect.fnUntraced(function* (params, callId, options) {
  const { denials, isBlocked, text } = yield* attempt(params, callId, options)
  const { onBlocked, onDenied } = options
  if (denials.length > 0) {
    // a host that this policy allows was denied by an outer policy, which no answer widens
    const open = denials.filter(({ host }) => !reaches(options.sandbox, host))
    const hosts = onDenied === undefined || callId === undefined ? [] : yield* onDenied(params, callId, open)
    return hosts.length === 0 ? text : yield* run(params, callId, withHosts(options, hosts))
  }
  if (!isBlocked || onBlocked === undefined || callId === undefined) return text
  const escalation = yield* onBlocked(params, callId)
  if (escalation === "advise") return `${blockedAdvice}\n${text}`
  if (escalation === "report") return text
  const sandbox = escalation === "retry" ? SandboxPolicy.fullAccess : widen(options, escalation)
  return (yield* attempt(params, callId, { ...options, sandbox })).text
})

const withHosts = (options: Options, hosts: ReadonlyArray<string>): Options => ({
  ...options,
  sandbox: widen(options, { ...Permissions.none, hosts })
})

const reaches = (policy: SandboxPolicy.SandboxPolicy | undefined, host: string): boolean => {
  if (policy === undefined || policy._tag === "FullAccess" || typeof policy.network === "boolean") return false
  return NetworkPolicy.refusalOfHost(policy.network, host) === undefined
}

const widen = (
  { protectedPaths = [], sandbox = SandboxPolicy.fullAccess }: Options,
  grant: Permissions.Grant
): SandboxPolicy.SandboxPolicy => Permissions.widen(sandbox, grant, protectedPaths)

/** The services that running a command needs. */
export type Services = Turn | Commands | Processes | FileSystem.FileSystem | Path.Path

/** The text for the model, whether the sandbox seems to have blocked the command, and the hosts that it failed without. */
interface Attempt {
  readonly text: string
  readonly isBlocked: boolean
  readonly denials: ReadonlyArray<NetworkPolicy.Denial>
}

const attempt: (
  params: Parameters,
  callId: string | undefined,
  options: Options
) => Effect.Effect<Attempt, ToolFailure, Services> = Effect.fnUntraced(function* (params, callId, options) {
  const { sandbox = SandboxPolicy.fullAccess } = options
  const { max_output_tokens: maxOutputTokens, tty: isTerminal = false } = params
  const refusal = refusalOf(params)
  if (refusal !== undefined) return yield* new ToolFailure({ detail: refusal })
  const turn = yield* Turn
  const commands = yield* Commands
  const cwd = yield* directory(params.workdir, options.cwd)
  const { onStarted = () => Effect.void } = options
  const starting = turn
    .process({
      ...(callId === undefined ? {} : { callId: CallId.make(callId) }),
      command: commandOf(params, options),
      cwd,
      env: { ...environment, ...options.variables },
      ...(isTerminal ? { input: terminalSize } : {})
    })
    .pipe(
      SandboxPolicy.confine(sandbox),
      Effect.mapError((error) => new ToolFailure({ detail: error.message }))
    )
  const process = yield* Effect.uninterruptibleMask((restore) => Effect.tap(restore(starting), onStarted))
  const command = yield* commands.start(process, { command: params.cmd, cwd, timeout: timeoutOf(params) })
  const waitMillis = CommandCall.clampMillis(params.yield_time_ms, yieldMillis)
  const read = yield* CommandCall.read(command, { callId, waitMillis, isContinued: false })
  const notes =
    isTerminal && process.input?.isTerminal !== true
      ? ["This host has no pseudo terminals (the package @lydell/node-pty is missing): the command runs on pipes."]
      : []
  if (read.ending === undefined) {
    const text = CommandCall.textOf(read, { maxOutputTokens, ...(yield* keep(command, notes)) })
    return { text, isBlocked: false, denials: [] }
  }
  const { exit } = read.ending
  const isBlocked =
    sandbox._tag !== "FullAccess" &&
    exit !== undefined &&
    isLikelyDenied(exit, BoundedOutput.toText(read.output.toKept(CommandCall.detailBytes)))
  const text = CommandCall.textOf(read, { maxOutputTokens, notes, state: "" })
  return { text, isBlocked, denials: exit?.exitCode === 0 ? [] : read.denials }
})

/** Keeps a command that still runs when its turn ends, and puts it into the background of the session. */
const keep = (command: Command, notes: ReadonlyArray<string>) =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const turn = yield* Turn
      // it has ended in this moment, or its turn is stopping and ends it
      if (!(yield* turn.keep(command.process.processId))) return { notes, state: "Process is ending" }
      const { count, number } = yield* (yield* Commands).add(turn.session, command)
      const warning = `Warning: ${count} of at most ${maxCount} commands run in the background. Interrupt those that are not needed.`
      return {
        notes: count < warningCount ? notes : [...notes, warning],
        state: `Process running with session ID ${number}`
      }
    })
  )

const directory = Effect.fnUntraced(function* (workdir: string | undefined, cwd: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const resolved = path.resolve(cwd, workdir ?? ".")
  const info = yield* Effect.option(fileSystem.stat(resolved))
  if (Option.isSome(info) && info.value.type === "Directory") return resolved
  return yield* new ToolFailure({ detail: `The command was not run: there is no directory ${resolved}` })
})

/** Returns the limit of a call. Zero, and a time that is longer than a timer can wait, mean no limit. */
const timeoutOf = ({ timeout_ms: millis = 0 }: Parameters): number | undefined =>
  millis <= 0 || millis > maxTimeoutMillis ? undefined : millis

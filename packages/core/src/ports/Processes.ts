/**
 * The port to processes (contract X1 to X4). A process belongs to a turn or to the session, never to the scope of the
 * tool that started it. When the tool ends, it only stops waiting. The owner ends the process.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { ProcessId } from "../protocol/Ids.ts"

/** A process could not be started: no such program, no such directory, no permission, no support. */
export class ProcessFailed extends Schema.TaggedError<ProcessFailed>()("ProcessFailed", {
  command: Schema.Array(Schema.String),
  cwd: Schema.String,
  detail: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message() {
    return `cannot start ${this.command[0] ?? "an empty command"} in ${this.cwd}: ${this.detail}`
  }
}

/** The size of a terminal, in characters. */
export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/**
 * A process to start. `command[0]` is looked up in `PATH`. `env` is added to the part of this program's environment
 * that the implementation lets a process inherit.
 */
export interface ProcessSpec {
  readonly processId: ProcessId
  readonly command: ReadonlyArray<string>
  readonly cwd: string
  readonly env?: { readonly [name: string]: string } | undefined
  /**
   * The input of the process: `none`, which is at its end at once; a pipe; or a pseudo terminal of this size, which
   * also gets its output. A host without terminals uses a pipe. Default: `none`.
   */
  readonly input?: "none" | "pipe" | TerminalSize | undefined
}

/** The input of a process cannot be written. */
export class InputClosed extends Schema.TaggedError<InputClosed>()("InputClosed", {
  processId: ProcessId,
  detail: Schema.String
}) {
  override get message() {
    return `cannot write to process ${this.processId}: ${this.detail}`
  }
}

/** The input of a process. */
export interface ProcessInput {
  /** True for a terminal. In a pipe, control characters have no meaning. */
  readonly isTerminal: boolean
  /**
   * Writes bytes, and returns when they wait for the process to read them. **Errors**: `InputClosed` if the process has
   * ended, if its input was closed, or if 1 MiB of input waits already.
   */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, InputClosed>
  /**
   * Ends the input once the process has read everything that was written. A terminal gets the end-of-file character
   * instead.
   */
  readonly close: Effect.Effect<void>
  /** Changes the size of a terminal and notifies its foreground processes. Does nothing for a pipe. */
  readonly resize: (size: TerminalSize) => Effect.Effect<void>
}

/** The end of a process: an exit code (0 to 255), or null and the signal. */
export interface ProcessExit {
  readonly exitCode: number | null
  readonly signal?: string
}

/** A process that was started. */
export interface Process {
  readonly processId: ProcessId
  readonly pid: number
  /** The input; undefined if `ProcessSpec.input` is `none`. */
  readonly input?: ProcessInput | undefined
  /**
   * Both output streams, interleaved as they arrive. It may have one reader; a slow reader slows the process
   * (contract X4).
   */
  readonly output: Stream.Stream<Uint8Array>
  /**
   * Waits for the end of the process. Its descendants may live longer; see `gone`. **Interruption** stops only the
   * wait.
   */
  readonly exit: Effect.Effect<ProcessExit>
  /**
   * Waits until the process and everything that it started have ended, by themselves or by `end`. **Interruption** stops
   * only the wait.
   */
  readonly gone: Effect.Effect<void>
}

/** Processes of the host. */
export interface Processes {
  /**
   * Starts a process in its own group, with the marker `SPINDLE_PROCESS=<process id>` in its environment. The process
   * runs until it ends by itself or `end` is called. **Interruption** before this returns ends it. **Errors**:
   * `ProcessFailed` if it could not be started.
   */
  readonly start: (spec: ProcessSpec) => Effect.Effect<Process, ProcessFailed>
  /**
   * Ends a process and everything that it started: sends TERM to its group and to every process with its marker, waits
   * for `grace` milliseconds, and then kills the processes that are left. Returns when all of them have ended. Does
   * nothing for a process that has ended with all its descendants. **Interruption** stops only the wait.
   */
  readonly end: (processId: ProcessId, grace: number) => Effect.Effect<void>
}

/** The service key of {@link Processes}. */
export const Processes: Context.Service<Processes, Processes> = Context.Service("@spindle/core/Processes")

/**
 * The port to processes (contract X1 to X4). A process belongs to a turn or to the session, never to the scope of the
 * tool that started it: when the tool ends, it only stops waiting, and the owner ends the process.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
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
 * What to start. `command[0]` is searched in `PATH`. `env` is added to the part of this program's environment that
 * the implementation lets a process inherit.
 */
export interface ProcessSpec {
  readonly processId: ProcessId
  readonly command: ReadonlyArray<string>
  readonly cwd: string
  readonly env?: { readonly [name: string]: string } | undefined
  /**
   * Where the process reads its input: nowhere (the default: the end of the input at once), a pipe, or a pseudo terminal,
   * which its output goes to as well. A host without terminals uses a pipe.
   */
  readonly input?: "none" | "pipe" | TerminalSize | undefined
}

/** The input of a process could not be written. */
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
  /** Whether it is a terminal. If not, it is a pipe, and no control character has a meaning. */
  readonly isTerminal: boolean
  /**
   * Writes bytes, and returns when they wait for the process to read them. **Errors**: `InputClosed` when the process no
   * longer reads: it has ended, its input was closed, or 1 MiB of input waits already.
   */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, InputClosed>
  /** Ends the input once everything that was written is read. A terminal gets the end-of-file character instead. */
  readonly close: Effect.Effect<void>
  /** Changes the size of a terminal, which its foreground processes are notified of. Does nothing for a pipe. */
  readonly resize: (size: TerminalSize) => Effect.Effect<void>
}

/** How a process ended: an exit code (0 to 255), or null and the signal. */
export interface ProcessExit {
  readonly exitCode: number | null
  readonly signal?: string
}

/** A process that was started. */
export interface Process {
  readonly processId: ProcessId
  readonly pid: number
  /** Its input; undefined if `ProcessSpec.input` is `none`. */
  readonly input?: ProcessInput | undefined
  /** Both output streams, interleaved as they arrive. It has one reader; a slow one slows the process (contract X4). */
  readonly output: Stream.Stream<Uint8Array>
  /** Waits for the end of the process. Its descendants may live longer, see `gone`. **Interruption** stops only the wait. */
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
   * lives until it ends or `end` is called. **Interruption** before this returns ends it.
   */
  readonly start: (spec: ProcessSpec) => Effect.Effect<Process, ProcessFailed>
  /**
   * Ends a process with everything that it started: sends TERM to its group and to every process that carries its
   * marker, waits for `grace`, then kills what is left. Returns when none of them lives. Does nothing for a process that
   * has ended with all its descendants. **Interruption** stops only the wait.
   */
  readonly end: (processId: ProcessId, grace: number) => Effect.Effect<void>
}

/** The service key of {@link Processes}. */
export const Processes: Context.Service<Processes, Processes> = Context.Service("@spindle/core/Processes")

/** Processes of a host that cannot start any. */
export const layerNone: Layer.Layer<Processes> = Layer.succeed(Processes, {
  start: (spec) =>
    Effect.fail(new ProcessFailed({ command: spec.command, cwd: spec.cwd, detail: "this host starts no processes" })),
  end: () => Effect.void
})

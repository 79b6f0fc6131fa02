/**
 * The port to processes (contract X1 to X4). A process belongs to a turn or to the session, never to the scope of the
 * tool that started it: when the tool ends, it only stops waiting, and the owner ends the process.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { ProcessId } from "../protocol/Ids.ts"

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

/**
 * What to start. `command[0]` is searched in `PATH`. `env` is added to what the implementation lets a process inherit of
 * the environment of this program.
 */
export interface ProcessSpec {
  readonly processId: ProcessId
  readonly command: ReadonlyArray<string>
  readonly cwd: string
  readonly env?: { readonly [name: string]: string }
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

/** Processes of a host that starts none. */
export const layerNone: Layer.Layer<Processes> = Layer.succeed(Processes, {
  start: (spec) =>
    Effect.fail(new ProcessFailed({ command: spec.command, cwd: spec.cwd, detail: "this host starts no processes" })),
  end: () => Effect.void
})

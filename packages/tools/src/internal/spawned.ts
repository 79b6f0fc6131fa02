/** A process as it was spawned: on pipes by the spawner of the platform, or on a pseudo terminal. */
import type { ProcessExit, ProcessInput } from "@spindle/core/Processes"
import type * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import type * as Stream from "effect/Stream"

/** A process, its streams and its exit. */
export interface Spawned {
  readonly pid: number
  /** Undefined if the process has no input. */
  readonly input: ProcessInput | undefined
  /** Everything that it prints. */
  readonly output: Stream.Stream<Uint8Array, PlatformError>
  readonly exit: Effect.Effect<ProcessExit>
  /** Lets this program exit while the process runs. */
  readonly unref: Effect.Effect<void>
}

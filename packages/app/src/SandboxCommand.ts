/**
 * The sandbox of this machine for a person: runs one command in it, or tries every way out of it.
 */
import { constants } from "node:os"
import { ProcessId, uuidV7 } from "@spindle/core/Ids"
import { Processes, type ProcessFailed } from "@spindle/core/Processes"
import type * as CommandEnvironment from "@spindle/tools/CommandEnvironment"
import * as NetworkPolicy from "@spindle/tools/NetworkPolicy"
import { Sandbox, type SandboxUnavailable } from "@spindle/tools/Sandbox"
import * as SandboxEscapes from "@spindle/tools/SandboxEscapes"
import * as SandboxPolicy from "@spindle/tools/SandboxPolicy"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as EffectPath from "effect/Path"
import * as Stream from "effect/Stream"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as CodingAgent from "./CodingAgent.ts"
import * as Machine from "./Machine.ts"
import type * as Settings from "./Settings.ts"
import { policiesOf } from "./settings/sandbox.ts"

/** The services that a face provides. */
export type Platform = FileSystem.FileSystem | EffectPath.Path | ChildProcessSpawner

/** A command and its options. `write` receives both output streams as they arrive. */
export interface Options {
  readonly settings: Settings.Settings
  readonly cwd: string
  readonly command: ReadonlyArray<string>
  /** The environment, from which the command gets what the settings allow. */
  readonly env: CommandEnvironment.Variables
  readonly write: (bytes: Uint8Array) => void
  /** Called at the end for each host that the policy has denied, with a text that names the host and the reason. */
  readonly onDenied: (text: string) => void
}

/**
 * Runs a command under the policy of the settings. Returns its exit code, or 128 + the number of the signal that ended
 * it. **Interruption** ends the command. **Errors**: `SandboxUnavailable`; `ProcessFailed`.
 */
export const run = ({
  command,
  cwd,
  env,
  onDenied,
  settings,
  write
}: Options): Effect.Effect<number, SandboxUnavailable | ProcessFailed, Platform> =>
  Effect.gen(function* () {
    yield* CodingAgent.isSandboxed(settings)
    const { commands } = policiesOf(settings.sandboxMode, settings.sandbox, cwd)
    const { start } = yield* Processes
    const processId = ProcessId.make(uuidV7(yield* Clock.currentTimeMillis))
    const process = yield* SandboxPolicy.confine(start({ processId, command, cwd }), commands)
    yield* Stream.runForEach(process.output, (bytes) => Effect.sync(() => write(bytes)))
    const { exitCode, signal } = yield* process.exit
    for (const denial of (yield* Sandbox).takeDenials(processId)) onDenied(NetworkPolicy.describe(denial))
    return exitCode ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0)
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(Machine.sandboxFor(settings.home), Machine.processesFor(settings, env)))
  )

/** The result of an attempt to leave the sandbox. */
export type Escape = SandboxEscapes.Escape

/** Tries every way out of the sandbox. `home` is that of the program. **Errors**: those of `SandboxEscapes.run`. */
export const tryEscapes = (
  home: string
): Effect.Effect<ReadonlyArray<Escape>, SandboxUnavailable | ProcessFailed, Platform> =>
  SandboxEscapes.run({
    platform: Machine.host.platform,
    tag: `spindle-doctor-${Machine.host.pid}`,
    hasProxy: true
  }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Machine.sandboxFor(home), Machine.processes)))

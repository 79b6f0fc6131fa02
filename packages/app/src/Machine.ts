/**
 * The machine that runs this process: the processes of commands, and their sandbox.
 */
import { readFileSync } from "node:fs"
import type { Processes } from "@spindle/core/Processes"
import * as CommandEnvironment from "@spindle/tools/CommandEnvironment"
import * as ProcessGroups from "@spindle/tools/ProcessGroups"
import * as ProcessStat from "@spindle/tools/ProcessStat"
import * as Sandbox from "@spindle/tools/Sandbox"
import * as Signals from "@spindle/tools/Signals"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as NetworkProxy from "./sandbox/NetworkProxy.ts"
import { environmentOf } from "./settings/commands.ts"
import type * as Settings from "./Settings.ts"

/** The facts about this process. */
export const host = {
  env: process.env,
  platform: process.platform,
  architecture: process.arch,
  pid: process.pid,
  /** The Node.js that runs it. */
  node: process.execPath,
  kill: process.kill
}

/** Commands in process groups of this machine (contract X1). */
export const processes: Layer.Layer<
  Processes | ProcessGroups.ProcessGroups,
  never,
  FileSystem.FileSystem | ChildProcessSpawner
> = ProcessGroups.layer.pipe(
  Layer.provide(Signals.layerKill(host.kill)),
  Layer.provide(ProcessStat.layerRead((pid) => readFileSync(`/proc/${pid}/stat`, "utf8")))
)

/**
 * As {@link processes}, for the commands of a session: they get the environment of the configuration, without any variable
 * that holds the key or a header of the provider or of an MCP server, whatever its name.
 */
export const processesFor = (
  settings: Pick<Settings.Settings, "commands" | "mcpServers" | "provider">,
  env: CommandEnvironment.Variables
) => Layer.provide(processes, Layer.succeed(CommandEnvironment.CommandEnvironment, environmentOf(settings, env)))

/** The sandbox of this machine, with a network proxy whose sockets are below a home. */
export const sandboxFor = (home: string) =>
  Sandbox.layer({
    platform: host.platform,
    architecture: host.architecture,
    proxy: NetworkProxy.make({ directory: home, node: host.node })
  })

/**
 * Returns the name of the time zone of this machine, as `Europe/Berlin`. `Intl` knows it too, but loads the data of all
 * locales for it, which takes a tenth of a short turn of the program.
 */
export const timeZoneOf = Effect.fnUntraced(function* (env: CommandEnvironment.Variables) {
  const fileSystem = yield* FileSystem.FileSystem
  // a variable may have any of the forms of POSIX
  const link = yield* Effect.orElseSucceed(fileSystem.readLink("/etc/localtime"), () => "")
  const linked = env["TZ"] === undefined ? /\/zoneinfo\/(?:(?:posix|right)\/)?(.+)$/.exec(link)?.[1] : undefined
  return linked ?? Intl.DateTimeFormat().resolvedOptions().timeZone
})

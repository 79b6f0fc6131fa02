/**
 * Control groups of Linux (version 2), where this program may create one below its own: a process cannot leave its
 * control group by changing its session, group or environment, and all members are killed in one step.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { uuidV7 } from "@spindle/core/Ids"

/** The control group of one process and everything it starts. */
export interface ControlGroup {
  /** Returns the command that enters the group and then becomes `command`, so that nothing starts outside of it. */
  readonly commandInside: (command: ReadonlyArray<string>) => ReadonlyArray<string>
  /** Returns the living members. */
  readonly members: Effect.Effect<ReadonlyArray<number>>
  /** Kills all members, those that are being forked included. */
  readonly kill: Effect.Effect<void>
  /** Kills all members when "1" is written to it. */
  readonly killFile: string
  /**
   * Removes the group if it is empty, and returns whether it was. A zombie counts until its parent has waited for it.
   */
  readonly remove: Effect.Effect<boolean>
}

/** Opens the group with this name; undefined where it cannot be created, or does not exist if `mustExist`. */
export type Open = (name: string, mustExist: boolean) => Effect.Effect<ControlGroup | undefined>

/** The names of groups begin with this. */
const prefix = "spindle-"

/** Returns the directory of a group below another one. */
export const directoryOf = (base: string, name: string): string => `${base}/${prefix}${name}`

const none: Open = () => Effect.undefined

/** Makes sure that groups can be created and killed on this host. */
export const make = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem) {
  const read = (path: string) => Effect.orElseSucceed(fileSystem.readFileString(path), () => "")
  const mount = /^\S+ (\S+) cgroup2 /m.exec(yield* read("/proc/self/mounts"))?.[1]
  const own = /^0::(.*)$/m.exec(yield* read("/proc/self/cgroup"))?.[1]
  if (mount === undefined || own === undefined) return none
  const base = `${mount}${own === "/" ? "" : own}`
  const open: Open = (name, mustExist) => {
    const directory = directoryOf(base, name)
    if (!/^[\w.-]+$/.test(name)) return Effect.undefined
    const found = mustExist ? fileSystem.access(directory) : fileSystem.makeDirectory(directory)
    return Effect.match(found, { onFailure: () => undefined, onSuccess: () => groupAt(fileSystem, directory) })
  }
  yield* removeLeft(fileSystem, base)
  // the root of all groups has no such file, so that a group has to be tried
  const name = `probe-${uuidV7(yield* Clock.currentTimeMillis)}`
  const probe = yield* open(name, false)
  if (probe === undefined) return none
  const canKill = yield* Effect.isSuccess(fileSystem.access(`${base}/${prefix}${name}/cgroup.kill`, { writable: true }))
  yield* probe.remove
  return canKill ? open : none
})

/** The age from which an empty group is removed, in milliseconds: the process of a younger one may be starting. */
const oldMillis = 60_000

/** Removes the empty groups that an earlier program has left. Those with members stay. */
export const removeLeft = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem, base: string) {
  const before = (yield* Clock.currentTimeMillis) - oldMillis
  const names = yield* Effect.orElseSucceed(fileSystem.readDirectory(base), (): Array<string> => [])
  for (const name of names.filter((one) => one.startsWith(prefix))) {
    const info = yield* Effect.option(fileSystem.stat(`${base}/${name}`))
    const time = Option.getOrUndefined(Option.flatMap(info, ({ mtime }) => mtime))
    if (time !== undefined && time.getTime() < before) yield* groupAt(fileSystem, `${base}/${name}`).remove
  }
})

const groupAt = (fileSystem: FileSystem.FileSystem, directory: string): ControlGroup => {
  const members = `${directory}/cgroup.procs`
  const killFile = `${directory}/cgroup.kill`
  return {
    commandInside: (command) => ["/bin/sh", "-c", '{ echo $$ > "$0"; } 2> /dev/null; exec "$@"', members, ...command],
    members: Effect.match(fileSystem.readFileString(members), {
      onFailure: () => [],
      onSuccess: (text) =>
        text
          .split("\n")
          .map(Number)
          .filter((pid) => pid > 1)
    }),
    kill: Effect.ignore(fileSystem.writeFileString(killFile, "1")),
    killFile,
    remove: Effect.isSuccess(fileSystem.remove(directory, { recursive: true }))
  }
}

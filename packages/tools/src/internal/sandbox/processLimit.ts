/**
 * Limits the number of processes of a confined command with a control group, where this program may create one for
 * `pids`. The resource limit of the kernel does the same, but root is exempt from it.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schedule from "effect/Schedule"
import * as ControlGroups from "../controlGroups.ts"
import { quote } from "./shellQuote.ts"

/** The control group of a command. */
export interface Limited {
  /** A line for the shell that becomes the command: it enters the group. */
  readonly line: string
  /** Removes the group once it is empty. */
  readonly release: Effect.Effect<void>
}

/** Makes control groups with a limit. */
export interface ProcessLimit {
  /** Makes the group of a command; one that does nothing where none can be made. */
  readonly acquire: (processId: string, count: number) => Effect.Effect<Limited>
}

/** The limit for a host on which no group can be made: none. */
const none: ProcessLimit = { acquire: () => Effect.succeed({ line: ":", release: Effect.void }) }

/** Finds the hierarchy of groups that counts processes. */
export const make: Effect.Effect<ProcessLimit, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const read = (path: string) => Effect.orElseSucceed(fileSystem.readFileString(path), () => "")
  const mounts = yield* read("/proc/self/mounts")
  const own = yield* read("/proc/self/cgroup")
  const base = (mount: RegExp, path: RegExp) => {
    const [found, below] = [mount.exec(mounts)?.[1], path.exec(own)?.[1]]
    return found === undefined || below === undefined ? undefined : `${found}${below === "/" ? "" : below}`
  }
  const separate = base(/^\S+ (\S+) cgroup \S*\bpids\b/m, /^\d+:(?:[^:]*,)?pids(?:,[^:]*)?:(.*)$/m)
  if (separate !== undefined) return yield* makeSeparate(fileSystem, separate)
  const unified = base(/^\S+ (\S+) cgroup2 /m, /^0::(.*)$/m)
  if (unified === undefined) return none
  const isCounted = /\bpids\b/.test(yield* read(`${unified}/cgroup.subtree_control`))
  return isCounted ? limitGroups(unified) : none
})

/**
 * Makes the limit of version 1: a separate hierarchy, in which a command gets a group in addition to the one that ends
 * it.
 */
const makeSeparate = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem, base: string) {
  yield* ControlGroups.removeLeft(fileSystem, base)
  const limit: ProcessLimit = {
    acquire: Effect.fnUntraced(function* (processId, count) {
      const directory = ControlGroups.directoryOf(base, processId)
      const made = Effect.andThen(
        fileSystem.makeDirectory(directory),
        fileSystem.writeFileString(`${directory}/pids.max`, String(count))
      )
      if (!(yield* Effect.isSuccess(made))) return yield* none.acquire(processId, count)
      return {
        line: `{ echo $$ > ${quote(`${directory}/cgroup.procs`)}; } 2>/dev/null`,
        // a zombie counts until its parent has waited for it
        release: Effect.ignore(
          Effect.retry(fileSystem.remove(directory, { recursive: true }), {
            schedule: Schedule.spaced("50 millis"),
            times: 20
          })
        )
      }
    })
  }
  return limit
})

/** Makes the limit of version 2: `ProcessGroups` makes a group for the command, which it enters first. */
const limitGroups = (base: string): ProcessLimit => ({
  acquire: (processId, count) => {
    const file = quote(`${ControlGroups.directoryOf(base, processId)}/pids.max`)
    return Effect.succeed({
      line: `{ echo ${count} > ${file}; } 2>/dev/null`,
      release: Effect.void
    })
  }
})

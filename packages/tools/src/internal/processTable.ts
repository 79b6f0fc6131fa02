/** Which processes of the host belong to a group or carry a marker, by the table in `/proc`. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type { Signals } from "../Signals.ts"

/** The environment variable that marks a process and everything it starts. */
export const markerName = "SPINDLE_PROCESS"

/** The living processes that were asked for. A zombie does not live. */
export interface Found {
  /** Whether the group has a living member. */
  readonly inGroup: boolean
  /** The members of the group; empty on a host without `/proc`. */
  readonly members: ReadonlyArray<number>
  /** The carriers of the marker outside the group; empty on a host without `/proc`. */
  readonly carriers: ReadonlyArray<number>
  /**
   * False while the table cannot be read to its end (a host without free file descriptors), and while some process
   * shows no environment: one in the middle of `execve` does, for a moment, and may be a carrier. One that goes on
   * showing none really has none.
   */
  readonly isSure: boolean
}

/** Finds the members of a group (none for undefined) and the carriers of a marker. */
export type Find = (groupId: number | undefined, marker: string) => Effect.Effect<Found>

/** How many processes are looked at side by side. */
const width = 16
/** How many looks a process has to show no environment until it is believed to have none. */
const emptyCount = 10
/** The flag of a kernel thread, which has no environment and no parent among ours. */
const kernelThread = 0x00200000

/** Finds by `/proc` where there is one; elsewhere only a group can be found. */
export const make = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem, signals: Signals) {
  const find: Find = (yield* readable(fileSystem, "/proc/self/environ"))
    ? byTable(fileSystem, byGroup(signals))
    : byGroup(signals)
  return find
})

const byGroup =
  (signals: Signals): Find =>
  (groupId) =>
    groupId === undefined
      ? Effect.succeed({ inGroup: false, members: [], carriers: [], isSure: true })
      : Effect.map(signals.send(-groupId, 0), (inGroup) => ({ inGroup, members: [], carriers: [], isSure: true }))

/** By the table; by `blindly` what it does not show. */
const byTable = (fileSystem: FileSystem.FileSystem, blindly: Find): Find => {
  let empty = new Map<number, number>()
  return Effect.fnUntraced(function* (groupId, marker) {
    const entry = `\0${markerName}=${marker}\0`
    const members: Array<number> = []
    const carriers: Array<number> = []
    const nowEmpty = new Map<number, number>()
    let isWhole = true
    const read = (path: string) =>
      Effect.match(fileSystem.readFileString(path), {
        onSuccess: (text) => text,
        onFailure: ({ reason }) => {
          if (!isNobodys(reason)) isWhole = false
          return undefined
        }
      })
    const look = Effect.fnUntraced(function* (pid: number) {
      const stat = yield* read(`/proc/${pid}/stat`)
      if (stat === undefined) return
      // the second field is the program's name in parentheses and may hold anything
      const [state, , group, , , , flags] = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 7)
      if (state === "Z" || state === "X") return
      if (Number(group) === groupId) return void members.push(pid)
      const environment = yield* read(`/proc/${pid}/environ`)
      if (environment === "" && (Number(flags) & kernelThread) === 0) nowEmpty.set(pid, (empty.get(pid) ?? 0) + 1)
      if (`\0${environment}`.includes(entry)) carriers.push(pid)
    })
    const names = yield* Effect.orElseSucceed(fileSystem.readDirectory("/proc"), (): Array<string> => {
      isWhole = false
      return []
    })
    yield* Effect.forEach(
      names.filter((name) => /^\d+$/.test(name)),
      (name) => look(Number(name)),
      { concurrency: width, discard: true }
    )
    empty = nowEmpty
    const isSure = isWhole && Array.from(empty.values()).every((count) => count >= emptyCount)
    const inGroup = members.length > 0 || (!isWhole && (yield* blindly(groupId, marker)).inGroup)
    return { inGroup, members, carriers, isSure }
  })
}

/** Whether a file of `/proc` belongs to a process that is gone or another user's, neither of which can be one of ours. */
const isNobodys = (reason: PlatformError["reason"]): boolean =>
  reason._tag === "NotFound" ||
  reason._tag === "PermissionDenied" ||
  (reason.cause as { readonly code?: unknown } | undefined)?.code === "ESRCH"

const readable = (fileSystem: FileSystem.FileSystem, path: string): Effect.Effect<boolean> =>
  Effect.isSuccess(fileSystem.access(path, { readable: true }))

/** Finds the processes of the host that belong to a group, carry a marker, or hide whether they do, in `/proc`. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type { Signals } from "../Signals.ts"
import * as TableReads from "./tableReads.ts"

/** The environment variable that marks a process and everything it starts. */
export const markerName = "SPINDLE_PROCESS"

/** The processes to find. */
export interface Wanted {
  /** The group; undefined for none. */
  readonly groupId: number | undefined
  readonly marker: string
  /** The session that the first process leads. */
  readonly sessionId: number | undefined
  /**
   * Whether a daemon that started at this time, in ticks since the boot of the host, may be one of these processes. It
   * is asked about daemons of the same user whose environment the host hides, like that of `ssh-agent`.
   */
  readonly claims: (startTicks: number) => boolean
}

/** The living processes that were found. A zombie does not live. */
export interface Found {
  /** Whether the group has a living member. */
  readonly inGroup: boolean
  /** The members of the group; empty on a host without `/proc`. */
  readonly members: ReadonlyArray<number>
  /** The other processes; empty on a host without `/proc`. */
  readonly others: ReadonlyArray<number>
  /**
   * False if the table could not be read to its end, for example because the host has no free file descriptor, or if
   * some process has no environment. A process in the middle of `execve` has none for a moment, and it may carry the
   * marker. One that never has any is believed after some looks.
   */
  readonly isSure: boolean
  /** Whether some process ended before it could be read. It may have started another one that was not found. */
  readonly hasVanished: boolean
}

/** Finds processes. `act` runs for each one as soon as it is found, the youngest first. */
export type Find = (wanted: Wanted, act: (pid: number) => Effect.Effect<void>) => Effect.Effect<Found>

/** The table of the processes of a host. */
export interface ProcessTable {
  /** Makes a finder that remembers for a moment which processes are not wanted. It is for one marker. */
  readonly finder: () => Find
  /** Returns the time now, in ticks since the boot of the host; undefined on a host without `/proc`. */
  readonly now: Effect.Effect<number | undefined>
}

/** How many processes are read concurrently. */
const width = 16
/** How often a process must have no environment until it is believed to have none. */
const emptyCount = 10
/** How long a process that is not wanted is not read again: much less than it takes to use its number again. */
const foreignMillis = 1_000
/** The flag of a kernel thread, which has no environment and is not a descendant of a command. */
const kernelThread = 0x00200000
/** The ticks of the times in `/proc`, on every architecture that Node runs on. */
const ticksPerSecond = 100

/** Makes the table from `/proc`. A host without it finds only groups. */
export const make = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem, signals: Signals) {
  const blind: ProcessTable = { finder: () => byGroup(signals), now: Effect.undefined }
  const self = yield* Effect.option(fileSystem.readFileString("/proc/self/stat"))
  if (self._tag === "None" || !(yield* isReadable(fileSystem, "/proc/self/environ"))) return blind
  const host = yield* hostOf(fileSystem)
  const withReads = TableReads.make(fileSystem)
  const table: ProcessTable = {
    finder: () => makeFindByTable(withReads, { blindly: byGroup(signals), host }),
    now: Effect.match(fileSystem.readFileString("/proc/uptime"), {
      onSuccess: (text) => Math.floor(Number(text.split(" ")[0]) * ticksPerSecond),
      onFailure: () => undefined
    })
  }
  return table
})

const byGroup =
  (signals: Signals): Find =>
  ({ groupId }) =>
    groupId === undefined
      ? Effect.succeed({ inGroup: false, members: [], others: [], isSure: true, hasVanished: false })
      : Effect.map(signals.send(-groupId, 0), (inGroup) => ({
          inGroup,
          members: [],
          others: [],
          isSure: true,
          hasVanished: false
        }))

/** The process of this program, which is compared with a process that hides its environment. */
interface HostProcess {
  /** The ancestors of this process, one of which adopts the orphans of its commands. */
  readonly ancestors: ReadonlySet<number>
  readonly login: string | undefined
}

const hostOf = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem) {
  const ancestors = new Set([1])
  const read = (path: string) => Effect.orElseSucceed(fileSystem.readFileString(path), () => "")
  for (let pid = "self"; pid !== "0" && pid !== "";) {
    const stat = yield* read(`/proc/${pid}/stat`)
    if (stat === "") break
    pid = String(entryOf(0, stat).parent)
    ancestors.add(Number(pid))
  }
  const host: HostProcess = { ancestors, login: yield* loginOf(read, "self") }
  return host
})

/** Returns the identity that the processes of one user and one login share: user, control group and audit session. */
const loginOf = Effect.fnUntraced(function* (
  read: (path: string) => Effect.Effect<string | undefined>,
  pid: number | "self"
) {
  const status = yield* read(`/proc/${pid}/status`)
  const user = /^Uid:\s+(\d+)/m.exec(status ?? "")?.[1]
  if (user === undefined) return undefined
  const group = yield* read(`/proc/${pid}/cgroup`)
  const session = yield* read(`/proc/${pid}/sessionid`)
  return [user, group, session].join("\n")
})

/** A line of the table. */
interface Entry {
  readonly pid: number
  readonly isAlive: boolean
  readonly parent: number
  readonly group: number
  readonly session: number
  readonly hasTerminal: boolean
  readonly flags: number
  readonly startTicks: number
}

const entryOf = (pid: number, stat: string): Entry => {
  // the second field is the name of the program in parentheses, and may contain anything
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const at = (index: number) => Number(fields[index])
  return {
    pid,
    isAlive: fields[0] !== "Z" && fields[0] !== "X",
    parent: at(1),
    group: at(2),
    session: at(3),
    hasTerminal: at(4) !== 0,
    flags: at(6),
    startTicks: at(19)
  }
}

/** Makes a finder that reads the table, and uses `blindly` for processes that the table does not show. */
const makeFindByTable = (
  withReads: TableReads.WithReads,
  { blindly, host }: { readonly blindly: Find; readonly host: HostProcess }
): Find => {
  let empty = new Map<number, number>()
  /** Until when a process is known not to be wanted, in milliseconds of the monotonic clock. */
  let foreign = new Map<number, number>()
  const look = Effect.fnUntraced(function* (
    reads: TableReads.Reads,
    wanted: Wanted,
    act: (pid: number) => Effect.Effect<void>
  ) {
    const mark = `\0${markerName}=${wanted.marker}\0`
    const members: Array<number> = []
    const others: Array<number> = []
    const hidden: Array<Entry> = []
    const nowEmpty = new Map<number, number>()
    const nowForeign = new Map<number, number>()
    const millis = Number(yield* Clock.monotonicTimeNanos) / 1_000_000
    let isComplete = true
    let hasVanished = false
    const read = (path: string) =>
      Effect.match(reads.file(path), {
        onSuccess: (text) => text,
        onFailure: ({ reason }) => {
          if (reason._tag === "PermissionDenied") return null
          if (hasGone(reason)) hasVanished = true
          else isComplete = false
          return undefined
        }
      })
    const readText = (path: string) => Effect.map(read(path), (text) => text ?? undefined)
    const add = (list: Array<number>, pid: number) => {
      list.push(pid)
      return act(pid)
    }
    const lookAt = Effect.fnUntraced(function* (pid: number) {
      const environment = yield* read(`/proc/${pid}/environ`)
      // at once: it may live no longer than it takes to read more about it
      if (environment != null && `\0${environment}`.includes(mark)) yield* act(pid)
      const stat = yield* readText(`/proc/${pid}/stat`)
      if (stat === undefined) return
      const entry = entryOf(pid, stat)
      if (!entry.isAlive) return
      if (entry.group === wanted.groupId) return yield* add(members, pid)
      if (environment === null) return void hidden.push(entry)
      if (`\0${environment}`.includes(mark)) return void others.push(pid)
      if (environment === "" && (entry.flags & kernelThread) === 0) nowEmpty.set(pid, (empty.get(pid) ?? 0) + 1)
      else nowForeign.set(pid, millis + foreignMillis)
    })
    const names = yield* Effect.orElseSucceed(reads.directory, (): ReadonlyArray<string> => {
      isComplete = false
      return []
    })
    const isForeign = (pid: number) => {
      const until = foreign.get(pid) ?? 0
      if (until > millis) nowForeign.set(pid, until)
      return until > millis
    }
    const pids = names.map(Number).filter((pid) => pid > 0 && !isForeign(pid))
    // the youngest first: they are the ones that may start others
    yield* Effect.forEach(
      pids.sort((one, two) => two - one),
      lookAt,
      { concurrency: width, discard: true }
    )
    for (const entry of hidden) {
      const known = [...members, ...others]
      if (isDescendant(wanted, entry, known) || (yield* isOwnDaemon(wanted, entry, { host, read: readText }))) {
        yield* add(others, entry.pid)
      } else if (!wanted.claims(entry.startTicks)) nowForeign.set(entry.pid, millis + foreignMillis)
    }
    empty = nowEmpty
    foreign = nowForeign
    const isSure = isComplete && Array.from(empty.values()).every((count) => count >= emptyCount)
    const inGroup = members.length > 0 || (!isComplete && (yield* blindly(wanted, act)).inGroup)
    return { inGroup, members, others, isSure, hasVanished }
  })
  return (wanted, act) => withReads((reads) => look(reads, wanted, act))
}

/** Whether a process that hides its environment is in the session, or has a parent that was found. */
const isDescendant = ({ sessionId }: Wanted, { parent, session }: Entry, known: ReadonlyArray<number>): boolean =>
  session === sessionId || known.includes(parent)

/**
 * Whether a process that hides its environment is a daemon that one of these processes has left: an orphan in a session
 * without a terminal, of the same user and login as this program, and no older than the first process.
 */
const isOwnDaemon = (
  { claims }: Wanted,
  { hasTerminal, parent, pid, session, startTicks }: Entry,
  { host, read }: { readonly host: HostProcess; readonly read: (path: string) => Effect.Effect<string | undefined> }
): Effect.Effect<boolean> =>
  hasTerminal || session === 0 || !host.ancestors.has(parent) || host.login === undefined || !claims(startTicks)
    ? Effect.succeed(false)
    : Effect.map(loginOf(read, pid), (login) => login === host.login)

/** Whether a file of a process cannot be read because the process has ended. */
export const hasGone = (reason: PlatformError["reason"]): boolean =>
  reason._tag === "NotFound" || (reason.cause as { readonly code?: unknown } | undefined)?.code === "ESRCH"

const isReadable = (fileSystem: FileSystem.FileSystem, path: string): Effect.Effect<boolean> =>
  Effect.isSuccess(fileSystem.access(path, { readable: true }))

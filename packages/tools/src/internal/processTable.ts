/** Finds the processes of the host that belong to a group, carry a marker, or hide whether they do, in `/proc`. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import { ProcessStat } from "../ProcessStat.ts"
import type { Signals } from "../Signals.ts"
import { carries, markerName } from "./marks.ts"
import { birthOf, type Entry, entryOf } from "./processEntry.ts"
import * as TableReads from "./tableReads.ts"
import { LookedSessions, strangeSessionOf, UnixSessions } from "./unixSessions.ts"

/** The processes to find. */
export interface Wanted {
  /** The group; undefined for none. */
  readonly groupId: number | undefined
  readonly marker: string
  /** The session that the first process leads. */
  readonly sessionId: number | undefined
  /** No process of them started before this time, in ticks since the boot of the host; undefined if it is not known. */
  readonly startTicks: number | undefined
  /**
   * Returns true if a daemon that started at this time, in ticks since the boot of the host, may be one of them. It
   * is asked about daemons of the same user whose environment the host hides, like that of `ssh-agent`.
   */
  readonly claims: (startTicks: number) => boolean
}

/** The living processes that were found. A zombie does not live. */
export interface Found {
  /** True if the group has a living member. */
  readonly inGroup: boolean
  /** True if another group is known to have the number now. */
  readonly isGroupReused: boolean
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
  /** True if some process ended before it could be read. It may have started another one that was not found. */
  readonly hasVanished: boolean
}

/**
 * Runs for each process as soon as it is found, the youngest first. If all members of its group are wanted too, it
 * receives the group; for the group of the command it does not.
 */
export type Act = (pid: number, groupId?: number) => Effect.Effect<void>

/** Finds processes. */
export type Find = (wanted: Wanted, act: Act) => Effect.Effect<Found>

/** The table of the processes of a host. */
export interface ProcessTable {
  /**
   * Makes a finder for one marker. It remembers for a moment which processes are not wanted, and all finders of a table
   * remember the age of those that no command has started.
   */
  readonly finder: () => Find
  /** Returns the time now, in ticks since the boot of the host; undefined on a host without `/proc`. */
  readonly now: Effect.Effect<number | undefined>
}

/** The number of processes that are read concurrently. */
const width = 16
/** The number of looks in which a process must have no environment, until it is believed to have none. */
const emptyCount = 10
/** The time in which a process that is not wanted is not read again: much less than it takes to use its number again. */
const foreignMillis = 1_000
/** The ticks of the times in `/proc`, on every architecture that Node runs on. */
const ticksPerSecond = 100
/** By how much a process must be older than a command until it is believed to be none of its processes. */
const marginTicks = ticksPerSecond

/** Makes the table from `/proc`. A host without it finds only groups. */
export const make = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem, signals: Signals) {
  const blind: ProcessTable = { finder: () => byGroup(signals), now: Effect.undefined }
  const self = yield* Effect.option(fileSystem.readFileString("/proc/self/stat"))
  if (self._tag === "None" || !(yield* isReadable(fileSystem, "/proc/self/environ"))) return blind
  const host = yield* hostOf(fileSystem)
  const ownTicks = entryOf(0, self.value).startTicks || 0
  const readStat = yield* ProcessStat
  const withReads = TableReads.make(fileSystem, readStat)
  const blindly = byGroup(signals)
  const known: Map<number, Known> = new Map()
  const table: ProcessTable = {
    finder: () => makeFindByTable(withReads, { blindly, host, known, isStatFirst: readStat !== undefined }),
    now: Effect.match(fileSystem.readFileString("/proc/uptime"), {
      // the file of a container may count from its start, and the ages of processes from that of the machine
      onSuccess: (text) => Math.max(ownTicks, Math.floor(Number(text.split(" ")[0]) * ticksPerSecond)),
      onFailure: () => undefined
    })
  }
  return table
})

const byGroup =
  (signals: Signals): Find =>
  ({ groupId }) =>
    Effect.map(groupId === undefined ? Effect.succeed(false) : signals.send(-groupId, 0), (inGroup) => ({
      inGroup,
      isGroupReused: false,
      members: [],
      others: [],
      isSure: true,
      hasVanished: false
    }))

/** The process of this program, which is compared with a process that hides its environment. */
interface HostProcess {
  /** The ancestors of this process, one of which adopts the orphans of its commands. */
  readonly ancestors: ReadonlySet<number>
  readonly session: number
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
  const { session } = entryOf(0, yield* read("/proc/self/stat"))
  const host: HostProcess = { ancestors, session, login: yield* loginOf(read, "self") }
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

/** The knowledge of all finders about a process. */
interface Known {
  /** See {@link birthOf}. */
  readonly birth: number
  readonly session: number
  /** The time at which this is forgotten, in milliseconds of the monotonic clock. */
  readonly until: number
}

interface FinderOptions {
  /** Finds processes that the table does not show. */
  readonly blindly: Find
  readonly host: HostProcess
  readonly known: Map<number, Known>
  /** True if the age of a process is read before its environment, because that takes no time. */
  readonly isStatFirst: boolean
}

/** The part of the table that a look has read. */
interface Progress {
  /** See {@link Found.isSure}. */
  isComplete: boolean
  /** See {@link Found.hasVanished}. */
  hasVanished: boolean
}

/** Makes a reader of files: null if the host hides one, and undefined if it cannot be read, which `progress` then says. */
const makeReader = (progress: Progress) => (file: Effect.Effect<string, PlatformError>) =>
  Effect.match(file, {
    onSuccess: (text) => text,
    onFailure: ({ reason }) => {
      if (reason._tag === "PermissionDenied") return null
      if (hasGone(reason)) progress.hasVanished = true
      else progress.isComplete = false
      return undefined
    }
  })

/** Lists the processes, the youngest first: they are the ones that may start others. */
const pidsOf = (reads: TableReads.Reads, progress: Progress): Effect.Effect<ReadonlyArray<number>> =>
  Effect.match(reads.directory, {
    onSuccess: (names) =>
      names
        .map(Number)
        .filter((pid) => pid > 0)
        .sort((one, two) => two - one),
    onFailure: () => {
      progress.isComplete = false
      return []
    }
  })

/** Removes what is no longer known. */
const forgetOld = (known: Map<number, Known>, millis: number): void => {
  for (const [pid, { until }] of known) {
    // mutant ages-are-forgotten (X1: a process that has the number of an older one is found): drop
    if (until <= millis) known.delete(pid)
  }
}

/** The processes that one look finds. */
interface Looked {
  readonly members: Array<number>
  readonly others: Array<number>
  /** Those that may be found by their parent or session, when all of the table is read. */
  readonly rest: Map<number, Unclaimed>
}

/** A process that is known not to be wanted. */
interface Foreign {
  /** The time until which it is not read again, in milliseconds of the monotonic clock. */
  readonly until: number
  /** Its session if that is not of the command, too. */
  readonly session: number | undefined
}

/** The processes that are not wanted, as one look leaves them to the next one. */
interface Unwanted {
  /** The number of looks in which a process had no environment. */
  readonly empty: Map<number, number>
  readonly foreign: Map<number, Foreign>
}

/** A process that does not show the marker. */
interface Unclaimed {
  readonly entry: Entry
  /** Null if it is hidden, and undefined if it could not be read. */
  readonly environment: string | null | undefined
}

/**
 * Makes a finder that reads the table. It reads only the age of a process that is older than the command: a process starts
 * after the one that started it, inherits its session from it, and can only join a group of its session. With `execve` a
 * process changes its environment, but an older one would have to learn the marker from the command first.
 */
const makeFindByTable = (
  withReads: TableReads.WithReads,
  { blindly, host, isStatFirst, known }: FinderOptions
): Find => {
  let unwanted: Unwanted = { empty: new Map(), foreign: new Map() }
  let sessions: UnixSessions | undefined
  const look = Effect.fnUntraced(function* (reads: TableReads.Reads, wanted: Wanted, act: Act) {
    const isMarked = carries(markerName, wanted.marker)
    // mutant same-age-is-wanted (X1: a process that starts with its command is found):
    //   replace: `- marginTicks` => `+ marginTicks`
    const earliest = (wanted.startTicks ?? 0) - marginTicks
    const millis = Number(yield* Clock.monotonicTimeNanos) / 1_000_000
    const until = millis + foreignMillis
    const allSessions = (sessions ??= new UnixSessions(wanted.sessionId, until))
    const owned = new LookedSessions(allSessions, host.session, until)
    const looked: Looked = { members: [], others: [], rest: new Map() }
    const { members, others, rest } = looked
    const now: Unwanted = { empty: new Map(), foreign: new Map() }
    const progress: Progress = { isComplete: true, hasVanished: false }
    const read = makeReader(progress)
    const readText = (path: string) => Effect.map(read(reads.file(path)), (text) => text ?? undefined)
    const readEnvironment = (pid: number) => read(reads.file(`/proc/${pid}/environ`))
    const actOn = ({ group, pid, session }: Entry) =>
      act(pid, group !== wanted.groupId && owned.has(session) && group > 1 ? group : undefined)
    const add = (list: Array<number>, entry: Entry) => {
      list.push(entry.pid)
      owned.add(entry)
      return actOn(entry)
    }
    const decide = Effect.suspend(() => Effect.forEach(owned.decide(), actOn, { discard: true }))
    const addByEnvironment = Effect.fnUntraced(function* (entry: Entry, first: string | null | undefined) {
      const { pid } = entry
      const environment = entry.isLeaderDead ? yield* read(reads.threads(pid)) : first
      if (environment != null && isMarked(environment)) return yield* add(others, entry)
      // one that ends now may have started another one; one that executes a program has an environment soon
      if (environment === "" && (yield* hasEnded(reads, pid))) return (progress.hasVanished = true)
      rest.set(pid, { entry, environment })
      owned.exclude(strangeSessionOf(entry, environment))
    })
    const lookAt = Effect.fnUntraced(function* (pid: number) {
      const environment = isStatFirst ? undefined : yield* readEnvironment(pid)
      // at once: it may live no longer than it takes to read more about it
      if (environment != null && isMarked(environment)) yield* act(pid)
      const stat = yield* read(reads.stat(pid))
      if (stat == null) return
      const entry = entryOf(pid, stat)
      const birth = birthOf(entry)
      known.set(pid, { birth, session: entry.session, until })
      // a member that is older shows that its session is older
      if (birth < earliest) owned.exclude(entry.session)
      if (!entry.isAlive || birth < earliest) return
      if (owned.has(entry.session)) return yield* add(entry.group === wanted.groupId ? members : others, entry)
      yield* addByEnvironment(entry, isStatFirst ? yield* readEnvironment(pid) : environment)
    })
    const pids = yield* pidsOf(reads, progress)
    forgetOld(known, millis)
    const isForeign = (pid: number) => {
      const one = known.get(pid)
      const isOlder = one !== undefined && one.birth < earliest
      const foreign = isOlder ? { ...one, until } : unwanted.foreign.get(pid)
      if (foreign === undefined || foreign.until <= millis) return false
      owned.exclude(foreign.session)
      if (!isOlder) now.foreign.set(pid, foreign)
      return true
    }
    yield* allSessions.forgetReused((pid) => Effect.orElseSucceed(reads.stat(pid), () => ""))
    yield* Effect.forEach(
      pids.filter((pid) => !isForeign(pid)),
      lookAt,
      { concurrency: width, discard: true }
    )
    const isDescendant = ({ parent, session }: Entry) =>
      owned.has(session) || members.includes(parent) || others.includes(parent)
    const addDescendants = () => addFrom(rest, isDescendant, (entry) => Effect.andThen(add(others, entry), decide))
    yield* decide
    yield* addDescendants()
    for (const [pid, { entry, environment }] of rest) {
      if (environment !== null || owned.isStrange(entry)) continue
      if (!(yield* isOwnDaemon(wanted, entry, { host, read: readText }))) continue
      rest.delete(pid)
      yield* add(others, entry)
    }
    yield* addDescendants()
    remember(looked, { wanted, until, before: unwanted, now })
    // those that are known not to be wanted may be in the new session
    unwanted = owned.hasNew ? { ...now, foreign: new Map() } : now
    if (progress.isComplete) allSessions.forget(millis)
    const isSure = progress.isComplete && Array.from(now.empty.values()).every((count) => count >= emptyCount)
    const inGroup = members.length > 0 || (!progress.isComplete && (yield* blindly(wanted, act)).inGroup)
    const isGroupReused = wanted.groupId !== undefined && allSessions.isReused(wanted.groupId)
    return { inGroup, isGroupReused, members, others, isSure, hasVanished: progress.hasVanished }
  })
  return (wanted, act) => withReads((reads) => look(reads, wanted, act))
}

/** Remembers which processes of the rest are not wanted. */
const remember = (
  { rest }: Looked,
  {
    before,
    now,
    until,
    wanted
  }: { readonly wanted: Wanted; readonly until: number; readonly before: Unwanted; readonly now: Unwanted }
): void => {
  for (const [pid, { entry, environment }] of rest) {
    // mutant unread-is-not-foreign (X1: a process whose environment could not be read is read again): drop
    if (environment === undefined) continue
    if (environment === "") now.empty.set(pid, (before.empty.get(pid) ?? 0) + 1)
    else if (environment !== null || !wanted.claims(entry.startTicks)) {
      now.foreign.set(pid, { until, session: strangeSessionOf(entry, environment) })
    }
  }
}

/** Moves processes out of `rest` for which a condition holds, until it holds for none: `add` may change it. */
const addFrom = Effect.fnUntraced(function* (
  rest: Looked["rest"],
  isWanted: (entry: Entry) => boolean,
  add: (entry: Entry) => Effect.Effect<void>
) {
  for (let count = -1; count !== rest.size;) {
    count = rest.size
    for (const [pid, { entry }] of rest) {
      if (!isWanted(entry)) continue
      rest.delete(pid)
      yield* add(entry)
    }
  }
})

/** Returns true if a process without an environment has ended, or ends now. */
const hasEnded = (reads: TableReads.Reads, pid: number): Effect.Effect<boolean> =>
  Effect.match(reads.statAgain(pid), {
    onSuccess: (stat) => entryOf(pid, stat).isExiting,
    onFailure: ({ reason }) => hasGone(reason)
  })

/**
 * Returns true if a process that hides its environment is a daemon that one of these processes has left: an orphan in
 * a session without a terminal, of the same user and login as this program, and no older than the first process.
 */
const isOwnDaemon = (
  { claims }: Wanted,
  { hasTerminal, parent, pid, startTicks }: Entry,
  { host, read }: { readonly host: HostProcess; readonly read: (path: string) => Effect.Effect<string | undefined> }
): Effect.Effect<boolean> =>
  hasTerminal || !host.ancestors.has(parent) || host.login === undefined || !claims(startTicks)
    ? Effect.succeed(false)
    : Effect.map(loginOf(read, pid), (login) => login === host.login)

/** Returns true if a file of a process cannot be read because the process has ended. */
export const hasGone = (reason: PlatformError["reason"]): boolean =>
  reason._tag === "NotFound" || (reason.cause as { readonly code?: unknown } | undefined)?.code === "ESRCH"

const isReadable = (fileSystem: FileSystem.FileSystem, path: string): Effect.Effect<boolean> =>
  Effect.isSuccess(fileSystem.access(path, { readable: true }))

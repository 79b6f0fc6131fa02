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
  const readStat = yield* ProcessStat
  const withReads = TableReads.make(fileSystem, readStat)
  const blindly = byGroup(signals)
  const known: Map<number, Known> = new Map()
  const table: ProcessTable = {
    finder: () => makeFindByTable(withReads, { blindly, host, known, isStatFirst: readStat !== undefined }),
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

/** Removes what is no longer known. */
const forgetOld = (known: Map<number, Known>, millis: number): void => {
  for (const [pid, { until }] of known) {
    // mutant ages-are-forgotten (X1: a process that has the number of an older one is found): drop
    if (until <= millis) known.delete(pid)
  }
}

/**
 * The sessions of the processes that were found. A command leads a session, and what it starts is in it or makes another
 * one, so that the members of these sessions are wanted, whatever they carry in their environment.
 */
class UnixSessions {
  /** Until when a session is kept although it shows no member, in milliseconds of the monotonic clock. */
  private readonly until = new Map<number, number>()
  private readonly none: ReadonlySet<number>

  constructor(host: number, first: number | undefined, until: number) {
    this.none = new Set([0, host])
    if (first !== undefined) this.add(first, until)
  }

  has(session: number): boolean {
    return this.until.has(session)
  }

  /** Adds a session, or notes that it has a member. Returns true if it is new. */
  add(session: number, until: number): boolean {
    const isNew = !this.until.has(session) && !this.none.has(session)
    if (!this.none.has(session)) this.until.set(session, until)
    return isNew
  }

  /** Removes those without a member: another session may get the number. */
  forget(millis: number): void {
    for (const [session, until] of this.until) if (until <= millis) this.until.delete(session)
  }
}

/** The processes that one look finds. */
interface Looked {
  readonly members: Array<number>
  readonly others: Array<number>
  /** Those that may be found by their parent or session, when all of the table is read. */
  readonly rest: Map<number, Unclaimed>
  /** True if a session was found that was not known before. */
  hasNewSession: boolean
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
  let empty = new Map<number, number>()
  /** Until when a process is known not to be wanted, in milliseconds of the monotonic clock. */
  let foreign = new Map<number, number>()
  let sessions: UnixSessions | undefined
  const look = Effect.fnUntraced(function* (reads: TableReads.Reads, wanted: Wanted, act: Act) {
    const isMarked = carries(markerName, wanted.marker)
    // mutant same-age-is-wanted (X1: a process that starts with its command is found):
    //   replace: `- marginTicks` => `+ marginTicks`
    const earliest = (wanted.startTicks ?? 0) - marginTicks
    const millis = Number(yield* Clock.monotonicTimeNanos) / 1_000_000
    const until = millis + foreignMillis
    const owned = (sessions ??= new UnixSessions(host.session, wanted.sessionId, until))
    const looked: Looked = { members: [], others: [], rest: new Map(), hasNewSession: false }
    const { members, others, rest } = looked
    const nowEmpty = new Map<number, number>()
    const nowForeign = new Map<number, number>()
    const progress: Progress = { isComplete: true, hasVanished: false }
    const read = makeReader(progress)
    const readText = (path: string) => Effect.map(read(reads.file(path)), (text) => text ?? undefined)
    const readEnvironment = (pid: number) => read(reads.file(`/proc/${pid}/environ`))
    const add = (list: Array<number>, { group, pid, session }: Entry) => {
      list.push(pid)
      if (owned.add(session, until)) looked.hasNewSession = true
      return act(pid, list === others && owned.has(session) && group > 1 ? group : undefined)
    }
    const addByEnvironment = Effect.fnUntraced(function* (entry: Entry, first: string | null | undefined) {
      const { pid } = entry
      const environment = entry.isLeaderDead ? yield* read(reads.threads(pid)) : first
      if (environment != null && isMarked(environment)) return yield* add(others, entry)
      // one that ends now may have started another one; one that executes a program has an environment soon
      if (environment === "" && (yield* hasEnded(reads, pid))) progress.hasVanished = true
      else rest.set(pid, { entry, environment })
    })
    const lookAt = Effect.fnUntraced(function* (pid: number) {
      const environment = isStatFirst ? undefined : yield* readEnvironment(pid)
      // at once: it may live no longer than it takes to read more about it
      if (environment != null && isMarked(environment)) yield* act(pid)
      const stat = yield* read(reads.stat(pid))
      if (stat == null) return
      const entry = entryOf(pid, stat)
      const birth = birthOf(entry)
      known.set(pid, { birth, until })
      if (!entry.isAlive || birth < earliest) return
      if (entry.group === wanted.groupId) return yield* add(members, entry)
      if (owned.has(entry.session)) return yield* add(others, entry)
      yield* addByEnvironment(entry, isStatFirst ? yield* readEnvironment(pid) : environment)
    })
    const names = yield* Effect.orElseSucceed(reads.directory, (): ReadonlyArray<string> => {
      progress.isComplete = false
      return []
    })
    forgetOld(known, millis)
    const isForeign = (pid: number) => {
      if ((known.get(pid)?.birth ?? Infinity) < earliest) return true
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
    const isDescendant = ({ parent, session }: Entry) =>
      owned.has(session) || members.includes(parent) || others.includes(parent)
    const addDescendants = () => addFrom(rest, isDescendant, (entry) => add(others, entry))
    yield* addDescendants()
    for (const [pid, { entry, environment }] of rest) {
      if (environment !== null || !(yield* isOwnDaemon(wanted, entry, { host, read: readText }))) continue
      rest.delete(pid)
      yield* add(others, entry)
    }
    yield* addDescendants()
    for (const [pid, { entry, environment }] of rest) {
      // mutant unread-is-not-foreign (X1: a process whose environment could not be read is read again): drop
      if (environment === undefined) continue
      if (environment === "") nowEmpty.set(pid, (empty.get(pid) ?? 0) + 1)
      else if (environment !== null || !wanted.claims(entry.startTicks)) nowForeign.set(pid, until)
    }
    empty = nowEmpty
    // those that are known not to be wanted may be in the new session
    foreign = looked.hasNewSession ? new Map() : nowForeign
    owned.forget(millis)
    const isSure = progress.isComplete && Array.from(empty.values()).every((count) => count >= emptyCount)
    const inGroup = members.length > 0 || (!progress.isComplete && (yield* blindly(wanted, act)).inGroup)
    return { inGroup, members, others, isSure, hasVanished: progress.hasVanished }
  })
  return (wanted, act) => withReads((reads) => look(reads, wanted, act))
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
  { hasTerminal, parent, pid, session, startTicks }: Entry,
  { host, read }: { readonly host: HostProcess; readonly read: (path: string) => Effect.Effect<string | undefined> }
): Effect.Effect<boolean> =>
  hasTerminal || session === 0 || !host.ancestors.has(parent) || host.login === undefined || !claims(startTicks)
    ? Effect.succeed(false)
    : Effect.map(loginOf(read, pid), (login) => login === host.login)

/** Returns true if a file of a process cannot be read because the process has ended. */
export const hasGone = (reason: PlatformError["reason"]): boolean =>
  reason._tag === "NotFound" || (reason.cause as { readonly code?: unknown } | undefined)?.code === "ESRCH"

const isReadable = (fileSystem: FileSystem.FileSystem, path: string): Effect.Effect<boolean> =>
  Effect.isSuccess(fileSystem.access(path, { readable: true }))

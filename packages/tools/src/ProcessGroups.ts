/**
 * The processes of a host: each leads its own group, carries a marker in its environment, and is ended with everything
 * it started (contract X1, X4). The implementation of core's `Processes` for POSIX hosts.
 *
 * The layer owns the processes; who started one gets its output and its exit. Sessions end theirs through
 * `Processes.end`; closing the layer ends what is left. `/proc` finds descendants that left the group; on a host
 * without it only the group is ended.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import { type ChildProcessHandle, ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Scope from "effect/Scope"
import type { ProcessId } from "@spindle/core/Ids"
import { type Process, Processes, type ProcessExit, ProcessFailed, type ProcessSpec } from "@spindle/core/Processes"
import * as OutputPipe from "./internal/outputPipe.ts"
import * as ProcessTable from "./internal/processTable.ts"
import { Signals } from "./Signals.ts"

/** The grace of a process that nobody waits for: its start was interrupted, or the layer closes. */
const unattendedGraceMillis = 500
/** How long closing the layer waits for the processes that it ends. */
const closeLimitMillis = 2_000

/** The process groups of a host, for a program that has no time left. */
export interface ProcessGroups {
  /**
   * The ids of the groups that may still have a living member, at this moment and without waiting: what a program
   * kills at once when it is told to stop for the second time (contract X2), `process.kill(-group, "SIGKILL")`.
   */
  readonly liveGroups: () => ReadonlyArray<number>
}

/** The service key of {@link ProcessGroups}. */
export const ProcessGroups: Context.Service<ProcessGroups, ProcessGroups> =
  Context.Service("@spindle/tools/ProcessGroups")

/**
 * Provides core's `Processes`, and this service beside it. Output that nobody reads slows its process. When a command
 * exits with a code other than 0, the spawner of Node asks the rest of its group to end. **Interruption** of a start
 * ends the process. Closing the layer starts nothing any more, ends every process with 500 ms of grace, waits for
 * that 2 s at most, and logs the groups that were still there.
 */
export const layer: Layer.Layer<
  ProcessGroups | Processes,
  never,
  ChildProcessSpawner | FileSystem.FileSystem | Signals
> = Layer.effectContext(
  Effect.gen(function* () {
    const host = yield* makeHost
    yield* Effect.addFinalizer(() => close(host))
    return Context.empty().pipe(
      Context.add(Processes, {
        start: (spec) => start(host, spec),
        end: (processId, grace) => end(host, processId, grace)
      }),
      Context.add(ProcessGroups, {
        liveGroups: () => Array.from(host.groups.values(), (group) => group.groupId).filter((id) => id !== undefined)
      })
    )
  })
)

/** A process with everything it started, from its start until none of them lives. */
interface Group {
  readonly processId: ProcessId
  /** The id of the group while it may have a living member; the number may later name somebody else's group. */
  groupId: number | undefined
  /** The spawner's handle; none for a process of an earlier host. */
  readonly handle: ChildProcessHandle | undefined
  /**
   * Holds the spawner's handle. It is closed when nobody lives any more, so that closing it neither signals nor waits.
   */
  readonly scope: Scope.Closeable
  readonly exit: Deferred.Deferred<ProcessExit>
  readonly gone: Deferred.Deferred<void>
  /** When to kill, in milliseconds since 1970; undefined while nobody has asked to end it. */
  killAt: number | undefined
}

interface Host {
  readonly spawner: ChildProcessSpawner["Service"]
  readonly signals: Signals
  readonly find: ProcessTable.Find
  readonly groups: Map<ProcessId, Group>
  readonly fibers: FiberSet.FiberSet
  isClosed: boolean
}

const makeHost = Effect.gen(function* () {
  const signals = yield* Signals
  const host: Host = {
    spawner: yield* ChildProcessSpawner,
    signals,
    find: yield* ProcessTable.make(yield* FileSystem.FileSystem, signals),
    groups: new Map(),
    fibers: yield* FiberSet.make(),
    isClosed: false
  }
  return host
})

const makeGroup = (processId: ProcessId, scope: Scope.Closeable, handle?: ChildProcessHandle): Group => ({
  processId,
  groupId: handle?.pid,
  handle,
  scope,
  exit: Deferred.makeUnsafe(),
  gone: Deferred.makeUnsafe(),
  killAt: undefined
})

const start = (host: Host, spec: ProcessSpec): Effect.Effect<Process, ProcessFailed> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const [program, ...args] = spec.command
      if (program === undefined) return yield* failed(spec, "there is no command")
      if (host.isClosed) return yield* failed(spec, "this host is closing")
      const scope = yield* Scope.make()
      const handle = yield* host.spawner.spawn(command(spec, program, args)).pipe(
        Scope.provide(scope),
        Effect.mapError((error) => failed(spec, reasonOf(error.reason), error)),
        Effect.catchDefect((defect) => thrown(spec, defect)),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
      const group = makeGroup(spec.processId, scope, handle)
      host.groups.set(spec.processId, group)
      const pipe = yield* OutputPipe.make(handle.all)
      yield* FiberSet.run(host.fibers, pipe.pump)
      yield* FiberSet.run(host.fibers, watch(host, group, { handle, pipe }))
      if (host.isClosed) yield* beginEnd(host, group, unattendedGraceMillis)
      // a caller that was interrupted meanwhile never learns of this process
      yield* Effect.onInterrupt(restore(Effect.void), () => beginEnd(host, group, unattendedGraceMillis))
      return {
        processId: spec.processId,
        pid: handle.pid,
        output: pipe.output,
        exit: Deferred.await(group.exit),
        gone: Deferred.await(group.gone)
      }
    })
  )

const command = (spec: ProcessSpec, program: string, args: ReadonlyArray<string>): ChildProcess.Command =>
  ChildProcess.make(program, args, {
    cwd: spec.cwd,
    env: { ...spec.env, [ProcessTable.markerName]: spec.processId },
    extendEnv: true,
    detached: true,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe"
  })

const failed = (spec: ProcessSpec, detail: string, cause?: unknown): ProcessFailed =>
  new ProcessFailed({ command: spec.command, cwd: spec.cwd, detail, ...(cause === undefined ? {} : { cause }) })

const codeOf = (error: unknown): string | undefined => {
  const code = (error as { readonly code?: unknown } | undefined)?.code
  return typeof code === "string" ? code : undefined
}

const reasonOf = (reason: PlatformError["reason"]): string => {
  const what = reason.module === "FileSystem" ? "directory" : "program"
  switch (reason._tag) {
    case "NotFound":
      return `there is no such ${what}`
    case "PermissionDenied":
      return `no permission for this ${what}`
    case "BadArgument":
      return reason.description ?? "the command cannot be passed to the host"
    default:
      return `the host refused: ${codeOf(reason.cause) ?? reason._tag}`
  }
}

/**
 * Node reports most errors of a spawn later and throws the others (`ENOTDIR`, `E2BIG`), which the spawner lets through.
 */
const thrown = (spec: ProcessSpec, defect: unknown): Effect.Effect<never, ProcessFailed> => {
  const code = codeOf(defect)
  return code === undefined ? Effect.die(defect) : Effect.fail(failed(spec, `the host refused: ${code}`, defect))
}

/** Tells the exit of a process and the end of its output, and then waits until its last descendant has gone. */
const watch = Effect.fnUntraced(function* (
  host: Host,
  group: Group,
  from: { readonly handle: ChildProcessHandle; readonly pipe: OutputPipe.OutputPipe }
) {
  const exit = yield* Effect.matchEager(from.handle.exitCode, {
    onSuccess: (exitCode): ProcessExit => ({ exitCode }),
    onFailure: signalled
  })
  Deferred.doneUnsafe(group.exit, Effect.succeed(exit))
  yield* FiberSet.run(host.fibers, from.pipe.ended)
  // seldom, since descendants may live for days; `end` looks for itself
  for (let delay = 100; !(yield* hasGone(host, group)); delay = Math.min(delay * 2, 10_000)) {
    yield* Effect.timeoutOption(Deferred.await(group.gone), delay)
  }
})

/** Death by signal reaches us as an error; its text is the one place that names the signal. */
const signalled = (error: PlatformError): ProcessExit => {
  const signal = /SIG[A-Z0-9]+/.exec(String(error.reason.cause))?.[0]
  return signal === undefined ? { exitCode: null } : { exitCode: null, signal }
}

/** Looks twice at least: a process that forks and exits while the table is read may hide its child from one look. */
const hasGone = Effect.fnUntraced(function* (host: Host, group: Group) {
  for (let looks = 0, isSure = false; looks < 2 || !isSure; looks++) {
    if (looks > 0) yield* Effect.sleep(5)
    const found = yield* look(host, group)
    if (isAlive(found)) return false
    isSure = found.isSure
  }
  yield* forget(host, group)
  return true
})

const look = Effect.fnUntraced(function* (host: Host, group: Group) {
  const found = yield* host.find(group.groupId, group.processId)
  // from now on the number of the group may be given to somebody else
  if (!found.inGroup && Deferred.isDoneUnsafe(group.exit)) group.groupId = undefined
  return found
})

const isAlive = (found: ProcessTable.Found): boolean => found.inGroup || found.carriers.length > 0

const forget = (host: Host, group: Group): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!Deferred.doneUnsafe(group.gone, Effect.void)) return Effect.void
    if (host.groups.get(group.processId) === group) host.groups.delete(group.processId)
    // a handle that is let go of: closing its scope then neither signals nor waits for zombies that nobody reaps
    const letGo = group.handle === undefined ? Effect.void : Effect.ignore(group.handle.unref)
    return Effect.asVoid(FiberSet.run(host.fibers, Effect.andThen(letGo, Scope.close(group.scope, Exit.void))))
  })

const end = Effect.fnUntraced(function* (host: Host, processId: ProcessId, grace: number) {
  let group = host.groups.get(processId)
  if (group === undefined) {
    if (host.isClosed) return
    // a process of an earlier host may still carry the marker (contract X3)
    group = makeGroup(processId, yield* Scope.make())
    Deferred.doneUnsafe(group.exit, Effect.succeed({ exitCode: null }))
    host.groups.set(processId, group)
  }
  yield* Effect.uninterruptible(beginEnd(host, group, grace))
  yield* Deferred.await(group.gone)
})

/** Begins to end a group, or brings the end forward that has begun. */
const beginEnd = Effect.fnUntraced(function* (host: Host, group: Group, graceMillis: number) {
  const killAt = (yield* Clock.currentTimeMillis) + graceMillis
  const hasBegun = group.killAt !== undefined
  group.killAt = Math.min(group.killAt ?? killAt, killAt)
  if (!hasBegun) yield* FiberSet.run(host.fibers, endGroup(host, group))
})

/** Asks everyone once, also who appears meanwhile, and after the grace kills until nobody is left. */
const endGroup = Effect.fnUntraced(function* (host: Host, group: Group) {
  const asked = new Set<number>()
  for (let delay = 5; ; delay = Math.min(delay * 2, 50)) {
    const found = yield* look(host, group)
    if (!isAlive(found)) {
      if (yield* hasGone(host, group)) return
      continue
    }
    const left = group.killAt! - (yield* Clock.currentTimeMillis)
    const signal = left > 0 ? "SIGTERM" : "SIGKILL"
    if (group.groupId !== undefined && found.inGroup && !(left > 0 && asked.has(group.groupId))) {
      yield* host.signals.send(-group.groupId, signal)
      for (const pid of [group.groupId, ...found.members]) asked.add(pid)
    }
    for (const pid of [...found.members, ...found.carriers]) {
      if (left > 0 && asked.has(pid)) continue
      asked.add(pid)
      yield* host.signals.send(pid, signal)
    }
    yield* Effect.sleep(left > 0 ? Math.min(delay, left) : delay)
  }
})

const close = Effect.fnUntraced(function* (host: Host) {
  host.isClosed = true
  const groups = Array.from(host.groups.values())
  yield* Effect.forEach(groups, (group) => beginEnd(host, group, unattendedGraceMillis), { discard: true })
  yield* Effect.forEach(groups, (group) => Deferred.await(group.gone), { concurrency: "unbounded" }).pipe(
    Effect.interruptible,
    Effect.timeoutOption(closeLimitMillis)
  )
  const left = groups.filter((group) => !Deferred.isDoneUnsafe(group.gone))
  if (left.length > 0) yield* Effect.logWarning(`processes did not end: ${left.map((group) => group.processId)}`)
  // nobody looks after them any more: who waits for their end has to be let go
  for (const group of left) Deferred.doneUnsafe(group.gone, Effect.void)
  host.groups.clear()
})

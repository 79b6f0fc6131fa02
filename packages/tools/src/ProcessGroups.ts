/**
 * The processes of a POSIX host, as core's `Processes`: each leads its own group, carries a marker in its environment, and
 * is ended with everything that it started (contract X1, X4).
 *
 * The layer owns the processes; the caller of `start` gets the output and the exit. Sessions end theirs with
 * `Processes.end`, and closing the layer ends the rest. Descendants that left the group are found in `/proc` and, where
 * this program may create one, in a control group. On other hosts only the group is ended.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Scope from "effect/Scope"
import type { ProcessId } from "@spindle/core/Ids"
import {
  type Process,
  Processes,
  type ProcessExit,
  type ProcessFailed,
  type ProcessSpec
} from "@spindle/core/Processes"
import * as CommandEnvironment from "./CommandEnvironment.ts"
import * as ControlGroups from "./internal/controlGroups.ts"
import * as LeftProcesses from "./internal/leftProcesses.ts"
import * as Marks from "./internal/marks.ts"
import * as OutputPipe from "./internal/outputPipe.ts"
import * as ProcessTable from "./internal/processTable.ts"
import * as Spawn from "./internal/spawn.ts"
import type { Spawned } from "./internal/spawned.ts"
import * as Terminal from "./internal/terminal.ts"
import { Signals } from "./Signals.ts"

/** The grace of a process that no caller waits for: its start was interrupted, or the layer closes. */
const unattendedGraceMillis = 500
/** The time that closing the layer waits for the processes that it ends. */
const closeLimitMillis = 2_000

/** The targets to kill when there is no time to look at the processes. */
export interface KillTargets {
  /**
   * The targets of `process.kill(target, "SIGKILL")`: the groups that may still have a living member, as negative numbers,
   * and the processes that were found outside their group.
   */
  readonly targets: ReadonlyArray<number>
  /** The files that kill all members of a control group when "1" is written to them. */
  readonly controlFiles: ReadonlyArray<string>
  /**
   * Returns true for the text of `/proc/<pid>/environ` of a process that was started and of its descendants, for those
   * that no look has found yet. Undefined where hosts cannot be distinguished.
   */
  readonly isMarked: ((environment: string) => boolean) | undefined
}

/** The processes of a host, for a program that has no time left. */
export interface ProcessGroups {
  /** Returns what to kill at once when the program is asked to stop a second time (contract X2). */
  readonly killTargets: () => KillTargets
  /** Returns whether a process or one of its descendants lives, even if another program has started it. */
  readonly isAlive: (processId: ProcessId) => Effect.Effect<boolean>
}

/** The service key of {@link ProcessGroups}. */
export const ProcessGroups: Context.Service<ProcessGroups, ProcessGroups> =
  Context.Service("@spindle/tools/ProcessGroups")

/**
 * Provides core's `Processes` and this service. Output that is not read slows its process. When a command exits with a
 * code other than 0, the spawner of Node sends TERM to the rest of its group. **Interruption** of a start ends the
 * process. Closing the layer ends every process with 500 ms of grace, waits for at most 2 s, and logs the processes that
 * have not ended. After that no process starts. Building the layer ends, in the background, the processes that killed
 * hosts have left (contract X3).
 */
export const layer: Layer.Layer<
  ProcessGroups | Processes,
  never,
  ChildProcessSpawner | FileSystem.FileSystem | Signals
> = Layer.effectContext(
  Effect.gen(function* () {
    const host = yield* makeHost
    yield* Effect.addFinalizer(() => close(host))
    yield* FiberSet.run(host.fibers, endLeft(host))
    return Context.empty().pipe(
      Context.add(Processes, {
        start: (spec) => start(host, spec),
        end: (processId, grace) => end(host, processId, grace)
      }),
      Context.add(ProcessGroups, {
        isAlive: (processId) => {
          const wanted = {
            groupId: undefined,
            sessionId: undefined,
            startTicks: undefined,
            marker: processId,
            claims: () => false
          }
          return Effect.map(host.table.finder()(wanted, nothing), isAlive)
        },
        killTargets: () => killTargets(host)
      })
    )
  })
)

/** A process with everything that it started, from its start until none of them lives. */
interface Group {
  readonly processId: ProcessId
  /** The id of the group while it may have a living member. Later, another group may get the number. */
  groupId: number | undefined
  /** None for a process of an earlier host. */
  readonly spawned: Spawned | undefined
  /** Holds the spawner's handle. It is closed when no process lives, so that closing it neither signals nor waits. */
  readonly scope: Scope.Closeable
  readonly exit: Deferred.Deferred<ProcessExit>
  readonly gone: Deferred.Deferred<void>
  /** The time to kill it, in milliseconds of the monotonic clock; undefined until its end is requested. */
  killAt: number | undefined
  /** The time of its start, or of the host that started it, in ticks since the boot of the host. */
  readonly startTicks: number | undefined
  /** The session that its first process leads. */
  readonly sessionId: number | undefined
  readonly control: ControlGroups.ControlGroup | undefined
  readonly find: ProcessTable.Find
  /** The processes outside its group that were found last. */
  others: ReadonlySet<number>
}

interface Host extends Spawn.Platform {
  readonly signals: Signals
  readonly table: ProcessTable.ProcessTable
  readonly openControl: ControlGroups.Open
  /** Returns the environment that commands inherit. */
  readonly environment: () => { readonly [name: string]: string }
  readonly groups: Map<ProcessId, Group>
  readonly fibers: FiberSet.FiberSet
  readonly left: LeftProcesses.LeftProcesses
  /** Done when the processes that killed hosts have left are found. */
  readonly hasFoundLeft: Deferred.Deferred<void>
  isClosed: boolean
}

const makeHost = Effect.gen(function* () {
  const signals = yield* Signals
  const fileSystem = yield* FileSystem.FileSystem
  const policy = yield* CommandEnvironment.CommandEnvironment
  const variables = yield* CommandEnvironment.HostVariables
  const host: Host = {
    spawner: yield* ChildProcessSpawner,
    signals,
    table: yield* ProcessTable.make(fileSystem, signals),
    openControl: yield* ControlGroups.make(fileSystem),
    terminals: yield* Effect.cached(Terminal.load),
    fileSystem,
    environment: () => CommandEnvironment.select(variables(), policy),
    groups: new Map(),
    fibers: yield* FiberSet.make(),
    left: yield* LeftProcesses.make(fileSystem),
    hasFoundLeft: yield* Deferred.make<void>(),
    isClosed: false
  }
  return host
})

type NewGroup = Pick<Group, "processId" | "scope" | "spawned" | "startTicks" | "control" | "find">

const makeGroup = (group: NewGroup): Group => ({
  ...group,
  groupId: group.spawned?.pid,
  sessionId: group.spawned?.pid,
  exit: Deferred.makeUnsafe(),
  gone: Deferred.makeUnsafe(),
  killAt: undefined,
  others: new Set()
})

const start = (host: Host, spec: ProcessSpec): Effect.Effect<Process, ProcessFailed> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      if (spec.command.length === 0) return yield* Spawn.failureOf(spec, "there is no command")
      if (host.isClosed) return yield* Spawn.failureOf(spec, "this host is closing")
      const scope = yield* Scope.make()
      const startTicks = yield* host.table.now
      const env = { ...host.environment(), ...spec.env, ...marksOf(host, spec.processId) }
      const canEnter = yield* Spawn.hasProgram(host, spec, env)
      const control = canEnter ? yield* host.openControl(spec.processId, false) : undefined
      const spawned = yield* Spawn.spawn(host, spec, { env, control, hasProgram: canEnter }).pipe(
        Scope.provide(scope),
        Effect.onError(() => Effect.andThen(control?.remove ?? Effect.void, Scope.close(scope, Exit.void)))
      )
      const group = makeGroup({
        processId: spec.processId,
        scope,
        spawned,
        startTicks,
        control,
        find: host.table.finder()
      })
      host.groups.set(spec.processId, group)
      const pipe = yield* OutputPipe.make(spawned.output)
      yield* FiberSet.run(host.fibers, pipe.pump)
      yield* FiberSet.run(host.fibers, watch(host, group, { spawned, pipe }))
      if (host.isClosed) yield* beginEnd(host, group, unattendedGraceMillis)
      // a caller that was interrupted meanwhile does not get this process
      yield* Effect.onInterrupt(restore(Effect.void), () => beginEnd(host, group, unattendedGraceMillis))
      return {
        processId: spec.processId,
        pid: spawned.pid,
        ...(spawned.input === undefined ? {} : { input: spawned.input }),
        output: pipe.output,
        exit: Deferred.await(group.exit),
        gone: Deferred.await(group.gone)
      }
    })
  )

const killTargets = ({ groups, left }: Host): KillTargets => {
  const all = Array.from(groups.values())
  return {
    targets: all.flatMap(({ groupId, others }) => [...(groupId === undefined ? [] : [-groupId]), ...others]),
    controlFiles: all.flatMap(({ control }) => (control === undefined ? [] : [control.killFile])),
    isMarked: left.mark === undefined ? undefined : Marks.carries(Marks.hostName, left.mark)
  }
}

const marksOf = ({ left: { mark, outer } }: Host, processId: ProcessId): Spawn.Environment => ({
  [Marks.markerName]: processId,
  ...(mark === undefined ? {} : { [Marks.hostName]: mark }),
  ...(outer === undefined ? {} : { [Marks.outerName]: outer })
})

/** Publishes the exit of a process and the end of its output, and then waits until its last descendant has ended. */
const watch = Effect.fnUntraced(function* (
  host: Host,
  group: Group,
  from: { readonly spawned: Spawned; readonly pipe: OutputPipe.OutputPipe }
) {
  const exit = yield* from.spawned.exit
  Deferred.doneUnsafe(group.exit, Effect.succeed(exit))
  yield* FiberSet.run(host.fibers, from.pipe.ended)
  // rarely, because descendants may live for days; `end` looks itself
  for (let delay = 100; !(yield* hasGone(host, group)); delay = Math.min(delay * 2, 10_000)) {
    yield* Effect.timeoutOption(Deferred.await(group.gone), delay)
  }
})

/** The longest that a look may take on a host where processes end all the time. */
const calmMillis = 200

/**
 * Returns true if nothing of a group lives. Looks at least twice, and again while processes end that could not be
 * read: one that forks and exits hides its child from a look, unless it is in a control group.
 */
const hasGone = Effect.fnUntraced(function* (host: Host, group: Group) {
  const limit = (yield* now) + calmMillis
  for (let calm = 0; ;) {
    const found = yield* look(host, group)
    if (isAlive(found)) return false
    const isHiding = found.hasVanished && group.control === undefined
    const isCalm = !isHiding || (yield* now) > limit
    calm = isCalm ? calm + 1 : 0
    // the group has a member, which no look meets, or a zombie
    if (calm >= 2 && isHiding && group.groupId !== undefined && group.killAt === undefined) return false
    if (calm >= 2 && found.isSure) break
    if (isCalm) yield* Effect.sleep(5)
  }
  // its end was requested, and a member that no look has met may be left
  if (group.groupId !== undefined && group.killAt !== undefined) {
    yield* host.signals.send(-group.groupId, "SIGKILL")
  }
  // a program that ends before it has waited for its child leaves a zombie
  yield* Effect.timeoutOption(Deferred.await(group.exit), calmMillis)
  yield* forget(host, group)
  return true
})

const nothing = () => Effect.void

/** Finds the living processes of a group; `act` runs for each as soon as it is found. */
const look = Effect.fnUntraced(function* (host: Host, group: Group, act: ProcessTable.Act = nothing) {
  const { groupId, processId, sessionId, startTicks } = group
  const claims = (startTicks: number) => claimantOf(host, startTicks) === group
  const inControl = group.control === undefined ? [] : yield* group.control.members
  // for a program that has no time to wait for the end of this look
  const known = new Set([...group.others, ...inControl])
  group.others = known
  const found = yield* group.find({ groupId, sessionId, startTicks, marker: processId, claims }, (pid, groupId) => {
    known.add(pid)
    return act(pid, groupId)
  })
  // from now on another group may get the number; until then a member that starts others all the time may be missed
  const isEmpty = !found.inGroup && Deferred.isDoneUnsafe(group.exit) && !(yield* mayHaveMembers(host, group))
  if (isEmpty || found.isGroupReused) group.groupId = undefined
  group.others = new Set([...found.others, ...inControl.filter((pid) => !found.members.includes(pid))])
  return { ...found, others: Array.from(group.others) }
})

/** The process that a daemon without a visible origin is attributed to: the last one that started before it. */
const claimantOf = (host: Host, startTicks: number): Group | undefined => {
  let claimant: Group | undefined
  for (const group of host.groups.values()) {
    // a control group knows its daemons, and the start of an adopted group is not known
    if (group.spawned === undefined || group.control !== undefined) continue
    if (group.startTicks === undefined || group.startTicks > startTicks) continue
    if (claimant === undefined || group.startTicks >= claimant.startTicks!) claimant = group
  }
  return claimant
}

/** Returns true if the kernel knows a member of the group, which may be a zombie. */
const mayHaveMembers = (host: Host, { groupId }: Group): Effect.Effect<boolean> =>
  groupId === undefined ? Effect.succeed(false) : host.signals.send(-groupId, 0)

const isAlive = (found: ProcessTable.Found): boolean => found.inGroup || found.others.length > 0

/** The most attempts to remove an empty control group, until no zombie is in it. */
const removeCount = 20

const forget = Effect.fnUntraced(function* (host: Host, group: Group) {
  const isRemoved = group.control === undefined || (yield* group.control.remove)
  if (!Deferred.doneUnsafe(group.gone, Effect.void)) return
  if (host.groups.get(group.processId) === group) host.groups.delete(group.processId)
  yield* FiberSet.run(host.fibers, release(group, isRemoved))
})

/** Releases the resources of a group. After unref, closing the scope neither signals nor waits for zombies that nothing reaps. */
const release = Effect.fnUntraced(function* (group: Group, isRemoved: boolean) {
  if (group.spawned !== undefined) yield* group.spawned.unref
  yield* Scope.close(group.scope, Exit.void)
  for (let count = 0; group.control !== undefined && !isRemoved && count < removeCount; count++) {
    yield* Effect.sleep(100)
    if (yield* group.control.remove) return
  }
})

const end = Effect.fnUntraced(function* (host: Host, processId: ProcessId, grace: number) {
  if (host.isClosed && !host.groups.has(processId)) return
  const group = host.groups.get(processId) ?? (yield* adopt(host, processId))
  yield* Effect.uninterruptible(beginEnd(host, group, grace))
  yield* Deferred.await(group.gone)
})

/**
 * Makes the group of a process of an earlier host, of which only the marker and perhaps the start of that host are known
 * (contract X3).
 */
const adopt = Effect.fnUntraced(function* (host: Host, processId: ProcessId, startTicks?: number) {
  const control = yield* host.openControl(processId, true)
  const scope = yield* Scope.make()
  const group = makeGroup({
    processId,
    scope,
    spawned: undefined,
    startTicks,
    control,
    find: host.table.finder()
  })
  Deferred.doneUnsafe(group.exit, Effect.succeed({ exitCode: null }))
  host.groups.set(processId, group)
  return group
})

/** Starts to end the processes that killed hosts have left. */
const endLeft = Effect.fnUntraced(function* (host: Host) {
  for (const [processId, startTicks] of yield* host.left.find) {
    yield* Effect.logDebug(`ending process ${processId}, which a program that was killed has left`)
    const group = host.groups.get(processId) ?? (yield* adopt(host, processId, startTicks))
    yield* beginEnd(host, group, unattendedGraceMillis)
  }
  Deferred.doneUnsafe(host.hasFoundLeft, Effect.void)
})

// a clock that is set back must not put the kill off
const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)

/** Starts to end a group, or shortens the grace of an end that has started. */
const beginEnd = Effect.fnUntraced(function* (host: Host, group: Group, graceMillis: number) {
  const killAt = (yield* now) + graceMillis
  const hasBegun = group.killAt !== undefined
  group.killAt = Math.min(group.killAt ?? killAt, killAt)
  if (!hasBegun) yield* FiberSet.run(host.fibers, endGroup(host, group))
})

/** Asks every process once, including those that appear later, and kills after the grace until none is left. */
const endGroup = Effect.fnUntraced(function* (host: Host, group: Group) {
  const asked = new Set<number>()
  const ask = (pid: number) =>
    asked.has(pid)
      ? Effect.void
      : Effect.andThen(
          Effect.sync(() => asked.add(pid)),
          host.signals.send(pid, "SIGTERM")
        )
  for (let delay = 5; ; delay = Math.min(delay * 2, 50)) {
    const left = group.killAt! - (yield* now)
    const found = yield* left > 0 ? look(host, group) : kill(host, group)
    if (!isAlive(found)) {
      if (yield* hasGone(host, group)) return
      continue
    }
    if (left > 0) {
      // one by one where they can be seen: a process may leave the group before the group is signalled
      if (group.groupId !== undefined && found.inGroup && found.members.length === 0) yield* ask(-group.groupId)
      yield* Effect.forEach([...found.members, ...found.others], ask, { discard: true })
    }
    yield* Effect.sleep(left > 0 ? Math.min(delay, left) : delay)
  }
})

/** The longest time that processes are frozen, until no new one appears. */
const freezeMillis = 300

/**
 * Kills the living processes. It first freezes all of them, again and again until a look finds no new one: a process that starts
 * others all the time would otherwise be one step ahead of each look. It signals their groups too, in which the kernel
 * also reaches a process that is being started.
 */
const kill = Effect.fnUntraced(function* (host: Host, group: Group) {
  if (group.control !== undefined) yield* group.control.kill
  const limit = (yield* now) + freezeMillis
  const frozen = new Set<number>()
  const freeze = Effect.fnUntraced(function* (pid: number, groupId?: number) {
    for (const target of groupId === undefined ? [pid] : [pid, -groupId]) {
      if (frozen.has(target)) continue
      frozen.add(target)
      yield* host.signals.send(target, "SIGSTOP")
    }
  })
  const freezeAll = Effect.gen(function* () {
    let found = yield* look(host, group, freeze)
    const isHiding = () => group.control === undefined && found.hasVanished
    for (let known = 0; (frozen.size > known || isHiding()) && (yield* now) < limit;) {
      known = frozen.size
      found = yield* look(host, group, freeze)
    }
    return found
  })
  const send = (targets: Iterable<number>) =>
    Effect.forEach(targets, (target) => host.signals.send(target, "SIGKILL"), { discard: true })
  // a layer that is closed interrupts this, and nothing would ever wake what is frozen
  const found = yield* Effect.ensuring(
    freezeAll,
    Effect.suspend(() => send(frozen))
  )
  if (group.groupId !== undefined) yield* send([-group.groupId])
  yield* send(new Set([...found.members, ...found.others]))
  return found
})

const close = Effect.fnUntraced(function* (host: Host) {
  // a program that ends soon after its start ends them too
  yield* Effect.timeoutOption(Effect.interruptible(Deferred.await(host.hasFoundLeft)), closeLimitMillis)
  host.isClosed = true
  const groups = Array.from(host.groups.values())
  yield* Effect.forEach(groups, (group) => beginEnd(host, group, unattendedGraceMillis), { discard: true })
  yield* Effect.forEach(groups, (group) => Deferred.await(group.gone), { concurrency: "unbounded" }).pipe(
    Effect.interruptible,
    Effect.timeoutOption(closeLimitMillis)
  )
  const left = groups.filter((group) => !Deferred.isDoneUnsafe(group.gone))
  if (left.length > 0) yield* Effect.logWarning(`processes did not end: ${left.map((group) => group.processId)}`)
  // nothing looks for them after this: release the callers that wait for their end
  for (const group of left) Deferred.doneUnsafe(group.gone, Effect.void)
  host.groups.clear()
})

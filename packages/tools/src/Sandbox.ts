/**
 * Confines the commands of an agent, with bubblewrap on Linux and `sandbox-exec` on macOS.
 *
 * The layer wraps core's `Processes`: a process that is started under a policy other than full access (see
 * `SandboxPolicy.confine`) runs in a sandbox, or does not start. On Linux it has its own pid namespace, so that
 * everything it started is gone with it, whatever group, session and environment it has (contract X1).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { ProcessId } from "@spindle/core/Ids"
import { type Process, type ProcessExit, Processes, ProcessFailed, type ProcessSpec } from "@spindle/core/Processes"
import * as Bubblewrap from "./internal/sandbox/bubblewrap.ts"
import * as Mounts from "./internal/sandbox/mounts.ts"
import * as Placeholders from "./internal/sandbox/placeholders.ts"
import * as Probe from "./internal/sandbox/probe.ts"
import * as ProcessLimit from "./internal/sandbox/processLimit.ts"
import * as Seatbelt from "./internal/sandbox/seatbelt.ts"
import * as Seccomp from "./internal/sandbox/seccomp.ts"
import type { Denial } from "./sandbox/NetworkPolicy.ts"
import * as NetworkProxy from "./sandbox/NetworkProxy.ts"
import * as SandboxPolicy from "./SandboxPolicy.ts"

/**
 * This host cannot confine commands. `NoProgram`: the program that does it is missing. `Refused`: the host refuses
 * namespaces. `NotSupported`: there is no sandbox for this system or processor. `repair` is the command that helps.
 */
export class SandboxUnavailable extends Schema.TaggedError<SandboxUnavailable>()("SandboxUnavailable", {
  reason: Schema.Literals(["NoProgram", "Refused", "NotSupported"]),
  detail: Schema.String,
  repair: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const { detail, repair } = this
    return `commands cannot be sandboxed: ${detail}${repair === undefined ? "" : `; to repair it: ${repair}`}`
  }
}

/** The sandbox of this host. */
export interface Sandbox {
  /** Looks once whether commands can be confined here. **Errors**: `SandboxUnavailable`, which says what is missing. */
  readonly available: Effect.Effect<void, SandboxUnavailable>
  /** Returns true once `available` has found that commands can be confined here. */
  readonly isAvailable: () => boolean
  /** Returns the hosts that a command did not reach since the last call, because the list of its policy denies them. */
  readonly takeDenials: (processId: ProcessId) => ReadonlyArray<Denial>
}

/** The service key of {@link Sandbox}. */
export const Sandbox: Context.Service<Sandbox, Sandbox> = Context.Service("@spindle/tools/Sandbox")

/** The host, in the words of Node: `process.platform` and `process.arch`. */
export interface Options {
  readonly platform: string
  readonly architecture: string
  /** The possible places of `bwrap`, as absolute paths. The default is the directories of the system. */
  readonly programs?: ReadonlyArray<string> | undefined
  /** Makes the proxies of commands whose policy lists hosts. Without it, such a command does not start. */
  readonly proxy?: NetworkProxy.NetworkProxy | undefined
}

/** The grace of a command that still runs when the layer closes. */
const closeGraceMillis = 500
/** The time that closing the layer waits for commands. */
const closeLimit = "2 seconds"

/**
 * Provides this service, and `Processes` that confine the processes that they start. A command that cannot be confined
 * fails with `ProcessFailed` and does not run. A confined command counts as gone once everything that was made for it
 * is removed, too. Closing the layer ends the confined commands.
 */
export const layer = (
  options: Options
): Layer.Layer<Sandbox | Processes, never, Processes | ChildProcessSpawner | FileSystem.FileSystem | Path.Path> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const host: Host = {
        processes: yield* Processes,
        confine: yield* makeConfine(options),
        fibers: yield* FiberSet.make(),
        cleaning: new Map(),
        denials: new Map()
      }
      yield* Effect.addFinalizer(() => close(host))
      let isAvailable = false
      return Context.empty().pipe(
        Context.add(Processes, {
          start: (spec) =>
            Effect.flatMap(SandboxPolicy.Current, (policy) =>
              policy._tag === "FullAccess" ? host.processes.start(spec) : start(host, policy, spec)
            ),
          end: (processId, grace) => end(host, processId, grace)
        }),
        Context.add(Sandbox, {
          available: Effect.map(host.confine.available, () => void (isAvailable = true)),
          isAvailable: () => isAvailable,
          takeDenials: (processId) => takeDenials(host, processId)
        })
      )
    })
  )

interface Host {
  /** Starts and ends processes without a sandbox. */
  readonly processes: Processes
  readonly confine: Confine
  readonly fibers: FiberSet.FiberSet
  /** For each confined command the fiber that waits for its end, and removes what was made for it. */
  readonly cleaning: Map<ProcessId, Fiber.Fiber<void>>
  /** The denials of the proxies of commands. A command that has ended is kept while something was not taken. */
  readonly denials: Map<ProcessId, { readonly all: () => ReadonlyArray<Denial>; taken: number; ended: boolean }>
}

const takeDenials = ({ denials }: Host, processId: ProcessId): ReadonlyArray<Denial> => {
  const found = denials.get(processId)
  if (found === undefined) return []
  const all = found.all()
  const untaken = all.slice(found.taken)
  found.taken = all.length
  if (found.ended) denials.delete(processId)
  return untaken
}

const endDenials = ({ denials }: Host, processId: ProcessId): void => {
  const found = denials.get(processId)
  if (found === undefined) return
  found.ended = true
  if (found.all().length === found.taken) denials.delete(processId)
}

const start = (host: Host, policy: Confining, spec: ProcessSpec): Effect.Effect<Process, ProcessFailed> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { processId } = spec
      const { command, denials, env, release } = yield* host.confine.prepare(policy, spec)
      const started = host.processes.start({ ...spec, command, env: { ...spec.env, ...env } })
      const process = yield* Effect.onError(restore(started), () =>
        // after an interruption it may run until it is ended
        FiberSet.run(host.fibers, Effect.andThen(host.processes.end(processId, closeGraceMillis), release))
      )
      if (denials !== undefined) host.denials.set(processId, { all: denials, taken: 0, ended: false })
      const clean = Effect.andThen(process.gone, release)
      const forget = Effect.sync(() => {
        host.cleaning.delete(processId)
        endDenials(host, processId)
      })
      const cleaning = yield* FiberSet.run(host.fibers, Effect.andThen(clean, forget))
      host.cleaning.set(processId, cleaning)
      return { ...process, gone: Effect.asVoid(Fiber.await(cleaning)) }
    })
  )

const end = Effect.fnUntraced(function* (host: Host, processId: ProcessId, grace: number) {
  const cleaning = host.cleaning.get(processId)
  yield* host.processes.end(processId, grace)
  if (cleaning !== undefined) yield* Fiber.await(cleaning)
})

const close = (host: Host): Effect.Effect<unknown> =>
  Effect.forEach(Array.from(host.cleaning.keys()), (processId) => end(host, processId, closeGraceMillis), {
    concurrency: "unbounded",
    discard: true
  }).pipe(Effect.interruptible, Effect.timeoutOption(closeLimit))

type Confining = Exclude<SandboxPolicy.SandboxPolicy, { readonly _tag: "FullAccess" }>

/** A command that is ready to run confined. */
interface Prepared {
  readonly command: ReadonlyArray<string>
  /** Variables in addition to those of the command. */
  readonly env: { readonly [name: string]: string }
  /** Returns the denials of its proxy; undefined without one. */
  readonly denials: (() => ReadonlyArray<Denial>) | undefined
  /** Removes everything that was made for the command. Run it after the end of the command. */
  readonly release: Effect.Effect<void>
}

interface Confine {
  readonly available: Effect.Effect<unknown, SandboxUnavailable>
  readonly prepare: (policy: Confining, spec: ProcessSpec) => Effect.Effect<Prepared, ProcessFailed>
}

type Services = ChildProcessSpawner | FileSystem.FileSystem | Path.Path

const makeConfine = (options: Options): Effect.Effect<Confine, never, Services> => {
  const { architecture, platform } = options
  if (platform === "darwin") return onMac(options)
  if (platform === "linux" && Seccomp.supports(architecture)) return onLinux(options, Seccomp.filter(architecture))
  const detail = `there is no sandbox for ${platform} on ${architecture}`
  const unavailable = Effect.fail(new SandboxUnavailable({ reason: "NotSupported", detail }))
  return Effect.succeed({
    available: unavailable,
    prepare: (_, spec) => Effect.mapError(unavailable, (error) => failureOf(spec, error.message))
  })
}

const failureOf = ({ command, cwd }: ProcessSpec, detail: string): ProcessFailed =>
  new ProcessFailed({ command, cwd, detail })

/** The proxy of a command, with the effect that closes it. */
interface Proxied {
  readonly endpoint: NetworkProxy.Endpoint
  /** The way in which a command with its own network namespace reaches it. */
  readonly network: Bubblewrap.Proxied
  readonly close: Effect.Effect<void>
}

/** Opens the proxy of a command whose policy lists hosts; undefined for another command. */
const openProxy = Effect.fnUntraced(function* (
  { at, proxy }: { readonly proxy: Options["proxy"]; readonly at: NetworkProxy.Place["_tag"] },
  { network }: Confining,
  spec: ProcessSpec
) {
  if (typeof network === "boolean") return undefined
  if (proxy === undefined)
    return yield* failureOf(spec, "there is no network proxy for the hosts of its sandbox policy")
  const scope = yield* Scope.make()
  const endpoint = yield* proxy.open(network, at).pipe(
    Scope.provide(scope),
    Effect.mapError(({ message }) => failureOf(spec, message)),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
  const { node } = proxy
  const socket = endpoint.place._tag === "Socket" ? endpoint.place.path : ""
  const opened: Proxied = {
    endpoint,
    network: { node, socket, port: NetworkProxy.port },
    close: Scope.close(scope, Exit.void)
  }
  return opened
})

/** Returns the variables that name the proxy of a command. */
const variablesOf = ({ network }: Confining, port: number) =>
  typeof network === "boolean" ? {} : NetworkProxy.variablesOf(port, network)

/** A host with `bwrap`. */
interface Linux {
  readonly services: Context.Context<Services>
  readonly placeholders: Placeholders.Placeholders
  readonly filter: Uint8Array
  readonly processLimit: ProcessLimit.ProcessLimit
  readonly proxy: Options["proxy"]
  readonly support: Effect.Effect<Bubblewrap.Support, SandboxUnavailable>
  /** The reason why no command can have a proxy; undefined if one can. */
  readonly proxyRefusal: Effect.Effect<string | undefined, SandboxUnavailable>
}

const onLinux = (
  { programs = Probe.programs, proxy }: Options,
  filter: Uint8Array
): Effect.Effect<Confine, never, Services> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<Services>()
    const placeholders = yield* Placeholders.make
    const support = yield* Effect.cached(
      Probe.probe(programs, filter).pipe(
        Effect.mapError(
          ({ detail, reason, repair }) =>
            new SandboxUnavailable({ reason, detail, ...(repair === undefined ? {} : { repair }) })
        ),
        Effect.provideContext(services)
      )
    )
    const proxyRefusal = yield* Effect.cached(
      Effect.flatMap(support, (found) => Probe.refusalOfProxy(found, filter, proxy?.node ?? "")).pipe(
        Effect.provideContext(services)
      )
    )
    const processLimit = yield* ProcessLimit.make
    const linux: Linux = { services, placeholders, filter, processLimit, proxy, support, proxyRefusal }
    return { available: support, prepare: (policy, spec) => prepareOnLinux(linux, policy, spec) }
  })

const prepareOnLinux = Effect.fnUntraced(function* (linux: Linux, policy: Confining, spec: ProcessSpec) {
  const opened = yield* openProxy({ proxy: linux.proxy, at: "Socket" }, policy, spec)
  const confined = confineOnLinux(linux, { policy, network: opened?.network ?? policy.network === true }, spec)
  const { command, release } = yield* Effect.onError(confined, () => opened?.close ?? Effect.void)
  const prepared: Prepared = {
    command,
    env: variablesOf(policy, NetworkProxy.port),
    denials: opened?.endpoint.denials,
    release: Effect.andThen(release, opened?.close ?? Effect.void)
  }
  return prepared
})

const confineOnLinux = Effect.fnUntraced(function* (
  { filter, placeholders, processLimit, proxy, proxyRefusal, services, support }: Linux,
  { network, policy }: { readonly policy: Confining; readonly network: Bubblewrap.Confined["network"] },
  spec: ProcessSpec
) {
  const { command, cwd, processId } = spec
  const toFailed = (error: SandboxUnavailable) => failureOf(spec, error.message)
  const found = yield* Effect.mapError(support, toFailed)
  const refusal = typeof network === "boolean" ? undefined : yield* Effect.mapError(proxyRefusal, toFailed)
  if (refusal !== undefined) return yield* failureOf(spec, `this host allows no network proxy: ${refusal}`)
  const { made, mounts } =
    policy._tag === "ReadOnly"
      ? { mounts: [], made: [] }
      : yield* Mounts.make(withProtected(policy, proxy), { placeholders, name: processId }).pipe(
          Effect.mapError(({ path }) => failureOf(spec, `${path} is a symbolic link, which a sandbox cannot protect`)),
          Effect.provideContext(services)
        )
  const { processes } = policy
  const limited = processes === undefined ? undefined : yield* processLimit.acquire(processId, processes)
  const confined: Bubblewrap.Confined = { support: found, mounts, network, processes, cwd, command }
  const lines = { first: limited?.line ?? ":", last: placeholders.releaseLine(made) }
  return {
    command: Bubblewrap.wrap(confined, filter, lines),
    release: Effect.andThen(placeholders.release(made), limited?.release ?? Effect.void)
  }
})

/** Protects the sockets and Node, which the proxy needs: a command that replaced one could lead a later command out. */
const withProtected = (
  policy: typeof SandboxPolicy.WorkspaceWrite.Type,
  proxy: Options["proxy"]
): typeof SandboxPolicy.WorkspaceWrite.Type =>
  proxy === undefined
    ? policy
    : { ...policy, protectedPaths: [...policy.protectedPaths, ...proxy.protectedPaths, proxy.node] }

/**
 * Confines commands on macOS. Without a pid namespace, a daemon that leaves group, session and environment survives.
 */
const onMac = ({ proxy }: Options): Effect.Effect<Confine, never, Services> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const realPathOf = (path: string) => Effect.orElseSucceed(fileSystem.realPath(path), () => path)
    const available = yield* Effect.cached(
      Effect.mapError(
        fileSystem.access(Seatbelt.program),
        () => new SandboxUnavailable({ reason: "NoProgram", detail: `${Seatbelt.program} is missing` })
      )
    )
    const prepare: Confine["prepare"] = Effect.fnUntraced(function* (policy, spec) {
      yield* Effect.mapError(available, (error) => failureOf(spec, error.message))
      const resolved =
        policy._tag === "ReadOnly"
          ? policy
          : {
              ...policy,
              roots: yield* Effect.forEach(policy.roots, realPathOf),
              scratch: yield* Effect.forEach(policy.scratch, realPathOf),
              protectedPaths: yield* Effect.forEach(policy.protectedPaths, realPathOf)
            }
      const opened = yield* openProxy({ proxy, at: "Port" }, policy, spec)
      const place = opened?.endpoint.place
      const port = place?._tag === "Port" ? place.port : undefined
      return {
        command: Seatbelt.wrap(resolved, spec.command, port),
        env: port === undefined ? {} : variablesOf(policy, port),
        denials: opened?.endpoint.denials,
        release: opened?.close ?? Effect.void
      }
    })
    return { available, prepare }
  })

/** Texts that programs print when the kernel or the file system refuses something that a sandbox restricts. */
const refusals: ReadonlyArray<RegExp> = [
  /read-only file system|\bEROFS\b/i,
  /operation not permitted|\bEPERM\b/i,
  /permission denied|\bEACCES\b/i,
  /network is unreachable|\bENETUNREACH\b/i,
  /(could not|can't|cannot) resolve|temporary failure in name resolution|\bEAI_AGAIN\b/i,
  /invalid cross-device link|\bEXDEV\b/i
]

/** The signal of a system call that no filter knows. */
const badSystemCall = 31

/**
 * True if a command that ran in a sandbox is likely to have failed because of it, so that it may be worth running it
 * without. This is a guess from its exit and the end of its output, because programs cannot report it in another way.
 */
export const isLikelyDenied = ({ exitCode, signal }: ProcessExit, output: string): boolean => {
  if (signal === "SIGSYS" || exitCode === 128 + badSystemCall) return true
  return exitCode !== null && exitCode !== 0 && refusals.some((one) => one.test(output))
}

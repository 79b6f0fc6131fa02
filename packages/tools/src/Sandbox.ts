/**
 * Confines the commands of an agent, with bubblewrap on Linux and `sandbox-exec` on macOS.
 *
 * The layer wraps core's `Processes`: a process that is started under a policy other than full access (see
 * `SandboxPolicy.within`) runs in a sandbox, or does not start. On Linux it has its own pid namespace, so that everything
 * it started is gone with it, whatever group, session and environment it has (contract X1).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { ProcessId } from "@spindle/core/Ids"
import { type Process, type ProcessExit, Processes, ProcessFailed, type ProcessSpec } from "@spindle/core/Processes"
import * as Bubblewrap from "./internal/sandbox/bubblewrap.ts"
import * as Mounts from "./internal/sandbox/mounts.ts"
import * as Placeholders from "./internal/sandbox/placeholders.ts"
import * as Probe from "./internal/sandbox/probe.ts"
import * as Seatbelt from "./internal/sandbox/seatbelt.ts"
import * as Seccomp from "./internal/sandbox/seccomp.ts"
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
}

/** The service key of {@link Sandbox}. */
export const Sandbox: Context.Service<Sandbox, Sandbox> = Context.Service("@spindle/tools/Sandbox")

/** The host, in the words of Node: `process.platform` and `process.arch`. */
export interface Options {
  readonly platform: string
  readonly architecture: string
  /** Where `bwrap` may be, as absolute paths. The default is the directories of the system. */
  readonly programs?: ReadonlyArray<string> | undefined
}

/** The grace of a command that still runs when the layer closes. */
const closeGraceMillis = 500
/** How long closing the layer waits for commands. */
const closeLimit = "2 seconds"

/**
 * Provides this service, and `Processes` that confine what they start. A command that cannot be confined fails with
 * `ProcessFailed` and does not run. A confined command is gone when what was made for it is removed, too. Closing the layer
 * ends the confined commands.
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
        cleaning: new Map()
      }
      yield* Effect.addFinalizer(() => close(host))
      return Context.empty().pipe(
        Context.add(Processes, {
          start: (spec) =>
            Effect.flatMap(SandboxPolicy.Current, (policy) =>
              policy._tag === "FullAccess" ? host.processes.start(spec) : start(host, policy, spec)
            ),
          end: (processId, grace) => end(host, processId, grace)
        }),
        Context.add(Sandbox, { available: Effect.asVoid(host.confine.available) })
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
}

const start = (host: Host, policy: Confining, spec: ProcessSpec): Effect.Effect<Process, ProcessFailed> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { processId } = spec
      const { command, release } = yield* host.confine.prepare(policy, spec)
      const process = yield* Effect.onError(restore(host.processes.start({ ...spec, command })), () =>
        // after an interruption it may run until it is ended
        FiberSet.run(host.fibers, Effect.andThen(host.processes.end(processId, closeGraceMillis), release))
      )
      const clean = Effect.andThen(process.gone, release)
      const forget = Effect.sync(() => void host.cleaning.delete(processId))
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

/** How a command is confined. */
interface Prepared {
  readonly command: ReadonlyArray<string>
  /** Removes what was made for the command; after its end. */
  readonly release: Effect.Effect<void>
}

interface Confine {
  readonly available: Effect.Effect<unknown, SandboxUnavailable>
  readonly prepare: (policy: Confining, spec: ProcessSpec) => Effect.Effect<Prepared, ProcessFailed>
}

type Services = ChildProcessSpawner | FileSystem.FileSystem | Path.Path

const makeConfine = (options: Options): Effect.Effect<Confine, never, Services> => {
  const { architecture, platform } = options
  if (platform === "darwin") return onMac
  if (platform === "linux" && Seccomp.supports(architecture)) return onLinux(options, Seccomp.filter(architecture))
  const detail = `there is no sandbox for ${platform} on ${architecture}`
  const unavailable = Effect.fail(new SandboxUnavailable({ reason: "NotSupported", detail }))
  return Effect.succeed({
    available: unavailable,
    prepare: (_, spec) => Effect.mapError(unavailable, (error) => failed(spec, error.message))
  })
}

const failed = ({ command, cwd }: ProcessSpec, detail: string): ProcessFailed =>
  new ProcessFailed({ command, cwd, detail })

const onLinux = ({ programs = Probe.programs }: Options, filter: Uint8Array): Effect.Effect<Confine, never, Services> =>
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
    const prepare: Confine["prepare"] = Effect.fnUntraced(function* (policy, spec) {
      const found = yield* Effect.mapError(support, (error) => failed(spec, error.message))
      const holder = { placeholders, name: spec.processId }
      const mounts =
        policy._tag === "ReadOnly"
          ? { mounts: [], made: [] }
          : yield* Mounts.make(policy, holder).pipe(
              Effect.mapError(({ path }) => failed(spec, `${path} is a symbolic link, which a sandbox cannot protect`)),
              Effect.provideContext(services)
            )
      const { command, cwd } = spec
      const confined = { support: found, mounts: mounts.mounts, network: policy.network, cwd, command }
      return {
        command: Bubblewrap.wrap(confined, filter, placeholders.releaseLine(mounts.made)),
        release: placeholders.release(mounts.made)
      }
    })
    return { available: support, prepare }
  })

/** Has no pid namespace: a daemon that leaves group, session and environment survives its command. */
const onMac: Effect.Effect<Confine, never, Services> = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const real = (path: string) => Effect.orElseSucceed(fileSystem.realPath(path), () => path)
  const available = yield* Effect.cached(
    Effect.mapError(
      fileSystem.access(Seatbelt.program),
      () => new SandboxUnavailable({ reason: "NoProgram", detail: `${Seatbelt.program} is missing` })
    )
  )
  const prepare: Confine["prepare"] = Effect.fnUntraced(function* (policy, spec) {
    yield* Effect.mapError(available, (error) => failed(spec, error.message))
    const resolved =
      policy._tag === "ReadOnly"
        ? policy
        : {
            ...policy,
            roots: yield* Effect.forEach(policy.roots, real),
            scratch: yield* Effect.forEach(policy.scratch, real),
            protectedPaths: yield* Effect.forEach(policy.protectedPaths, real)
          }
    return { command: Seatbelt.wrap(resolved, spec.command), release: Effect.void }
  })
  return { available, prepare }
})

/** What programs print when the kernel or the file system refuses something that a sandbox restricts. */
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
 * Whether a command that ran in a sandbox is likely to have failed because of it, so that it may be worth running it
 * without. A guess from its exit and the end of its output: programs have no other way to say it.
 */
export const deniedBySandbox = ({ exitCode, signal }: ProcessExit, output: string): boolean => {
  if (signal === "SIGSYS" || exitCode === 128 + badSystemCall) return true
  return exitCode !== null && exitCode !== 0 && refusals.some((one) => one.test(output))
}

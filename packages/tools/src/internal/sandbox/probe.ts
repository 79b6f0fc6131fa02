/** Finds out whether and how this host can confine commands with `bwrap`. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as NetworkProxy from "../../sandbox/NetworkProxy.ts"
import * as Spawn from "../spawn.ts"
import * as Bubblewrap from "./bubblewrap.ts"

/**
 * The places at which `bwrap` is looked for. The path of the environment may name directories that a command can write.
 */
export const programs = ["/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap", "/run/current-system/sw/bin/bwrap"]

/** A missing part, and the command that repairs it if one is known. */
export interface Missing {
  readonly reason: "NoProgram" | "Refused"
  readonly detail: string
  readonly repair: string | undefined
}

/**
 * Tries the ways in which `bwrap` can be started, the strictest first, and returns the first that works. One that does
 * not end in time ends the search: otherwise a machine that is busy for a moment would get a weaker way.
 */
export const probe = Effect.fnUntraced(function* (candidates: ReadonlyArray<string>, filter: Uint8Array) {
  const fileSystem = yield* FileSystem.FileSystem
  const isProgram = (path: string) => Effect.isSuccess(fileSystem.access(path))
  const program = yield* Effect.findFirst(candidates, isProgram)
  if (program._tag === "None") return yield* Effect.fail(yield* noProgram)
  let first: string | undefined
  for (const ways of [
    { userNamespace: true, disablesUserNamespaces: true, ownProc: true },
    { userNamespace: true, disablesUserNamespaces: false, ownProc: true },
    { userNamespace: false, disablesUserNamespaces: false, ownProc: true },
    { userNamespace: true, disablesUserNamespaces: true, ownProc: false },
    { userNamespace: true, disablesUserNamespaces: false, ownProc: false },
    { userNamespace: false, disablesUserNamespaces: false, ownProc: false }
  ]) {
    const support: Bubblewrap.Support = { program: program.value, ...ways }
    const failure = yield* attempt(support, filter)
    if (failure === undefined) return support
    if (failure === isLate) return yield* Effect.fail(yield* explainRefusal(failure))
    first ??= failure
  }
  return yield* Effect.fail(yield* explainRefusal(first!))
})

/**
 * Tries whether one sandbox can be in another, which a command with a network proxy needs. Returns the reason why not;
 * undefined if it can.
 */
export const refusalOfProxy = (support: Bubblewrap.Support, filter: Uint8Array, node: string) =>
  attempt(support, filter, { node, socket: "", port: NetworkProxy.port })

/** The time that a way may take. A host that takes longer has no sandbox. */
const limit = "10 seconds"
const isLate = `bwrap did not end within ${limit}`

/** Runs `true` in a sandbox. Returns its output if it fails. */
const attempt = Effect.fnUntraced(function* (
  support: Bubblewrap.Support,
  filter: Uint8Array,
  network: Bubblewrap.Confined["network"] = false
) {
  const spawner = yield* ChildProcessSpawner
  const [shell, ...args] = Bubblewrap.wrap({ support, mounts: [], network, cwd: "/", command: ["true"] }, filter)
  // the shell of a sandbox ignores the other signals
  const command = ChildProcess.make(shell!, args, { stdin: "ignore", killSignal: "SIGKILL" })
  const run = Effect.gen(function* () {
    const handle = yield* spawner.spawn(command)
    const output = yield* Stream.mkString(Stream.decodeText(handle.all))
    const exitCode = yield* handle.exitCode
    // bwrap ends with everything in it; closing the scope would wait for zombies that nothing reaps
    yield* Effect.asVoid(handle.unref)
    return exitCode === 0 ? undefined : output.trim() || "bwrap failed without a reason"
  })
  return yield* Effect.scoped(run).pipe(
    Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.succeed(isLate) }),
    Effect.catch(({ reason }) => Effect.succeed(Spawn.reasonOf(reason)))
  )
})

const packageManagers: ReadonlyArray<readonly [program: string, command: string]> = [
  ["/usr/bin/apt-get", "sudo apt-get install bubblewrap"],
  ["/usr/bin/dnf", "sudo dnf install bubblewrap"],
  ["/usr/bin/pacman", "sudo pacman -S bubblewrap"],
  ["/usr/bin/zypper", "sudo zypper install bubblewrap"],
  ["/sbin/apk", "sudo apk add bubblewrap coreutils"]
]

const noProgram = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const manager = yield* Effect.findFirst(packageManagers, ([path]) => Effect.isSuccess(fileSystem.access(path)))
  const missing: Missing = {
    reason: "NoProgram",
    detail: "bubblewrap (bwrap) is not installed",
    repair: manager._tag === "None" ? undefined : manager.value[1]
  }
  return missing
})

/** Settings of the kernel that refuse user namespaces, the value that refuses, and the command that changes it. */
const kernelSettings: ReadonlyArray<readonly [file: string, value: string, command: string]> = [
  [
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "1",
    "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
  ],
  ["/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"],
  ["/proc/sys/user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=10000"]
]

const explainRefusal = Effect.fnUntraced(function* (output: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const setting = yield* Effect.findFirst(kernelSettings, ([file, value]) =>
    Effect.match(fileSystem.readFileString(file), {
      onSuccess: (text) => text.trim() === value,
      onFailure: () => false
    })
  )
  const missing: Missing = {
    reason: "Refused",
    detail: `this host refuses a sandbox: ${output.split("\n")[0]}`,
    repair: setting._tag === "None" ? undefined : setting.value[2]
  }
  return missing
})

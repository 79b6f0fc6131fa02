/**
 * Tries to leave the sandbox of this host: writes outside, sockets, other processes, namespaces, daemons. Every attempt
 * must fail with an error of the command, change nothing outside, and leave no process.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import type * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import { ProcessId } from "@spindle/core/Ids"
import { type Process, Processes, type ProcessFailed } from "@spindle/core/Processes"
import { type Attempt, attempts, type Places, proxied, server } from "./internal/sandbox/attempts.ts"
import { Sandbox, type SandboxUnavailable } from "./Sandbox.ts"
import * as SandboxPolicy from "./SandboxPolicy.ts"

/** The result of an attempt. */
export interface Escape {
  readonly name: string
  /** True if the sandbox held. */
  readonly held: boolean
  /** The error of the command, or the way in which it got out. */
  readonly detail: string
}

/** The host, and a word that is in no other command line, by which the processes that an attempt leaves are found. */
export interface Options {
  readonly platform: string
  readonly tag: string
  /** True if the sandbox has a network proxy, whose ways out are tried, too. */
  readonly hasProxy?: boolean | undefined
}

/** The time that an attempt may run. */
const attemptLimit = "30 seconds"
/** The grace of processes that are ended, in milliseconds. */
const graceMillis = 200

/** The services that the attempts need. */
export type Services = FileSystem.FileSystem | Path.Path | Processes | Sandbox

/**
 * Makes every attempt, one after the other, in a scratch directory. It needs `perl` for most of them. **Errors**:
 * `SandboxUnavailable`; `ProcessFailed` if this host has no `perl`.
 */
export const run = (
  options: Options
): Effect.Effect<ReadonlyArray<Escape>, SandboxUnavailable | ProcessFailed, Services> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* (yield* Sandbox).available
      const places = yield* makePlaces(options.tag)
      const before = yield* fingerprint(places)
      const { hasProxy = false, platform } = options
      const wanted = [...attempts, ...(hasProxy ? proxied : [])].filter(
        ({ isLinux }) => !isLinux || platform === "linux"
      )
      return yield* Effect.forEach(wanted, (attempt) => make(attempt, places, before))
    })
  )

let last = 0
const newId = (tag: string) => ProcessId.make(`${tag}-${++last}`)

const start = Effect.fnUntraced(function* (tag: string, command: ReadonlyArray<string>, cwd: string) {
  const processes = yield* Processes
  return yield* processes.start({ processId: newId(tag), command, cwd, env: { LC_ALL: "C" } })
})

const end = (process: Process) => Effect.flatMap(Processes, ({ end }) => end(process.processId, graceMillis))

/** Makes the scratch directory, and the files and processes outside of it. They live as long as the scope. */
const makePlaces = Effect.fnUntraced(function* (tag: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const base = yield* Effect.orDie(
    Effect.flatMap(fileSystem.makeTempDirectoryScoped({ prefix: "spindle-escape-" }), fileSystem.realPath)
  )
  const [workspace, plain, outside] = [`${base}/workspace`, `${base}/plain`, `${base}/outside`]
  yield* Effect.orDie(
    Effect.gen(function* () {
      for (const one of [plain, outside, `${workspace}/free`]) yield* fileSystem.makeDirectory(one, { recursive: true })
      yield* fileSystem.writeFileString(`${outside}/secret`, "secret\n")
      yield* fileSystem.symlink(outside, `${workspace}/link`)
      for (const repository of [workspace, `${workspace}/sub`]) {
        for (const one of ["hooks", "objects", "refs"]) {
          yield* fileSystem.makeDirectory(`${repository}/.git/${one}`, { recursive: true })
        }
        yield* fileSystem.writeFileString(`${repository}/.git/HEAD`, "ref: refs/heads/main\n")
        yield* fileSystem.writeFileString(`${repository}/.git/config`, "[core]\n")
      }
    })
  )
  const victim = yield* Effect.acquireRelease(start(tag, ["perl", "-e", "sleep 1000"], base), end)
  const listening = yield* Effect.acquireRelease(start(tag, ["perl", "-e", server, outside, tag], base), end)
  const said = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(listening.output)))
  const port = Number(Option.getOrElse(said, () => "0"))
  const places: Places = { workspace, plain, outside, victim: victim.pid, port, tag }
  return places
})

/** Returns the names, modes, links and contents of the files that no command may change. */
const fingerprint = Effect.fnUntraced(function* ({ outside, plain, workspace }: Places) {
  const fileSystem = yield* FileSystem.FileSystem
  const lines: Array<string> = []
  const look: (path: string) => Effect.Effect<void, PlatformError> = Effect.fnUntraced(function* (path) {
    if (path === `${workspace}/free`) return
    const { mode, nlink, type } = yield* fileSystem.lstat(path)
    lines.push([path, mode, type, type === "File" ? Option.getOrNull(nlink) : ""].join(" "))
    if (type === "File") lines.push(yield* fileSystem.readFileString(path))
    if (type !== "Directory") return
    for (const name of (yield* fileSystem.readDirectory(path)).toSorted()) yield* look(`${path}/${name}`)
  })
  yield* Effect.orDie(Effect.forEach([workspace, plain, outside], look))
  return lines.join("\n")
})

const make = Effect.fnUntraced(function* (attempt: Attempt, places: Places, before: string) {
  const { isEndless = false, name } = attempt
  const script = attempt.script(places)
  const process = yield* start(places.tag, ["/bin/sh", "-c", script], places.workspace).pipe(
    SandboxPolicy.confine({
      _tag: "WorkspaceWrite",
      roots: [places.workspace, places.plain],
      scratch: [],
      protectedPaths: [],
      ...(attempt.processes === undefined ? {} : { processes: attempt.processes }),
      network: attempt.isProxied === true ? { _tag: "Hosts", allowed: ["spindle.example"], denied: [] } : false
    })
  )
  const isReady = yield* Deferred.make<void>()
  let output = ""
  const reading = yield* Effect.forkChild(
    Stream.runForEach(Stream.decodeText(process.output), (text) =>
      Effect.suspend(() => {
        output += text
        return isEndless && output.includes("ready") ? Deferred.succeed(isReady, undefined) : Effect.void
      })
    )
  )
  const exit = yield* Effect.timeoutOption(
    Effect.raceFirst(process.exit, Effect.as(Deferred.await(isReady), undefined)),
    attemptLimit
  )
  yield* end(process)
  yield* Fiber.join(reading)
  const failure = failureOf(attempt, Option.getOrUndefined(exit)?.exitCode, output.trim())
  const left = yield* findDamage(places, before)
  const [line = ""] = output.trim().split("\n")
  const escape: Escape = { name, held: failure === undefined && left === undefined, detail: failure ?? left ?? line }
  return escape
})

/**
 * Returns the difference between the end of a command and the refusal that is expected; `exit` is undefined for a
 * command that was ended.
 */
const failureOf = (
  { error, isEndless = false }: Attempt,
  exit: number | null | undefined,
  output: string
): string | undefined => {
  if (isEndless) return exit === undefined ? undefined : `the command ended by itself: ${output}`
  if (exit === undefined) return "the command did not end"
  if (error === undefined) return exit === 0 ? undefined : `the command failed: ${output}`
  if (exit === 0) return "the command succeeded"
  return error.test(output) ? undefined : `the command failed with another error: ${output}`
}

/** Returns what an attempt left outside: a change, a process, or a dead victim. */
const findDamage = Effect.fnUntraced(function* (places: Places, before: string) {
  if ((yield* fingerprint(places)) !== before) return "a file outside was changed"
  if ((yield* survivors(places)).length > 0) return "a process survived"
  if (!(yield* isRunning(places.victim))) return "a process outside was killed"
  return undefined
})

/** Returns true if a process runs: a zombie has no command line. */
const isRunning = Effect.fnUntraced(function* (pid: number) {
  const fileSystem = yield* FileSystem.FileSystem
  return (yield* Effect.orElseSucceed(fileSystem.readFileString(`/proc/${pid}/cmdline`), () => "")) !== ""
})

/** The processes that an attempt has left. */
const survivors = Effect.fnUntraced(function* ({ tag, outside }: Places) {
  const fileSystem = yield* FileSystem.FileSystem
  const names = yield* Effect.orElseSucceed(fileSystem.readDirectory("/proc"), (): Array<string> => [])
  const lines = yield* Effect.forEach(
    names.filter((name) => /^\d+$/.test(name)),
    (name) => Effect.orElseSucceed(fileSystem.readFileString(`/proc/${name}/cmdline`), () => ""),
    // reads next to each other cost less processor time than one after another
    { concurrency: 16 }
  )
  return lines.filter((line) => line.split("\0").includes(tag) && !line.includes(outside))
})

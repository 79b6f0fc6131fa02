/**
 * Finds the processes that a killed host has left (contract X3). Each process carries a mark of its host in its
 * environment: the boot of the machine, the process namespace, and the pid and the start time of the host, so that a
 * later process with the same pid is not taken for it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import type { ProcessId } from "@spindle/core/Ids"
import { ProcessStat } from "../ProcessStat.ts"
import { carries, hostName, markerName, outerOf, valueOf } from "./marks.ts"
import { isKernelThread } from "./processEntry.ts"
import { hasGone } from "./processTable.ts"
import { readAtOnce } from "./tableReads.ts"

/** The processes that hosts have left. */
export interface LeftProcesses {
  /** The mark of this host; undefined where hosts cannot be distinguished. */
  readonly mark: string | undefined
  /** The marks of the programs and commands that this host runs in; undefined if no command runs it. */
  readonly outer: string | undefined
  /**
   * Returns whether the program with a mark has ended; undefined if that cannot be known here. A program in a sandbox
   * has another process namespace, whose processes are known as long as one of them lives.
   */
  readonly hasEnded: (mark: string) => Effect.Effect<boolean | undefined>
  /**
   * Returns the ids of the living processes whose host has ended, with the time at which that host started, in ticks since
   * the boot. The process that this program belongs to is not one.
   */
  readonly find: Effect.Effect<ReadonlyMap<ProcessId, number>>
}

/** The number of processes that are read concurrently. */
const width = 16

/** Reads the identity of this host from `/proc`. */
export const make = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem) {
  const read = (path: string) => Effect.orElseSucceed(fileSystem.readFileString(path), () => "")
  const bootId = (yield* read("/proc/sys/kernel/random/boot_id")).trim()
  const namespace = yield* Effect.orElseSucceed(fileSystem.readLink("/proc/self/ns/pid"), () => "")
  const self = yield* read("/proc/self/stat")
  const [pid = "", startTicks] = [self.split(" ")[0], startOf(self)]
  const environment = yield* read("/proc/self/environ")
  const outer = outerOf(environment)
  const none: LeftProcesses = {
    mark: undefined,
    outer,
    hasEnded: () => Effect.undefined,
    find: Effect.succeed(new Map())
  }
  if (bootId === "" || namespace === "" || startTicks === undefined) return none
  const readStat = yield* ProcessStat
  /**
   * Returns false for a kernel thread, which has no environment: this is cheaper than reading its empty file. A process
   * whose `stat` cannot be read may have an environment.
   */
  const hasEnvironment = (name: string): boolean => {
    if (readStat === undefined) return true
    const stat = readAtOnce(readStat, Number(name))
    return Exit.isFailure(stat) || !isKernelThread(stat.value)
  }
  const hasEnded = (mark: string): Effect.Effect<boolean | undefined> => {
    const [boot, space = "", host = "", startTicks = ""] = mark.split("/")
    if (boot !== bootId) return Effect.succeed(true)
    if (space !== namespace) return hasEndedInside(fileSystem, { space, pid: host, startTicks })
    return Effect.map(readOrEmpty(fileSystem, `/proc/${host}/stat`), (stat) =>
      stat === undefined ? undefined : startOf(stat) !== startTicks
    )
  }
  const found: LeftProcesses = {
    mark: [bootId, namespace, pid, startTicks].join("/"),
    outer,
    hasEnded,
    find: Effect.gen(function* () {
      const left = new Map<ProcessId, string>()
      const names = yield* Effect.orElseSucceed(fileSystem.readDirectory("/proc"), (): Array<string> => [])
      const look = (name: string) =>
        Effect.map(read(`/proc/${name}/environ`), (text) => {
          const { host, processId } = variablesOf(text)
          if (host === undefined || processId === undefined || carries(markerName, processId)(environment)) return
          if (host.startsWith(`${bootId}/${namespace}/`)) left.set(processId, host)
        })
      yield* Effect.forEach(
        names.filter((name) => /^\d+$/.test(name) && hasEnvironment(name)),
        look,
        { concurrency: width, discard: true }
      )
      const starts = new Map<ProcessId, number>()
      for (const [processId, mark] of left) {
        if (yield* hasEnded(mark)) starts.set(processId, Number(mark.split("/")[3]))
      }
      return starts
    })
  }
  return found
})

/** Reads a file of a process; empty for one that has ended, and undefined if the host refuses to say. */
const readOrEmpty = (fileSystem: FileSystem.FileSystem, path: string): Effect.Effect<string | undefined> =>
  Effect.match(fileSystem.readFileString(path), {
    onSuccess: (text) => text,
    onFailure: ({ reason }) => (hasGone(reason) ? "" : undefined)
  })

/** A program in another process namespace, with its pid there. */
interface Inside {
  readonly space: string
  readonly pid: string
  readonly startTicks: string
}

/**
 * Looks for a program in a namespace below this one. If a process of that namespace is visible here, all of them are,
 * so that one which is not visible has ended. Otherwise nothing is known.
 */
const hasEndedInside = Effect.fnUntraced(function* (
  fileSystem: FileSystem.FileSystem,
  { pid, space, startTicks }: Inside
) {
  const found = { isSpace: false, isProgram: false, isUnknown: false }
  const look = Effect.fnUntraced(function* (name: string) {
    const link = yield* Effect.orElseSucceed(fileSystem.readLink(`/proc/${name}/ns/pid`), () => "")
    if (link === space) found.isSpace = true
    const stat = yield* readOrEmpty(fileSystem, `/proc/${name}/stat`)
    if (stat === undefined) found.isUnknown = true
    if (stat === undefined || startOf(stat) !== startTicks) return
    const status = yield* readOrEmpty(fileSystem, `/proc/${name}/status`)
    if (status === undefined) found.isUnknown = true
    // its pids in all namespaces, the outermost first
    else if (/^NSpid:(.*)/m.exec(status)?.[1]?.trim().split(/\s+/).includes(pid) === true) found.isProgram = true
  })
  const names = yield* Effect.orElseSucceed(fileSystem.readDirectory("/proc"), (): Array<string> => [])
  yield* Effect.forEach(
    names.filter((name) => /^\d+$/.test(name)),
    look,
    { concurrency: width, discard: true }
  )
  if (found.isProgram) return false
  return found.isSpace && !found.isUnknown ? true : undefined
})

/** Returns the time at which a process started, in ticks since the boot; undefined for one that has ended. */
const startOf = (stat: string): string | undefined => {
  // the second field is the name of the program in parentheses, and may contain anything
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19]
}

const variablesOf = (
  environ: string
): { readonly host: string | undefined; readonly processId: ProcessId | undefined } => ({
  host: valueOf(environ, hostName),
  processId: valueOf(environ, markerName) as ProcessId | undefined
})

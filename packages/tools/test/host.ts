/** The layers of a real host, and reads of its process table. */
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { Ids } from "@spindle/core"
import { ProcessGroups, ProcessStat, Signals } from "../src/index.ts"

export const signals = Signals.layerKill((target, signal) => process.kill(target, signal))

const stats = ProcessStat.layerRead((pid) => readFileSync(`/proc/${pid}/stat`, "utf8"))

/** The services of Node and the ports to signals and ages of processes. */
export const platform = Layer.mergeAll(NodeServices.layer, signals, stats)

/** `Processes`, `ProcessGroups`, file system and path of this host. */
export const host = Layer.provideMerge(ProcessGroups.layer, platform)

/** Makes a directory in another one. It is removed with its scope. */
export const directoryIn = (parent: string) =>
  Effect.acquireRelease(
    Effect.sync(() => realpathSync(mkdtempSync(join(parent, "spindle-")))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

/** A new directory, which is removed with its scope. */
export const directory = Effect.suspend(() => directoryIn(tmpdir()))

const ids = Ids.sequential(`test-${process.pid}-${Math.random().toString(36).slice(2)}`)

/** A process id that no other test uses. */
export const newId = (): Ids.ProcessId => Ids.ProcessId.make(ids.next(0))

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** The pids of the living processes that carry a marker; a zombie does not live. */
export const carriersOf = (id: string): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => read(`/proc/${name}/environ`).split("\0").includes(`SPINDLE_PROCESS=${id}`))
    .filter((name) => !/\) [ZX] /.test(read(`/proc/${name}/stat`)))
    .map(Number)

/** The group of a living process; NaN if there is none. */
export const groupOf = (pid: number): number => {
  const stat = read(`/proc/${pid}/stat`)
  return /\) [ZX] /.test(stat) ? NaN : Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2])
}

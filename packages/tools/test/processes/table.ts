/** A process table that is data, and a finder that reads it. */
import { Effect, FileSystem, PlatformError } from "effect"
import * as ProcessTable from "../../src/internal/processTable.ts"
import * as ProcessStat from "../../src/ProcessStat.ts"

/** A process in the table. */
export interface Shown {
  /** In ticks since the boot. */
  readonly startTicks: number | string
  /** An error code if it cannot be read. */
  readonly environment: { readonly text: string } | { readonly code: string }
  readonly group?: number
  readonly session?: number
  readonly parent?: number
  readonly flags?: number
  /** The environment of another thread; the first one has ended. */
  readonly thread?: string
  /** The error code with which its age cannot be read. */
  readonly unreadable?: string
}

/** How the ages of processes are read. */
export type Way = "at once" | "through FileSystem"

/** The ways to read ages. */
export const ways: ReadonlyArray<Way> = ["at once", "through FileSystem"]

/** The flag of a kernel thread. */
export const kernelThread = 0x00200000

/** The flag of a process that ends. */
export const exiting = 0x00000004

/** The environment of a process that carries a marker. */
export const marked = (marker: string) => ({ text: `A=1\0SPINDLE_PROCESS=${marker}\0` })

/** The environment of a process that carries none. */
export const unmarked = { text: "A=1\0" }

const statOf = (pid: number, shown: Shown) => {
  const { flags = 0, group = pid, parent = 1, session = pid, startTicks, thread } = shown
  const zeros = (count: number) => Array.from({ length: count }, () => 0).join(" ")
  const [state, threads] = thread === undefined ? ["S", 1] : ["Z", 2]
  return `${pid} (a ) b) ${state} ${parent} ${group} ${session} 0 0 ${flags} ${zeros(10)} ${threads} 0 ${startTicks} 0\n`
}

const failed = (code: string) =>
  PlatformError.systemError({
    _tag: code === "ENOENT" ? "NotFound" : code === "EACCES" ? "PermissionDenied" : "Unknown",
    module: "FileSystem",
    method: "test",
    cause: Object.assign(new Error(code), { code })
  })

/** Makes a table that can be changed. `read` are the files that were read of its processes. */
export const makeTable = Effect.fnUntraced(function* (way: Way) {
  const processes = new Map<number, Shown>()
  const read: Array<string> = []
  const fileSystem = FileSystem.makeNoop({
    access: () => Effect.void,
    readDirectory: (path) =>
      Effect.sync(() =>
        path === "/proc" ? ["self", ...Array.from(processes.keys(), String)] : path.split("/").slice(2, 3).concat("7")
      ),
    readFileString: (path) =>
      Effect.suspend(() => {
        const [, , name, file] = path.split("/")
        if (name === "self") return Effect.succeed(statOf(10, { startTicks: 1, environment: unmarked }))
        const shown = processes.get(Number(name))
        if (shown === undefined) return Effect.fail(failed("ENOENT"))
        read.push(`${name}/${file}`)
        if (file === "stat" && shown.unreadable !== undefined) return Effect.fail(failed(shown.unreadable))
        if (file === "stat") return Effect.succeed(statOf(Number(name), shown))
        if (file === "task" && shown.thread !== undefined) return Effect.succeed(shown.thread)
        if (file !== "environ") return Effect.fail(failed("ENOENT"))
        const { environment } = shown
        return "text" in environment ? Effect.succeed(environment.text) : Effect.fail(failed(environment.code))
      })
  })
  const readStat = (pid: number) => {
    const shown = processes.get(pid)
    const code = shown === undefined ? "ENOENT" : shown.unreadable
    if (shown === undefined || code !== undefined) throw Object.assign(new Error("refused"), { code })
    return statOf(pid, shown)
  }
  const table = yield* ProcessTable.make(fileSystem, { send: () => Effect.succeed(false) }).pipe(
    Effect.provideService(ProcessStat.ProcessStat, way === "at once" ? readStat : undefined)
  )
  return { finder: table.finder, processes, read }
})

/** A command that started at tick 1,000 with the pid 100. */
export const command: ProcessTable.Wanted = {
  groupId: 100,
  sessionId: 100,
  marker: "command",
  startTicks: 1_000,
  claims: () => false
}

/** Looks once. */
export const look = (find: ProcessTable.Find, wanted: ProcessTable.Wanted = command) => find(wanted, () => Effect.void)

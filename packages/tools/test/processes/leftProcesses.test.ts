/** Tests whether the program with a mark has ended, which decides whether a patch was cut. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, PlatformError } from "effect"
import * as LeftProcesses from "../../src/internal/leftProcesses.ts"
import { ProcessStat } from "../../src/ProcessStat.ts"
import { kernelThread } from "./table.ts"

type Refusal = "NotFound" | "PermissionDenied"

const statOf = (pid: number, state: string, startTicks: number) =>
  `${pid} (a ) b) ${[state, ...Array.from({ length: 18 }, () => 0), startTicks, 0].join(" ")}\n`

interface Shown {
  readonly space: string
  readonly stat: string | Refusal
  readonly status: string | Refusal
}

/** A process table. This program has the pid 10 in the namespace `outer`. */
const tableOf = (processes: { readonly [pid: number]: Shown }) => {
  const texts: { readonly [path: string]: string } = {
    "/proc/sys/kernel/random/boot_id": "boot\n",
    "/proc/self/stat": statOf(10, "R", 500)
  }
  const failed = (tag: Refusal, path: string) =>
    Effect.fail(PlatformError.systemError({ _tag: tag, module: "FileSystem", method: "test", pathOrDescriptor: path }))
  return FileSystem.makeNoop({
    readDirectory: () => Effect.succeed(["self", ...Object.keys(processes)]),
    readLink: (path) => {
      const found = processes[Number(path.split("/")[2])]
      return path === "/proc/self/ns/pid"
        ? Effect.succeed("outer")
        : found === undefined
          ? failed("NotFound", path)
          : Effect.succeed(found.space)
    },
    readFileString: (path) => {
      const [, , pid, file] = path.split("/")
      const text = texts[path] ?? processes[Number(pid)]?.[file === "stat" ? "stat" : "status"] ?? "NotFound"
      return text === "NotFound" || text === "PermissionDenied" ? failed(text, path) : Effect.succeed(text)
    }
  })
}

const init: Shown = { space: "inner", stat: statOf(20, "S", 600), status: "Name:\tbwrap\nNSpid:\t20\t1\n" }
const program: Shown = {
  space: "inner",
  stat: statOf(30, "S", 700),
  status: "Name:\tnode\nNSpid:\t30\t4\nVmPeak:\t1\n"
}

describe("hasEnded", () => {
  const cases: ReadonlyArray<
    readonly [what: string, mark: string, processes: { readonly [pid: number]: Shown }, hasEnded: boolean | undefined]
  > = [
    ["of an earlier boot", "earlier/outer/10/500", {}, true],
    ["that runs here", "boot/outer/30/700", { 30: program }, false],
    ["that is not in the table", "boot/outer/30/700", {}, true],
    ["whose pid belongs to a later process", "boot/outer/30/650", { 30: program }, true],
    ["that is a zombie", "boot/outer/30/700", { 30: { ...program, stat: statOf(30, "Z", 700) } }, true],
    ["that cannot be read", "boot/outer/30/700", { 30: { ...program, stat: "PermissionDenied" } }, undefined],
    ["that runs in a sandbox", "boot/inner/4/700", { 20: init, 30: program }, false],
    ["that has left its sandbox running", "boot/inner/4/700", { 20: init }, true],
    ["whose pid in a sandbox belongs to a later process", "boot/inner/4/650", { 20: init, 30: program }, true],
    ["whose pid is the outer one", "boot/inner/30/700", { 20: init, 30: program }, false],
    [
      "that is a zombie in a sandbox",
      "boot/inner/4/700",
      { 20: init, 30: { ...program, stat: statOf(30, "Z", 700) } },
      true
    ],
    ["of a namespace that is not visible", "boot/other/4/700", { 20: init }, undefined],
    [
      "in a sandbox of which a process cannot be read",
      "boot/inner/4/700",
      { 20: init, 30: { ...program, stat: "PermissionDenied" } },
      undefined
    ],
    [
      "in a sandbox of which a process does not say its pid",
      "boot/inner/4/700",
      { 20: init, 30: { ...program, status: "PermissionDenied" } },
      undefined
    ]
  ]
  for (const [what, mark, processes, hasEnded] of cases) {
    it.effect(`returns ${hasEnded} for a program ${what}`, () =>
      Effect.gen(function* () {
        const left = yield* LeftProcesses.make(tableOf(processes))
        assert.strictEqual(left.mark, "boot/outer/10/500")
        assert.strictEqual(yield* left.hasEnded(mark), hasEnded)
      })
    )
  }
})

describe("find", () => {
  it.effect("X3 reads the environment of each process that is not known to be a kernel thread", () =>
    Effect.gen(function* () {
      const read: Array<string> = []
      const table = tableOf({})
      const mark = (id: string) => `SPINDLE_HOST=boot/outer/99/500\0SPINDLE_PROCESS=${id}\0`
      const fileSystem = FileSystem.makeNoop({
        ...table,
        readDirectory: () => Effect.succeed(["self", "20", "30", "40"]),
        readFileString: (path) => {
          if (!/\d\/environ$/.test(path)) return table.readFileString(path)
          read.push(path)
          return Effect.succeed(mark(path.split("/")[2]!))
        }
      })
      const readStat = (pid: number) => {
        if (pid === 30) throw Object.assign(new Error("no descriptor"), { code: "EMFILE" })
        return `${pid} (a) S 2 0 0 0 -1 ${pid === 20 ? kernelThread : 0} 0`
      }
      const left = yield* LeftProcesses.make(fileSystem).pipe(Effect.provideService(ProcessStat, readStat))
      assert.deepStrictEqual(Array.from(yield* left.find).sort(), [
        ["30", 500],
        ["40", 500]
      ])
      assert.deepStrictEqual(read.sort(), ["/proc/30/environ", "/proc/40/environ"])
    })
  )

  it.effect("X3 does not find the commands that this program runs in", () =>
    Effect.gen(function* () {
      const table = tableOf({})
      const own = "SPINDLE_HOST=boot/outer/98/500\0SPINDLE_PROCESS=near\0SPINDLE_OUTER=boot/outer/97/500 far\0"
      const fileSystem = FileSystem.makeNoop({
        ...table,
        readDirectory: () => Effect.succeed(["20", "30", "40"]),
        readFileString: (path) => {
          if (path === "/proc/self/environ") return Effect.succeed(own)
          const id = { "20": "near", "30": "far", "40": "left" }[path.split("/")[2]!]
          if (!/\d\/environ$/.test(path)) return table.readFileString(path)
          return Effect.succeed(`SPINDLE_HOST=boot/outer/99/500\0SPINDLE_PROCESS=${id}\0`)
        }
      })
      const left = yield* LeftProcesses.make(fileSystem)
      assert.strictEqual(left.outer, "boot/outer/97/500 far boot/outer/98/500 near")
      assert.deepStrictEqual(Array.from((yield* left.find).keys(), String), ["left"])
    })
  )
})

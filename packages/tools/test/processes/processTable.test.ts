/** Which processes a look finds, and which files it reads for that. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cases } from "../explore/looks.ts"
import { command, kernelThread, look, makeTable, marked, type Shown, unmarked, ways } from "./table.ts"

const { marker, startTicks: start } = command

describe.each(ways)("a look that reads the ages of processes %s", (way) => {
  const wanted: { readonly [what: string]: Shown } = {
    "that is younger than the command": { startTicks: start! + 1, environment: marked(marker) },
    "that started with the command": { startTicks: start!, environment: marked(marker) },
    "whose age is 0": { startTicks: 0, environment: marked(marker) },
    "whose age is not known": { startTicks: "?", environment: marked(marker) }
  }
  for (const [what, shown] of Object.entries(wanted)) {
    it.effect(`X1 finds a process with the marker ${what}`, () =>
      Effect.gen(function* () {
        const { finder, processes } = yield* makeTable(way)
        const acted: Array<number> = []
        processes.set(50, shown)
        const found = yield* finder()(command, (pid) => Effect.sync(() => void acted.push(pid)))
        assert.deepStrictEqual(found.others, [50])
        assert.include(acted, 50)
      })
    )
  }

  it.effect("X1 finds a member of the group without the marker", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      processes.set(150, { startTicks: start!, group: 100, environment: unmarked })
      assert.deepStrictEqual((yield* look(finder())).members, [150])
    })
  )

  it.effect("X1 finds a process of the session that hides its environment", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      processes.set(150, { startTicks: start!, session: 100, environment: { code: "EACCES" } })
      assert.deepStrictEqual((yield* look(finder())).others, [150])
    })
  )

  it.effect("X3 finds a process of any age for a command whose start is not known", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      processes.set(50, { startTicks: 1, environment: marked(marker) })
      yield* look(finder())
      assert.deepStrictEqual((yield* look(finder(), { ...command, startTicks: undefined })).others, [50])
    })
  )

  it.effect("X1 a younger command finds what an older one does not want", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      processes.set(150, { startTicks: start! + 500, environment: marked("later") })
      assert.deepStrictEqual((yield* look(finder())).others, [])
      assert.deepStrictEqual((yield* look(finder(), { ...command, marker: "later" })).others, [150])
    })
  )

  it.effect("is sure although an older process has no environment", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      processes.set(50, { startTicks: 10, environment: { text: "" } })
      assert.isTrue((yield* look(finder())).isSure)
      processes.set(150, { startTicks: start!, environment: { text: "" } })
      assert.isFalse((yield* look(finder())).isSure)
    })
  )

  for (const [code, isSure, hasVanished] of [
    ["EMFILE", false, false],
    ["ESRCH", true, true],
    ["EACCES", true, false]
  ] as const) {
    it.effect(`X1 says what it has read of a table with an age that fails with ${code}`, () =>
      Effect.gen(function* () {
        const { finder, processes } = yield* makeTable(way)
        processes.set(150, { startTicks: start!, environment: unmarked, unreadable: code })
        const found = yield* look(finder())
        assert.deepStrictEqual([found.isSure, found.hasVanished], [isSure, hasVanished])
      })
    )
  }

  it.effect("reads nothing twice of a process that is older than the commands", () =>
    Effect.gen(function* () {
      const { finder, processes, read } = yield* makeTable(way)
      processes.set(50, { startTicks: 10, environment: unmarked })
      processes.set(51, { startTicks: 0, flags: kernelThread, environment: { code: "ESRCH" } })
      yield* look(finder())
      const once = read.length
      assert.strictEqual(once, way === "at once" ? 0 : 4)
      yield* look(finder())
      assert.strictEqual(read.length, once)
    })
  )
})

describe("looks between which the table changes", () => {
  it.live("X1 find a process that starts with its command", () => cases.starting)

  it.live("X1 find a process that gets the number of an older one", () => cases.reusing)

  it.live("X1 find a process whose environment could not be read", () => cases.failing)
})

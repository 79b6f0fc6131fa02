/** Which processes a look finds, and which files it reads for that. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { cases } from "../explore/looks.ts"
import { command, exiting, kernelThread, look, makeTable, marked, type Shown, unmarked, ways } from "./table.ts"

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
      processes.set(150, { startTicks: start!, group: 100, session: 100, environment: unmarked })
      assert.deepStrictEqual((yield* look(finder())).members, [150])
    })
  )

  it.effect("X1 finds a process of the session that has another group and environment", () =>
    Effect.gen(function* () {
      const { finder, processes, read } = yield* makeTable(way)
      processes.set(150, { startTicks: start!, session: 100, environment: unmarked })
      assert.deepStrictEqual((yield* look(finder())).others, [150])
      // its age is enough, so that it is found even if it ends before more could be read
      if (way === "at once") assert.deepStrictEqual(read, [])
    })
  )

  it.effect("X1 finds what a process with the marker has started, and later what is left in their sessions", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      const find = finder()
      processes.set(150, { startTicks: start!, environment: marked(marker) })
      processes.set(151, { startTicks: start!, session: 150, environment: unmarked })
      processes.set(152, { startTicks: start!, parent: 151, environment: { text: "" } })
      processes.set(140, { startTicks: start!, parent: 152, environment: unmarked })
      processes.set(160, { startTicks: start!, environment: unmarked })
      const found = yield* look(find)
      assert.deepStrictEqual([...found.others].sort(), [140, 150, 151, 152])
      processes.delete(150)
      processes.delete(152)
      processes.set(153, { startTicks: start!, session: 152, environment: unmarked })
      assert.deepStrictEqual([...(yield* look(find)).others].sort(), [140, 151, 153])
    })
  )

  it.effect("X1 finds a process that was not wanted until a look showed its session", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      const find = finder()
      processes.set(151, { startTicks: start!, session: 150, environment: unmarked })
      assert.deepStrictEqual((yield* look(find)).others, [])
      processes.set(152, { startTicks: start!, session: 150, environment: marked(marker) })
      yield* look(find)
      assert.deepStrictEqual([...(yield* look(find)).others].sort(), [151, 152])
    })
  )

  it.effect("X1 leaves alone a session that gets the number of one that has ended", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      const find = finder()
      processes.set(150, { startTicks: start!, environment: marked(marker) })
      yield* look(find)
      processes.delete(150)
      yield* TestClock.adjust(1_000)
      yield* look(find)
      processes.set(150, { startTicks: start! + 500, environment: unmarked })
      assert.deepStrictEqual((yield* look(find)).others, [])
    })
  )

  it.effect(
    "X1 leaves alone what has the number of a session or group whose members have ended since the last look",
    () =>
      Effect.gen(function* () {
        const { finder, processes } = yield* makeTable(way)
        const find = finder()
        processes.set(101, { startTicks: start!, group: 100, session: 100, environment: unmarked })
        processes.set(150, { startTicks: start!, environment: marked(marker) })
        const found = yield* look(find)
        assert.deepStrictEqual([found.members, found.others], [[101], [150]])
        processes.delete(101)
        // a look may come ten seconds after another one
        for (const leader of [100, 150]) {
          processes.set(leader, { startTicks: start! + 500, environment: unmarked })
          processes.set(leader + 9, { startTicks: start! + 501, group: leader, session: leader, environment: unmarked })
        }
        const later = yield* look(find)
        assert.deepStrictEqual([found.isGroupReused, later.isGroupReused], [false, true])
        assert.deepStrictEqual([later.members, later.others], [[], []])
      })
  )

  it.effect("X1 keeps a session while its members cannot be read", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      const find = finder()
      const member: Shown = { startTicks: start!, session: 150, environment: unmarked }
      processes.set(150, { startTicks: start!, environment: marked(marker) })
      yield* look(find)
      processes.delete(150)
      processes.set(151, { ...member, unreadable: "EMFILE" })
      yield* TestClock.adjust(1_000)
      assert.isFalse((yield* look(find)).isSure)
      processes.set(151, member)
      assert.deepStrictEqual((yield* look(find)).others, [151])
    })
  )

  const leaders: { readonly [what: string]: readonly [Shown, ReadonlyArray<number>] } = {
    "X1 leaves alone the session of a leader that": [{ startTicks: start!, environment: unmarked }, [152]],
    "X1 leaves alone the session of a leader that hides its environment, which": [
      { startTicks: start!, environment: { code: "EACCES" } },
      [152]
    ],
    "X1 leaves alone the session of another command, which": [
      { startTicks: start!, environment: marked("other") },
      [152]
    ],
    "X1 finds the session of a leader with a title over its environment that": [
      { startTicks: start!, environment: { text: "\0\0  " } },
      [150, 151, 152]
    ]
  }
  for (const [what, [leader, others]] of Object.entries(leaders)) {
    it.effect(`${what} runs a program for the command`, () =>
      Effect.gen(function* () {
        const { finder, processes } = yield* makeTable(way)
        const find = finder()
        processes.set(150, leader)
        processes.set(151, { startTicks: start!, session: 150, environment: unmarked })
        processes.set(152, { startTicks: start!, group: 150, session: 150, environment: marked(marker) })
        const groups: Array<number> = []
        for (const _ of [1, 2]) {
          const found = yield* find(command, (_, group = 0) => Effect.sync(() => void groups.push(group)))
          assert.deepStrictEqual([...found.others].sort(), others)
        }
        assert.strictEqual(groups.includes(150), others.length > 1)
      })
    )
  }

  it.effect("X1 finds a process that another program has started inside the command", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      const around = (ids: string) => ({ text: `SPINDLE_PROCESS=inner\0SPINDLE_OUTER=${ids}\0` })
      processes.set(150, { startTicks: start!, environment: around(`first host ${marker}`) })
      processes.set(151, { startTicks: start!, environment: around(`first host ${marker}-2`) })
      assert.deepStrictEqual((yield* look(finder())).others, [150])
    })
  )

  it.effect("X1 finds a process whose first thread has ended", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      processes.set(150, { startTicks: start!, environment: { text: "" }, thread: marked(marker).text })
      processes.set(151, { startTicks: start!, environment: { text: "" }, thread: unmarked.text })
      assert.deepStrictEqual((yield* look(finder())).others, [150])
    })
  )

  it.effect("X1 is sure although processes end that have no environment any longer", () =>
    Effect.gen(function* () {
      const { finder, processes } = yield* makeTable(way)
      processes.set(150, { startTicks: start!, flags: exiting, environment: { text: "" } })
      const found = yield* look(finder())
      assert.deepStrictEqual([found.isSure, found.hasVanished], [true, true])
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

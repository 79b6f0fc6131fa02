/** Looks at a process table between which it changes. The tests run them with the unchanged sources and with each mutant of the table. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { command, look, makeTable, marked, unmarked, ways } from "../processes/table.ts"

/** A process that starts with its command is found, however its age is read. */
const starting = Effect.forEach(ways, (way) =>
  Effect.gen(function* () {
    const { finder, processes } = yield* makeTable(way)
    const find = finder()
    processes.set(150, { startTicks: command.startTicks!, environment: unmarked })
    yield* look(find)
    processes.set(151, { startTicks: command.startTicks!, environment: marked(command.marker) })
    assert.deepStrictEqual((yield* look(find)).others, [151], `X1 not found ${way}`)
  })
)

/** A process that gets the number of an older one is found one second later. */
const reusing = Effect.forEach(ways, (way) =>
  Effect.gen(function* () {
    const { finder, processes } = yield* makeTable(way)
    const find = finder()
    processes.set(50, { startTicks: 10, environment: unmarked })
    assert.deepStrictEqual((yield* look(find)).others, [])
    processes.set(50, { startTicks: command.startTicks! + 1, environment: marked(command.marker) })
    yield* TestClock.adjust(1_000)
    assert.deepStrictEqual((yield* look(find)).others, [50], `X1 not found ${way}`)
  }).pipe(Effect.provide(TestClock.layer()))
)

/** A process whose environment the host cannot read for a moment, because it has no file descriptor, is read again. */
const failing = Effect.forEach(ways, (way) =>
  Effect.gen(function* () {
    const { finder, processes } = yield* makeTable(way)
    const find = finder()
    processes.set(150, { startTicks: command.startTicks!, environment: { code: "EMFILE" } })
    assert.isFalse((yield* look(find)).isSure)
    processes.set(150, { startTicks: command.startTicks!, environment: marked(command.marker) })
    assert.deepStrictEqual((yield* look(find)).others, [150], `X1 not found ${way}`)
  })
)

/** The looks by name. */
export const cases = { starting, reusing, failing }

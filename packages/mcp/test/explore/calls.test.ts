import { assert, describe, it } from "@effect/vitest"
import type { CallId } from "@spindle/core/Ids"
import type { Turn } from "@spindle/core/Turn"
import * as Grants from "@spindle/mcp/Grants"
import * as McpServers from "@spindle/mcp/McpServers"
import * as TurnHeaders from "@spindle/mcp/TurnHeaders"
import * as Interrupts from "@spindle/testing/Interrupts"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as HttpClient from "effect/http/HttpClient"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Connection from "../../src/internal/connection.ts"
import { CurrentCall } from "../../src/internal/currentCall.ts"
import * as MemoryServer from "./memoryServer.ts"

/** What is left of a run. */
interface Outcome {
  readonly isCompleted: boolean
  readonly received: ReadonlyArray<MemoryServer.Received>
}

/** A call in a turn of this id. Once the turn `isSettled`, its members interrupt. */
const inTurn = (turnId: string, isSettled: () => boolean = () => false) => {
  const abortReason = Effect.suspend(() => (isSettled() ? Effect.interrupt : Effect.undefined))
  return Effect.provideService(CurrentCall, {
    turn: { turnId, abortReason } as unknown as Turn,
    callId: "call" as CallId,
    tool: "mcp__memory__echo",
    sendsHeaders: true,
    questions: { count: 0, settledAt: Number.NEGATIVE_INFINITY }
  })
}

/** The headers take a moment to read. */
const headers = Effect.provideService(TurnHeaders.TurnHeaders, ({ turnId }) =>
  Effect.as(Effect.sleep(5), { "x-turn": turnId })
)

/** A connection in a scope that a run closes. */
const connect = Effect.fnUntraced(function* (scope: Scope.Scope) {
  const memory = MemoryServer.make()
  const server = yield* Connection.make({
    config: { _tag: "Http", name: "memory", url: "http://memory", turnHeaders: true },
    variables: {},
    program: { name: "test", version: "1" },
    grants: Grants.memory(),
    reconnects: McpServers.reconnectSchedule,
    restarts: McpServers.restartSchedule,
    onStart: () => () => {}
  }).pipe(
    Effect.provideService(HttpClient.HttpClient, memory.client),
    Effect.provideService(ChildProcessSpawner, {} as ChildProcessSpawner["Service"]),
    Scope.provide(scope)
  )
  yield* Effect.orDie(server.started)
  const [tool] = server.tools()
  const call = headers(server.callTool(tool!, {}))
  return { memory, call }
})

/** Two calls of two turns at the same time; the first one is the victim. */
const overlapping: Interrupts.Program<Outcome, never> = (stage) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const { call, memory } = yield* connect(scope)
    const other = yield* Effect.forkChild(inTurn("other")(call))
    const exit = yield* stage.attack(inTurn("victim")(call))
    yield* Effect.orDie(Fiber.join(other))
    yield* Scope.close(scope, Exit.void)
    return { isCompleted: Exit.isSuccess(exit), received: memory.received }
  })

const only = (received: Outcome["received"], method: string) => received.filter((one) => one.method === method)

/** Returns the law that a run broke. */
const broken = ({ isCompleted, received }: Outcome): string | true => {
  const calls = only(received, "tools/call")
  const [victim, ...others] = calls.filter(({ turn }) => turn !== "other")
  const isHeaded = received.every(({ method, turn }) => (method === "tools/call") === (turn !== undefined))
  if (!isHeaded) return "M1: a call has no headers, or another message has some"
  if (calls.length - others.length - (victim === undefined ? 0 : 1) !== 1 || others.length > 0) {
    return "M1: a call has the headers of another turn"
  }
  const cancelled = only(received, "notifications/cancelled").length
  const isOwed = !isCompleted && victim !== undefined && !victim.isAnswered
  if (cancelled > (isCompleted ? 0 : 1)) return "M2: it is cancelled too often"
  return isOwed && cancelled === 0 ? "M2: it is not cancelled" : true
}

/** Explores, and fails with the report. */
const holds = (options: Interrupts.Options<Outcome, never>) => {
  const report = Interrupts.explore(overlapping, { ...options, invariant: broken })
  assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
  assert.isAbove(report.points, 20)
}

describe("two calls on one connection, at each step of the first", () => {
  it("M1 M2 I10 keep their laws when the first is interrupted", () => holds({ maxRuns: 100 }))

  it("M1 M2 I10 keep their laws when the first is interrupted twice", () =>
    holds({ actions: [["interrupt", "interrupt"]], maxRuns: 80 }))

  it("M1 M2 I10 keep their laws in random schedules", () => holds({ seeds: [1, 2, 3], maxRuns: 20 }))
})

/**
 * A call whose turn is settled at some step, as that of a straggler: its fiber is not interrupted from outside. The turn
 * is asked before and after its headers are read; `asked` counts how often it was not settled then.
 */
const straggling: Interrupts.Program<Pick<Outcome, "received"> & { readonly asked: number }, never> = (stage) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const { call, memory } = yield* connect(scope)
    let isSettled = false
    let asked = 0
    yield* stage.arm({ settle: Effect.sync(() => void (isSettled = true)) })
    const isFenced = () => {
      if (!isSettled) asked++
      return isSettled
    }
    yield* Effect.exit(inTurn("victim", isFenced)(call))
    yield* stage.disarm
    yield* Scope.close(scope, Exit.void)
    return { received: memory.received, asked }
  })

describe("a call of a turn that is settled at any step", () => {
  it("M1 I3 I10 is not sent unless its headers were read before", () => {
    const report = Interrupts.explore(straggling, {
      actions: [["settle"]],
      maxRuns: 100,
      invariant: ({ asked, received }) => only(received, "tools/call").length === (asked === 2 ? 1 : 0)
    })
    assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
    assert.isAbove(report.points, 20)
  })
})

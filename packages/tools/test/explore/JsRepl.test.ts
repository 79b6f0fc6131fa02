/**
 * The kernel of a session, under actions at every step. The kernel is in memory, and its cells are scripts of this
 * file.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ProcessId } from "@spindle/core/Ids"
import { NestedCallEnded, NestedCallStarted } from "@spindle/core/NestedCalls"
import * as Op from "@spindle/core/Op"
import { InputClosed, type Process, type ProcessExit, Processes } from "@spindle/core/Processes"
import { isTerminal, type SessionEvent } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import * as Interrupts from "@spindle/testing/Interrupts"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { JsRepl } from "../../src/index.ts"

/** A kernel that runs. */
interface MemoryKernel {
  readonly queue: Queue.Queue<Uint8Array, Cause.Done>
  readonly exit: Deferred.Deferred<ProcessExit>
  isRunningACell: boolean
  isEnded: boolean
}

const encode = (text: string) => new TextEncoder().encode(text)

/**
 * Kernels in memory. Every cell calls `look` twice, one after the other, and then ends. To end a kernel takes a moment;
 * if `endFails`, the first end of one that runs a cell dies.
 */
const makeKernels = (endFails: boolean) => {
  const kernels = new Map<ProcessId, MemoryKernel>()
  let hasFailed = false
  const processes: Processes = {
    start: ({ command, processId }) =>
      Effect.gen(function* () {
        const queue = yield* Queue.unbounded<Uint8Array, Cause.Done>()
        const exit = yield* Deferred.make<ProcessExit>()
        const kernel: MemoryKernel = { queue, exit, isRunningACell: false, isEnded: false }
        kernels.set(processId, kernel)
        const mark = command.at(-1)!
        const send = (message: object) => {
          Queue.offerUnsafe(queue, encode(`\n${mark}${JSON.stringify(message)}\n`))
        }
        let cell = 0
        const take = (message: { readonly cell?: number; readonly reply?: number }) => {
          if (message.cell !== undefined) {
            cell = message.cell
            kernel.isRunningACell = true
            // a call of another cell, which the session ignores
            send({ type: "call", cell: cell - 1, call: 7, name: "look", params: {} })
          }
          if (message.reply === 1) {
            kernel.isRunningACell = false
            return send({ type: "done", cell, value: "seen" })
          }
          const call = message.reply === undefined ? 0 : message.reply + 1
          return send({ type: "call", cell, call, name: "look", params: { call } })
        }
        const process: Process = {
          processId,
          pid: 1,
          output: Stream.fromQueue(queue),
          exit: Deferred.await(exit),
          gone: Effect.asVoid(Deferred.await(exit)),
          input: {
            isTerminal: false,
            write: (bytes) =>
              Effect.suspend(() => {
                if (kernel.isEnded) return Effect.fail(new InputClosed({ processId, detail: "it has ended" }))
                return Effect.sync(() => take(JSON.parse(new TextDecoder().decode(bytes)) as never))
              }),
            close: Effect.void,
            resize: () => Effect.void
          }
        }
        return process
      }),
    end: (processId) =>
      Effect.andThen(
        Effect.sleep(1),
        Effect.suspend(() => {
          const kernel = kernels.get(processId)!
          if (endFails && !hasFailed && kernel.isRunningACell) {
            hasFailed = true
            return Effect.die(new Error("no such group"))
          }
          kernel.isEnded = true
          Queue.endUnsafe(kernel.queue)
          return Deferred.succeed(kernel.exit, { exitCode: null, signal: "SIGTERM" })
        })
      )
  }
  return { kernels, processes }
}

/** The result of a run. */
interface Outcome {
  readonly events: ReadonlyArray<SessionEvent>
  readonly kernels: ReadonlyArray<MemoryKernel>
  /** True if a kernel ran a cell while no turn ran. */
  readonly isLeft: boolean
  /** The number of tools that run. */
  readonly toolsCount: number
  readonly logged: ReadonlyArray<string>
}

/** A turn with a cell, in a session that takes another turn and closes. */
const program =
  (endFails: boolean): Interrupts.Program<Outcome, unknown> =>
  (stage) => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { kernels, processes } = makeKernels(endFails)
      let toolsCount = 0
      const layer = Layer.provide(JsRepl.layer({ cwd: "/", node: "node" }), Layer.succeed(Processes, processes))
      const handlers = yield* Effect.provide(JsRepl.toolkit, yield* Layer.buildWithScope(layer, scope))
      const harness = yield* Scope.provide(
        SessionHarness.make({
          script: ({ items }) =>
            items.at(-1)?._tag === "ToolResult"
              ? [ScriptedModel.text("done")]
              : [ScriptedModel.call("js_repl", { code: "1" }, "a")],
          tools: {
            js_repl: {
              run: (params) =>
                Effect.map(
                  Stream.runCollect(Stream.unwrap(handlers.handle("js_repl", params as never))),
                  (results) => results.at(-1)?.encodedResult
                ) as never,
              policy: { concurrency: "exclusive" }
            },
            look: {
              run: () =>
                Effect.acquireUseRelease(
                  Effect.sync(() => void toolsCount++),
                  () => Effect.sleep(1),
                  () => Effect.sync(() => void toolsCount--)
                )
            }
          }
        }),
        scope
      )
      const closing = yield* Effect.cached(Scope.close(scope, Exit.void))
      yield* stage.arm({
        abort: harness.session.abort(),
        replace: harness.session.start(Task.make("other", Effect.sleep(1))),
        close: closing
      })
      yield* Effect.ignore(harness.session.submit(Op.userInput("begin")))
      yield* harness.session.awaitIdle
      yield* stage.disarm
      yield* harness.session.awaitIdle
      const isLeft = [...kernels.values()].some((kernel) => !kernel.isEnded && kernel.isRunningACell)
      yield* Effect.ignore(harness.session.submit(Op.userInput("again")))
      yield* harness.session.awaitIdle
      yield* closing
      // stragglers may end
      yield* Effect.sleep(1_000)
      return { events: harness.events, kernels: [...kernels.values()], isLeft, toolsCount, logged }
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
  }

/** The calls that a kernel has made, and how they ended. */
const callsOf = (events: ReadonlyArray<SessionEvent>) => {
  const open = new Set<string>()
  const faults: Array<string> = []
  for (const event of events) {
    if (isTerminal(event)) {
      if (event._tag === "TurnCompleted" && open.size > 0) faults.push("a call has no end")
      open.clear()
    }
    if (event._tag !== "TaskNote") continue
    const started = Option.getOrUndefined(NestedCallStarted.decode(event))
    if (started !== undefined) open.add(started.callId)
    const ended = Option.getOrUndefined(NestedCallEnded.decode(event))
    if (ended !== undefined && !open.delete(ended.callId)) faults.push("a call has two ends")
  }
  return faults
}

/** Returns the law that a run broke. */
const broken = ({ events, isLeft, kernels, logged, toolsCount }: Outcome): string | true => {
  const [fault] = callsOf(events)
  if (fault !== undefined) return fault
  if (toolsCount !== 0) return "I2 a tool of a cell runs after its turn"
  if (isLeft) return "a kernel runs the cell of a turn that has ended"
  if (logged.length > 0) return `it logged ${logged[0]}`
  return kernels.every(({ isEnded }) => isEnded) || "X1 a kernel has outlived its session"
}

/** Explores, and fails with the report. */
const holds = (
  options: Omit<Interrupts.Options<Outcome, unknown>, "invariant">,
  { endFails = false, invariant = broken }: { readonly endFails?: boolean; readonly invariant?: typeof broken } = {}
) => {
  const report = Interrupts.explore(program(endFails), { ...options, invariant })
  assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
  assert.isAbove(report.points, 20)
}

describe("a turn in which a cell calls tools", () => {
  it("I2 I10 leaves no tool and no cell running when it is aborted at any step", () =>
    holds({ actions: [["abort"]], maxRuns: 30 }))

  it("I2 I10 leaves none running when it is replaced, or its session is closed", () =>
    holds({ actions: [["replace"], ["close"], ["abort", "close"]], maxRuns: 10 }))

  it("I10 logs that its kernel could not be reset, and ends", () => {
    let failuresCount = 0
    holds(
      { actions: [["abort"]], maxRuns: 30 },
      {
        endFails: true,
        invariant: ({ events, isLeft, logged }) => {
          const isLogged = logged.some((line) => line.includes("could not be reset"))
          if (isLogged) failuresCount++
          if (isLeft !== isLogged) return "the log does not say that a kernel was left"
          return events.filter(isTerminal).length === 2 || "a turn has not ended"
        }
      }
    )
    assert.isAbove(failuresCount, 0)
  })
})

/**
 * An abort at any step of the scheduler of Effect. The explorer has its own scheduler, where each operation is a
 * step. Here several operations run between two steps, so an abort meets a turn at other places.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Model from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import { type Process, Processes } from "@spindle/core/Processes"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Context, Deferred, Effect, Fiber, Layer, Scheduler, Stream } from "effect"

/** Runs something in a session that is aborted after `steps`, and returns what happened although it was aborting. */
const aborted = (what: "turn" | "process", steps: number) =>
  Effect.gen(function* () {
    const late: Array<string> = []
    const alive = new Set<string>()
    const noteIfLate = (name: string) => {
      if (Effect.runSync(h.session.snapshot).status === "aborting") late.push(name)
    }
    const h: SessionHarness.SessionHarness = yield* SessionHarness.make({
      model: modelThat(() => noteIfLate("a model request")),
      tools: { t: { run: () => Effect.sync(() => noteIfLate("a call")) } }
    })
    const process = Task.make(
      "process",
      Effect.flatMap(Turn, (turn) => Effect.andThen(turn.process({ command: ["x"], cwd: "/" }), Effect.never))
    )
    const run =
      what === "process"
        ? Effect.asVoid(Effect.provideService(h.session.start(process), Processes, processesIn(alive)))
        : Effect.asVoid(h.session.submit(Op.userInput("go")))
    const running = yield* Effect.forkChild(run, {
      startImmediately: true
    })
    for (let step = 0; step < steps; step++) yield* Effect.yieldNow
    const hit = yield* h.session.abort()
    yield* Fiber.await(running)
    if (!hit) yield* h.session.abort()
    yield* h.session.awaitIdle
    return [...late, ...Array.from(alive, (id) => `${id} is alive`)]
  }).pipe(Effect.scoped)

/** A model that asks for a call and then says a word. `onRequest` runs when a request is sent. */
const modelThat = (onRequest: () => void): ScriptedModel.ScriptedModel => {
  const model = ScriptedModel.make([[ScriptedModel.call("t", {}, "call")], [ScriptedModel.text("done")]])
  const watched = (inner: Model.Model): Model.Model => ({
    ...inner,
    stream: (request) => Stream.suspend(() => (onRequest(), inner.stream(request)))
  })
  const layer = Layer.effect(
    Model.Model,
    Effect.map(Effect.map(Layer.build(model.layer), Context.get(Model.Model)), watched)
  )
  return { ...model, layer }
}

/** Processes that run until they are ended. An interruption of the start ends what it has started. */
const processesIn = (alive: Set<string>): Processes => {
  const end = (processId: string) => Effect.sync(() => void alive.delete(processId))
  return {
    start: ({ processId }) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          yield* Effect.yieldNow
          alive.add(processId)
          yield* Effect.onInterrupt(restore(Effect.void), () => end(processId))
          const never = Deferred.await(Deferred.makeUnsafe<never>())
          return { processId, pid: 1, output: Stream.empty, exit: never, gone: never } satisfies Process
        })
      ),
    end
  }
}

describe("an abort between two steps", () => {
  for (const operations of [3, 4, 5, 6, 7, 8]) {
    for (const what of ["turn", "process"] as const) {
      it.effect(`I2 X1 starts nothing, and leaves no process: a ${what}, ${operations} operations a step`, () =>
        Effect.gen(function* () {
          const found: Array<string> = []
          for (let steps = 0; steps < 80; steps++) {
            const late = yield* aborted(what, steps)
            found.push(...late.map((name) => `${name} after ${steps} steps`))
          }
          assert.deepStrictEqual(found, [])
        }).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, operations))
      )
    }
  }
})

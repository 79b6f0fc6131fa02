/**
 * Negative controls: for each mechanism that closes a race a variant without it, on which the explorer finds the fault, beside the one with it, on
 * which it finds none.
 */
import { describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { SessionId } from "@spindle/core/protocol/Ids"
import * as SessionState from "@spindle/core/rules/SessionState"
import * as Task from "@spindle/core/Task"
import * as TaskSupervisor from "@spindle/core/TaskSupervisor"
import { Turn } from "@spindle/core/Turn"
import type * as Interrupts from "@spindle/testing/Interrupts"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Recorder } from "../../src/internal/recorder.ts"
import { Subscribers } from "../../src/internal/subscribers.ts"
import { conversation, finds, holds, session, starting } from "./scenario.ts"

type Log = ReadonlyArray<string>

const law =
  (of: (log: Log) => string | undefined) =>
  (exit: { readonly _tag: string; readonly value?: Log }): string | undefined =>
    exit.value === undefined ? "the program failed" : of(exit.value)

const job = (
  log: Array<string>,
  run: Effect.Effect<void>,
  done: Deferred.Deferred<void>
): TaskSupervisor.Job<void, never> => ({
  name: "job",
  run,
  onAbort: "interrupt",
  grace: 10,
  abortHook: undefined,
  abortHookLimit: 10,
  settle: () => Effect.sync(() => void log.push("settled")),
  freed: () => void Deferred.doneUnsafe(done, Effect.void),
  stragglerEnded: () => void log.push("straggler ended")
})

/** A task that ends at once and looks for itself. */
const registration = (before: boolean): Interrupts.Exploration<Log, never> => ({
  actions: [["abort"]],
  law: law((log) => (log.includes("lost") ? "S6 a task did not find itself" : undefined)),
  program: (stage) =>
    Effect.gen(function* () {
      const supervisor = yield* TaskSupervisor.make
      const log: Array<string> = []
      const done = yield* Deferred.make<void>()
      let registered: string | undefined
      const run = Effect.sync(() => void log.push(registered === undefined ? "lost" : "found"))
      yield* stage.arm({ abort: Effect.sync(() => supervisor.abort("Interrupted")) })
      const register = () => void (registered = "job")
      supervisor.start(job(log, run, done), () => {
        if (before) register()
        return run
      })
      if (!before) register()
      yield* supervisor.awaitIdle
      yield* stage.disarm
      return log
    })
})

/** A task that cannot be interrupted, and writes on and on. */
const writing = (fenced: boolean): Interrupts.Exploration<Log, never> => ({
  actions: [["abort"]],
  law: law((log) =>
    log.indexOf("settled") < log.lastIndexOf("write") ? "I3 a straggler wrote after its job was settled" : undefined
  ),
  program: (stage) =>
    Effect.gen(function* () {
      const supervisor = yield* TaskSupervisor.make
      const log: Array<string> = []
      const done = yield* Deferred.make<void>()
      yield* stage.arm({ abort: Effect.sync(() => supervisor.abort("Interrupted")) })
      supervisor.start(job(log, Effect.void, done), (slot) => {
        const write = Effect.sync(() => {
          if (!fenced || !slot.isFenced()) log.push("write")
        })
        return Effect.uninterruptible(
          Effect.forEach([1, 2, 3, 4, 5, 6], () => Effect.andThen(Effect.sleep(8), write), { discard: true })
        )
      })
      yield* supervisor.awaitIdle
      yield* stage.disarm
      yield* Effect.sleep(100)
      return log
    })
})

/** A steerable task that looks a last time for input and ends; it closes the gate in the same step, or does not. */
const leaving = (oneStep: boolean) => ({
  ...session({
    harness: conversation,
    begin: starting(() =>
      Task.make(
        "custom",
        Effect.gen(function* () {
          const turn = yield* Turn
          yield* Effect.sleep(2)
          if (oneStep) while (!(yield* turn.closeGate)) yield* turn.takeInput
          else while ((yield* turn.takeInput) > 0);
          yield* turn.say("done")
          yield* Effect.sleep(1)
        }),
        { steerable: true }
      )
    )
  }),
  actions: [["steer"]],
  maxRuns: 250
})

/** Somebody who waits until a write has ended: looks and registers in one step, as `Recorder.barrier` does, or in two. */
const waiting = (oneStep: boolean): Interrupts.Exploration<Log, never> => ({
  actions: [["write"]],
  law: law(() => undefined),
  program: (stage) =>
    Effect.gen(function* () {
      let durable = false
      let wake: (() => void) | undefined
      const write = Effect.sync(() => {
        durable = true
        wake?.()
      })
      const registered = Effect.callback<void>((resume) => {
        if (oneStep && durable) return resume(Effect.void)
        wake = () => resume(Effect.void)
      })
      const writer = yield* Effect.forkChild(
        Effect.andThen(
          Effect.sleep(1),
          Effect.suspend(() => (durable ? Effect.void : write))
        )
      )
      yield* stage.arm({ write })
      yield* Effect.suspend(() => (durable ? Effect.void : registered))
      yield* stage.disarm
      yield* Fiber.join(writer)
      return []
    })
})

/** Somebody who waits until what a recorder was given is durable, while the journal answers at any step. */
const recording: Interrupts.Exploration<Log, unknown> = {
  actions: [["write"]],
  law: law(() => undefined),
  program: (stage) =>
    Effect.gen(function* () {
      const written = yield* Deferred.make<void>()
      const sessionId = "session" as SessionId
      const recorder = new Recorder(
        {
          sessionId,
          writer: {
            opened: { records: [], cutBytes: 0, cutFile: undefined },
            append: () => Deferred.await(written),
            read: () => Effect.succeed([])
          },
          context: yield* Effect.context<never>(),
          clock: yield* Clock.Clock,
          deadline: "10 seconds",
          subscribers: new Subscribers(16, 0),
          observers: [],
          onFailure: () => {}
        },
        SessionState.empty
      )
      recorder.append({ _tag: "SessionStarted", sessionId, meta: {} })
      const writer = yield* Effect.forkChild(Effect.andThen(Effect.sleep(1), Deferred.succeed(written, undefined)))
      yield* stage.arm({ write: Deferred.succeed(written, undefined) })
      yield* recorder.barrier
      yield* stage.disarm
      yield* Fiber.join(writer)
      return []
    })
}

/** Somebody who waits until a session is idle, while its turn is replaced at any step. */
const replacing: Interrupts.Exploration<Log, unknown> = {
  actions: [["replace"]],
  law: law((log) => (log.join() === "idle,replaced" ? "S4 idle before the replacement had run" : undefined)),
  program: (stage) =>
    Effect.gen(function* () {
      const { session: running } = yield* SessionHarness.make()
      const log: Array<string> = []
      const other = Effect.flatMap(running.start(Task.make("other", Effect.sleep(2))), ({ outcome }) => outcome)
      yield* running.start(Task.make("first", Effect.sleep(2)))
      yield* stage.arm({
        replace: Effect.flatMap(running.snapshot, ({ status }) =>
          // asked for while the first turn is still there
          status === "idle" ? Effect.void : Effect.map(other, () => void log.push("replaced"))
        )
      })
      yield* running.awaitIdle
      log.push("idle")
      yield* stage.disarm
      return log
    }).pipe(Effect.scoped)
}

describe("mechanisms", () => {
  it("S6 a job that is registered before it starts finds itself", () => holds(registration(true)))
  it("S6 a job that is registered after it started does not", () => finds(/^S6/, registration(false)))

  it("I3 a fenced straggler writes nothing after settling", () => holds(writing(true)))
  it("I3 a straggler without a fence writes on", () => finds(/^I3/, writing(false)))

  it("S4 a session is not idle between a turn and its replacement", () => holds(replacing))
  it("P2 whoever waits for a record to be durable is woken", () => holds(recording))
  it("I2 whoever looks and registers in one step is woken", () => holds(waiting(true)))
  it("I2 whoever looks and registers in two steps misses a wake-up", () => finds(/^deadlock/, waiting(false)))

  it("P4 a gate that is closed with the last look leaves no steered input behind", () => holds(leaving(true)))
  it("P4 a gate that stays open behind the last look does", () => finds(/^P4/, leaving(false)))
})

import { assert, describe, it } from "@effect/vitest"
import { AbortReason } from "@spindle/core/Outcome"
import * as TaskSupervisor from "@spindle/core/TaskSupervisor"
import { Cause, Deferred, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"

const Events = Schema.Array(
  Schema.Union([
    Schema.TaggedStruct("Start", {}),
    Schema.TaggedStruct("Exit", {}),
    Schema.TaggedStruct("Abort", { reason: AbortReason }),
    Schema.TaggedStruct("GraceOver", {}),
    Schema.TaggedStruct("OwnerFailed", {}),
    Schema.TaggedStruct("Settled", {})
  ])
)

/** Each line is one numbered invariant of the supervisor, as far as a single step can break it. */
const broken = (
  from: TaskSupervisor.State,
  event: TaskSupervisor.SlotEvent,
  to: TaskSupervisor.State
): ReadonlyArray<number> => {
  const starts = to._tag === "Running" && from._tag !== "Running"
  const isAborting = to._tag === "Aborting"
  const becomesAborting = isAborting && from._tag !== "Aborting"
  const settles = to._tag === "Settling" && from._tag === "Aborting"
  const rules: ReadonlyArray<readonly [number, boolean]> = [
    [1, !starts || (from._tag === "Idle" && event._tag === "Start")],
    [
      2,
      (to._tag === "Idle") ===
        (from._tag === "Idle" ? event._tag !== "Start" : from._tag === "Settling" && event._tag === "Settled")
    ],
    [3, becomesAborting === (from._tag === "Running" && event._tag === "Abort")],
    [3, !becomesAborting || (event._tag === "Abort" && isAborting && to.reason === event.reason)],
    [3, from._tag !== "Aborting" || !isAborting || to === from],
    [4, !settles || event._tag === "GraceOver" || event._tag === "OwnerFailed"],
    [5, !(from._tag === "Aborting" && event._tag === "GraceOver") || to._tag === "Settling"]
  ]
  return rules.flatMap(([number, holds]) => (holds ? [] : [number]))
}

describe("next", () => {
  it.effect.prop(
    "S1 S2 I1 any sequence of events of a slot keeps the numbered invariants",
    [Events],
    ([events]) =>
      Effect.sync(() => {
        let state = TaskSupervisor.idle
        let started = 0
        let settled = 0
        for (const event of events) {
          const to = TaskSupervisor.next(state, event)
          assert.deepStrictEqual(broken(state, event, to), [], `${state._tag} ${event._tag} ${to._tag}`)
          if (state._tag === "Idle" && to._tag === "Running") started++
          if (state._tag === "Settling" && to._tag === "Idle") settled++
          assert.include([0, 1], started - settled)
          state = to
        }
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect("S2 from every state some events lead to a free slot", () =>
    Effect.sync(() => {
      const states: ReadonlyArray<TaskSupervisor.State> = [
        TaskSupervisor.idle,
        { _tag: "Running" },
        { _tag: "Aborting", reason: "Interrupted" },
        { _tag: "Settling" }
      ]
      for (const state of states) {
        const end = (["Exit", "GraceOver", "Settled"] as const).reduce<TaskSupervisor.State>(
          (from, _tag) => TaskSupervisor.next(from, { _tag }),
          state
        )
        assert.deepStrictEqual(end, TaskSupervisor.idle)
      }
    })
  )
})

const Commands = Schema.Array(
  Schema.Union([
    /** How the task reacts to an interruption: it ends, ends later, or ends only when it is released. */
    Schema.TaggedStruct("Start", {
      manner: Schema.Literals(["polite", "slow", "deaf"]),
      onAbort: Schema.Literals(["interrupt", "signal"]),
      settles: Schema.Literals(["at once", "in a while"]),
      cleanup: Schema.Literals(["none", "quick", "hung"])
    }),
    Schema.TaggedStruct("Abort", { reason: AbortReason }),
    Schema.TaggedStruct("Returns", {}),
    Schema.TaggedStruct("Fails", {}),
    Schema.TaggedStruct("Dies", {}),
    Schema.TaggedStruct("Interrupts", {}),
    Schema.TaggedStruct("OwnerFails", {}),
    Schema.TaggedStruct("Passes", { millis: Schema.Literals([0, 1, 30, 100, 500]) })
  ])
)
type Command = (typeof Commands.Type)[number]

interface Ran {
  readonly settled: Array<TaskSupervisor.Ended<string, string>>
  readonly aborted: Array<AbortReason>
  ownerFailed: boolean
  readonly answer: Deferred.Deferred<string, string>
}

const taskOf = (command: Extract<Command, { readonly _tag: "Start" }>, answer: Deferred.Deferred<string, string>) => {
  const waits = Deferred.await(answer)
  if (command.manner === "deaf") return Effect.uninterruptible(waits)
  return command.manner === "slow" ? Effect.onInterrupt(waits, () => Effect.sleep("60 millis")) : waits
}

const job = (command: Extract<Command, { readonly _tag: "Start" }>, ran: Ran): TaskSupervisor.Job<string, string> => ({
  name: "job",
  run: (slot) => {
    if (command.cleanup !== "none") {
      const work = command.cleanup === "hung" ? Effect.never : Effect.void
      slot.onAbort({ kind: "cleanup", name: command.cleanup, run: () => work })
    }
    return taskOf(command, ran.answer)
  },
  onAbort: command.onAbort,
  grace: "100 millis",
  abortHooks: [],
  settle: (how) =>
    Effect.andThen(
      Effect.sync(() => void ran.settled.push(how)),
      command.settles === "at once" ? Effect.void : Effect.sleep("10 millis")
    ),
  onFree: () => {},
  onStragglerEnd: () => {},
  onFailure: () => {}
})

describe("a supervisor", () => {
  it.effect.prop(
    "S1 S2 I1 I3 any sequence of commands settles each start once, one at a time, and always comes to rest",
    [Commands],
    ([commands]) =>
      Effect.gen(function* () {
        yield* TestClock.adjust(0)
        const supervisor = yield* TaskSupervisor.make
        const all: Array<Ran> = []
        const end = (effect: (answer: Ran["answer"]) => Effect.Effect<unknown>) => {
          const last = all.at(-1)
          return last === undefined ? Effect.void : Effect.asVoid(effect(last.answer))
        }
        for (const command of commands) {
          const before = supervisor.state()
          switch (command._tag) {
            case "Start": {
              const ran: Ran = { settled: [], aborted: [], ownerFailed: false, answer: Deferred.makeUnsafe() }
              const started = supervisor.start(job(command, ran))
              assert.strictEqual(started, before._tag === "Idle")
              if (started) all.push(ran)
              break
            }
            case "Abort": {
              const hit = supervisor.abort(command.reason)
              assert.strictEqual(hit, before._tag === "Running")
              if (hit) all.at(-1)!.aborted.push(command.reason)
              break
            }
            case "Returns":
              yield* end((answer) => Deferred.succeed(answer, "value"))
              break
            case "Fails":
              yield* end((answer) => Deferred.fail(answer, "error"))
              break
            case "Dies":
              yield* end((answer) => Deferred.die(answer, "bug"))
              break
            case "Interrupts":
              yield* end((answer) => Deferred.interrupt(answer))
              break
            case "OwnerFails":
              if (before._tag === "Running" || before._tag === "Aborting") all.at(-1)!.ownerFailed = true
              supervisor.fail(Cause.fail("disk"))
              break
            case "Passes":
              yield* TestClock.adjust(command.millis)
          }
          const open = all.filter((one) => one.settled.length === 0)
          assert.isAtMost(open.length, 1)
          if (open.length === 1) assert.strictEqual(open[0], all.at(-1))
        }
        if (supervisor.abort("Shutdown")) all.at(-1)!.aborted.push("Shutdown")
        yield* TestClock.adjust("1 second")
        yield* supervisor.awaitIdle
        assert.deepStrictEqual(supervisor.state(), TaskSupervisor.idle)
        for (const { aborted, ownerFailed, settled } of all) {
          assert.lengthOf(settled, 1)
          const how = settled[0]!
          assert.isAtMost(aborted.length, 1)
          if (ownerFailed) assert.deepStrictEqual(how, { _tag: "Failed", cause: Cause.fail("disk") })
          else if (aborted.length === 1) {
            assert.strictEqual(how._tag, "Aborted")
            assert.strictEqual(how._tag === "Aborted" && how.reason, aborted[0])
          } else if (how._tag === "Failed") assert.isFalse(Cause.hasInterruptsOnly(how.cause))
        }
        // whatever happened, the slot can be used again (I8)
        const value = yield* Deferred.make<string, string>()
        const ran: Ran = { settled: [], aborted: [], ownerFailed: false, answer: value }
        const last = job(
          { _tag: "Start", manner: "polite", onAbort: "interrupt", settles: "at once", cleanup: "none" },
          ran
        )
        assert.isTrue(supervisor.start(last))
        for (const straggler of all) yield* Deferred.succeed(straggler.answer, "at last")
        assert.deepStrictEqual(supervisor.state(), { _tag: "Running" })
        yield* Deferred.succeed(value, "done")
        yield* supervisor.awaitIdle
        assert.deepStrictEqual(ran.settled, [{ _tag: "Completed", value: "done" }])
      }),
    { arbitrary: { runs: 300 } }
  )
})

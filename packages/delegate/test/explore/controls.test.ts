/**
 * Negative controls: for each mechanism that repairs a defect of the reference, or closes a race, a variant without it on
 * which the fault is found, beside the one with it.
 */
import { assert, describe, it } from "@effect/vitest"
import type { SessionEvent } from "@spindle/core/protocol/SessionEvent"
import * as Bridge from "@spindle/delegate/Bridge"
import * as Routing from "@spindle/delegate/Routing"
import * as Interrupts from "@spindle/testing/Interrupts"
import * as Simulation from "@spindle/testing/Simulation"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as FakeChild from "../fixtures/fakeChild.ts"

type Log = ReadonlyArray<string>

const found = (exploration: Interrupts.Exploration<Log, unknown>): ReadonlyArray<string> =>
  Interrupts.explore({ modes: ["before"], ...exploration }).violations.map(({ law }) => law)

const law =
  (of: (log: Log) => string | undefined) =>
  (exit: { readonly _tag: string; readonly value?: Log }): string | undefined =>
    exit.value === undefined ? "the program failed" : of(exit.value)

/** A parent that registers its child before it makes it, or behind. */
const spawning = (before: boolean): Interrupts.Exploration<Log, unknown> => ({
  actions: [["abort"]],
  law: law((log) => (log.at(-1) === "alive" ? "D1 a child survives" : undefined)),
  program: (stage) =>
    Effect.gen(function* () {
      let isAborted = false
      let isAlive = false
      let isEnding = false
      const registered = new Set<() => void>()
      const register = () =>
        void registered.add(() => {
          isEnding = true
          isAlive = false
        })
      const make = Effect.andThen(
        Effect.sleep(1),
        Effect.sync(() => void (isAlive = !isEnding))
      )
      // a parent that is stopping starts nothing; this is looked at in the step that registers, or begins
      const start = Effect.suspend(() => {
        if (isAborted) return Effect.void
        if (before) register()
        return before ? make : Effect.andThen(make, Effect.sync(register))
      })
      yield* stage.arm({
        abort: Effect.sync(() => {
          isAborted = true
          for (const end of registered) end()
        })
      })
      yield* start
      yield* stage.disarm
      return [isAborted && isAlive ? "alive" : "gone"]
    })
})

/** An end that others wait for: begun inside its region, or in front of it. */
const ending = (inside: boolean): Interrupts.Exploration<Log, unknown> => ({
  actions: [["interrupt"]],
  law: law(() => undefined),
  program: (stage) =>
    Effect.gen(function* () {
      const over = yield* Deferred.make<void>()
      let begun = false
      const finish = Effect.andThen(Effect.sleep(1), Deferred.succeed(over, undefined))
      const end = inside
        ? Effect.uninterruptibleMask((restore) => {
            if (begun) return restore(Deferred.await(over))
            begun = true
            return finish
          })
        : Effect.suspend((): Effect.Effect<unknown> => {
            if (begun) return Deferred.await(over)
            begun = true
            return Effect.uninterruptible(finish)
          })
      yield* stage.attack(end)
      // whoever comes later waits for the same end
      yield* end
      return []
    })
})

/** Hands submissions on, and is stopped at any step: what has left the queue has arrived. */
const handing = (peeks: boolean): Interrupts.Exploration<Log, unknown> => ({
  actions: [["interrupt"]],
  law: law((log) => (log.length === 3 ? undefined : `D2 ${3 - log.length} submissions are lost`)),
  program: (stage) =>
    Effect.gen(function* () {
      const queue = yield* Queue.bounded<string, Cause.Done>(4)
      yield* Queue.offerAll(queue, ["a", "b", "c"])
      const handed: Array<string> = []
      const hand = (value: string) => Effect.sync(() => void handed.push(value))
      const one = peeks
        ? Effect.uninterruptibleMask((restore) =>
            restore(Queue.peek(queue)).pipe(Effect.andThen(Queue.take(queue)), Effect.flatMap(hand))
          )
        : Effect.flatMap(Queue.take(queue), hand)
      yield* stage.attack(Effect.forEach([1, 2, 3], () => one, { discard: true }))
      return [...handed, ...(yield* Queue.clear(queue))]
    })
})

/** Whether an event passes while a question is open. */
const passes = (
  route: (child: Bridge.Child, decide: Effect.Effect<never>) => Effect.Effect<Bridge.Child, never, any>
) => {
  const program = Effect.scoped(
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(yield* route(fake.child, Effect.never))
      yield* fake.tell(FakeChild.request("a"), FakeChild.warning(1))
      return (yield* Effect.timeoutOption(Stream.runHead(bridge.events), "1 hour"))._tag === "Some"
    })
  ) as Effect.Effect<boolean>
  const { exit } = Simulation.run(0, program)
  return exit?._tag === "Success" && exit.value
}

describe("mechanisms", () => {
  it("D1 D6 a child that is registered before it is made is ended with its parent", () =>
    assert.deepStrictEqual(found(spawning(true)), []))
  it("D1 D6 a child that is registered behind survives a parent that stops meanwhile", () =>
    assert.include(found(spawning(false)), "D1 a child survives"))

  it("D1 an end that begins in its region comes about", () => assert.deepStrictEqual(found(ending(true)), []))
  it("D1 an end that begins in front of its region may be left to nobody", () =>
    assert.match(found(ending(false)).join(), /deadlock/))

  it("D2 what is looked at and then taken in one region is not lost", () =>
    assert.deepStrictEqual(found(handing(true)), []))
  it("D2 what is taken and then handed on may be lost", () => assert.match(found(handing(false)).join(), /are lost/))

  it("A3 a question that is decided beside the loop lets events pass", () =>
    assert.isTrue(passes((child, decide) => Routing.route(child, { decide: () => decide }))))
  it("A3 a question that is decided in the loop blocks them", () => {
    const inLoop = (child: Bridge.Child, decide: Effect.Effect<never>) =>
      Effect.succeed({
        ...child,
        events: Stream.tap(child.events, (event: SessionEvent) =>
          event._tag === "RequestOpened" ? decide : Effect.void
        )
      })
    assert.isFalse(passes(inLoop))
  })
})

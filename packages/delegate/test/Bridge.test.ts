import { assert, describe, it } from "@effect/vitest"
import type { Rejection } from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Bridge from "@spindle/delegate/Bridge"
import type { DelegateClosed } from "@spindle/delegate/DelegateError"
import * as Simulation from "@spindle/testing/Simulation"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as FakeChild from "./fixtures/fakeChild.ts"
import * as Family from "./fixtures/family.ts"

const seqs = (events: ReadonlyArray<SessionEvent>) => events.flatMap((event) => ("seq" in event ? [event.seq] : []))

/** Runs everything that can run now. */
const settle = TestClock.adjust(0)

/** Runs a program in virtual time, where a sleep ends when nothing else can run. */
const simulated = <A, E>(program: Effect.Effect<A, E, Scope.Scope>) => {
  const { exit, finding } = Simulation.run(0, Effect.scoped(program))
  assert.isUndefined(finding)
  if (exit?._tag === "Failure") throw Cause.squash(exit.cause)
}
const quiet = Effect.sleep(1)

describe("the tests of the seed", () => {
  it.effect("D2 forward_events_cancelled_while_send_blocked_shuts_down_delegate", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child, { capacity: 1 })
      // the second event finds the queue full
      yield* fake.emit(FakeChild.warning(0), FakeChild.warning(1))
      yield* settle
      yield* bridge.end("Parent")
      assert.deepStrictEqual(fake.received, [{ _tag: "Interrupt", reason: "Parent" }, { _tag: "Shutdown" }])
      assert.deepStrictEqual(seqs(yield* Stream.runCollect(bridge.events)), [0])
      yield* bridge.ended
    })
  )

  it.effect("D4 forward_ops_preserves_submission_trace_context", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child)
      const submission = FakeChild.submission("sub-1")
      yield* Queue.offer(bridge.submissions, submission)
      yield* settle
      assert.deepStrictEqual(fake.received, [{ _tag: "Submission", submission }])
      yield* bridge.end("Shutdown")
      assert.isFalse(yield* Queue.offer(bridge.submissions, submission))
    })
  )
})

describe("submissions", () => {
  it.effect("D4 each gets the receipt of the child, in order", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child)
      const ids = Array.from({ length: 20 }, (_, index) => `sub-${index}`)
      const receipts = yield* Effect.forEach(ids, (id) => bridge.submit(FakeChild.submission(id)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        receipts.map((receipt) => receipt.submissionId as string),
        ids
      )
      assert.deepStrictEqual(
        fake.received.map((one) => one._tag === "Submission" && one.submission.id),
        ids as never
      )
    })
  )

  it("D2 at most 512 wait, and the rest waits for room", () =>
    simulated(
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const fake = yield* FakeChild.make()
        const bridge = yield* Bridge.make({
          ...fake.child,
          submit: (submission) => Effect.andThen(Deferred.await(gate), fake.child.submit(submission))
        })
        const all = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 600 }), (_, index) =>
            Queue.offer(bridge.submissions, FakeChild.submission(`sub-${index}`))
          )
        )
        yield* quiet
        assert.isUndefined(all.pollUnsafe())
        // the child has one more, and has not replied
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(all)
        yield* quiet
        assert.lengthOf(fake.received, 600)
      })
    ))

  it.effect("D2 submissions that wait when the child ends fail with a named error", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make({ submit: () => Effect.never })
      const bridge = yield* Bridge.make(fake.child)
      const waiting = yield* Effect.forkChild(
        Effect.forEach(["a", "b"], (id) => Effect.flip(bridge.submit(FakeChild.submission(id))), {
          concurrency: "unbounded"
        })
      )
      yield* settle
      const ending = yield* Effect.forkChild(bridge.end("Parent"))
      // the child has the first one and may reply until the drain deadline
      yield* TestClock.adjust("500 millis")
      const errors = yield* Fiber.join(waiting)
      assert.deepStrictEqual(
        errors.map((error) => [error._tag, (error as DelegateClosed).delegateId as string, error.path as unknown]),
        [
          ["DelegateClosed", "child", ["root", "child"]],
          ["DelegateClosed", "child", ["root", "child"]]
        ]
      )
      yield* Fiber.join(ending)
      const late = yield* Effect.flip(bridge.submit(FakeChild.submission("late")))
      assert.strictEqual(late._tag, "DelegateClosed")
    })
  )

  it.effect("a child whose session is closed has ended for its caller, and other rejections are receipts", () =>
    Effect.gen(function* () {
      const rejections: ReadonlyArray<Rejection> = [
        { _tag: "SessionClosed", failure: "the disk is full" },
        { _tag: "SessionClosed" },
        { _tag: "EmptyInput" }
      ]
      let count = 0
      const fake = yield* FakeChild.make({
        submit: ({ id }) => Effect.sync(() => ({ _tag: "Rejected", submissionId: id, reason: rejections[count++]! }))
      })
      const bridge = yield* Bridge.make(fake.child)
      for (const id of ["a", "b"])
        assert.strictEqual((yield* Effect.flip(bridge.submit(FakeChild.submission(id))))._tag, "DelegateClosed")
      const receipt = yield* bridge.submit(FakeChild.submission("c"))
      assert.strictEqual(receipt._tag === "Rejected" && receipt.reason._tag, "EmptyInput")
    })
  )

  it.effect("a submission that the child fails to take is refused, and the next one goes through", () =>
    Effect.gen(function* () {
      let count = 0
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make({
        ...fake.child,
        submit: (submission) => (count++ === 0 ? Effect.fail("broken pipe") : fake.child.submit(submission))
      })
      assert.strictEqual((yield* Effect.flip(bridge.submit(FakeChild.submission("a"))))._tag, "DelegateClosed")
      assert.strictEqual((yield* bridge.submit(FakeChild.submission("b")))._tag, "Accepted")
    })
  )
})

describe("events", () => {
  it("D2 at most 512 wait; a child that emits more waits for its reader", () =>
    simulated(
      Effect.gen(function* () {
        let told = 0
        const fake = yield* FakeChild.make({
          events: Stream.range(0, 2_000).pipe(
            Stream.rechunk(1),
            Stream.map((seq) => {
              told++
              return FakeChild.warning(seq)
            })
          )
        })
        const bridge = yield* Bridge.make(fake.child)
        yield* quiet
        // the forwarder holds one more
        assert.strictEqual(told, 513)
        assert.lengthOf(yield* Stream.runCollect(bridge.events), 2_001)
      })
    ))

  it.effect("D2 a second reader is refused while the first one reads", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child)
      const first = yield* Effect.forkChild(Stream.runCollect(bridge.events))
      yield* settle
      const refused = yield* Effect.flip(Stream.runCollect(bridge.events))
      assert.deepStrictEqual([refused._tag, refused.delegateId as string], ["BridgeInUse", "child"])
      yield* Fiber.interrupt(first)
      yield* fake.emit(FakeChild.warning(7))
      yield* bridge.end("Parent")
      assert.deepStrictEqual(seqs(yield* Stream.runCollect(bridge.events)), [7])
    })
  )

  it.effect("D2 a reader that stops leaves the rest readable", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child)
      yield* fake.emit(...Array.from({ length: 10 }, (_, seq) => FakeChild.warning(seq)))
      assert.deepStrictEqual(seqs(yield* Stream.runCollect(Stream.take(bridge.events, 3))), [0, 1, 2])
      assert.deepStrictEqual(seqs(yield* Stream.runCollect(Stream.take(bridge.events, 1))), [3])
      yield* bridge.end("Parent")
      assert.deepStrictEqual(seqs(yield* Stream.runCollect(bridge.events)), [4, 5, 6, 7, 8, 9])
    })
  )

  it.effect("D2 a reader that fails leaves the rest to the next reader, each event once", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child, { capacity: 4 })
      const seen: Array<number> = []
      const stopped = yield* Effect.exit(
        Effect.andThen(
          fake.emit(...Array.from({ length: 30 }, (_, seq) => FakeChild.warning(seq))),
          Stream.runForEach(bridge.events, (event) => {
            seen.push(...seqs([event]))
            return seen.length === 7 ? Effect.fail("enough") : Effect.void
          })
        )
      )
      assert.strictEqual(stopped._tag, "Failure")
      const rest = yield* Effect.forkChild(
        Stream.runForEach(bridge.events, (event) => Effect.sync(() => void seen.push(...seqs([event]))))
      )
      yield* settle
      assert.strictEqual((yield* Effect.flip(Stream.runCollect(bridge.events)))._tag, "BridgeInUse")
      yield* bridge.end("Parent")
      yield* Fiber.join(rest)
      assert.deepStrictEqual(
        seen,
        Array.from({ length: 30 }, (_, seq) => seq)
      )
    })
  )

  it.effect("D3 token counts, settings and questions are not forwarded, nor is what the options exclude", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child, { forward: (event) => !("seq" in event) || event.seq !== 2 })
      yield* fake.emit(
        { _tag: "SessionStarted", seq: 0, at: 0, sessionId: "child" as never, meta: {} },
        { _tag: "SessionResumed", seq: 0, at: 0, cutBytes: 0 },
        FakeChild.question("r", 1),
        {
          _tag: "QuestionSettled",
          seq: 1,
          at: 0,
          questionId: "r" as never,
          decision: { _tag: "Cancelled", by: "end" }
        },
        FakeChild.warning(2),
        { _tag: "TextDelta", turnId: "t" as never, itemId: "i" as never, offset: 0, text: "delta" },
        FakeChild.warning(3)
      )
      yield* settle
      yield* bridge.end("Parent")
      const events = yield* Stream.runCollect(bridge.events)
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        ["TextDelta", "Warning"]
      )
    })
  )

  it.effect("D2 D3 a filter that throws forwards the event and every later one, and is logged once", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const fake = yield* FakeChild.make()
      const forward = (event: SessionEvent) => {
        if ("seq" in event && event.seq < 2) throw new Error("a bug")
        return true
      }
      const bridge = yield* Effect.provide(Bridge.make(fake.child, { forward }), Logger.layer([logger]))
      yield* fake.emit(FakeChild.warning(0), FakeChild.warning(1), FakeChild.warning(2))
      yield* settle
      yield* bridge.end("Parent")
      const events = yield* Stream.runCollect(bridge.events)
      assert.deepStrictEqual(seqs(events), [0, 1, 2])
      assert.deepStrictEqual(logged, [["forward failed: a bug"]])
    })
  )

  it.effect("D2 events that fail end the bridge's events", () =>
    Effect.gen(function* () {
      const broken: Stream.Stream<SessionEvent, string> = Stream.concat(
        Stream.succeed(FakeChild.warning(0)),
        Stream.fail("gone")
      )
      const fake = yield* FakeChild.make({ events: broken })
      const bridge = yield* Bridge.make(fake.child)
      assert.deepStrictEqual(seqs(yield* Stream.runCollect(bridge.events)), [0])
    })
  )
})

describe("a bridge that nobody ends", () => {
  const stopped: Array<FakeChild.Received> = [{ _tag: "Interrupt", reason: "Parent" }, { _tag: "Shutdown" }]

  /** Runs a task that makes a bridge and then does this. Returns the family, the child and the turn. */
  const bridgeInTurn = Effect.fnUntraced(function* (
    options: Bridge.BridgeOptions & { readonly child?: Partial<Bridge.Child> },
    then: Effect.Effect<unknown>
  ) {
    const fake = yield* FakeChild.make(options.child)
    // a scope that stays open after the turn
    const scope = yield* Effect.scope
    const family = yield* Family.make()
    const making = Effect.provideService(Bridge.make(fake.child, options), Scope.Scope, scope)
    const running = yield* family.start(Effect.andThen(making, then))
    return { fake, family, running }
  })

  it.effect("D2 ends its child when its scope closes, within the drain deadline", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make({ events: Stream.never })
      const closing = yield* Effect.forkChild(Effect.scoped(Bridge.make(fake.child)))
      yield* TestClock.adjust("499 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(fake.received, stopped)
    })
  )

  it.effect("D2 ends its child with the turn that made it: an abort interrupts it, shuts it down and drains it", () =>
    Effect.gen(function* () {
      const made = yield* Deferred.make<Bridge.Bridge>()
      const fake = yield* FakeChild.make()
      const scope = yield* Effect.scope
      const family = yield* Family.make()
      const last = fake.emit(FakeChild.warning(1))
      const child = { ...fake.child, shutdown: Effect.andThen(last, fake.child.shutdown) }
      const running = yield* family.start(
        Bridge.make(child).pipe(
          Effect.provideService(Scope.Scope, scope),
          Effect.flatMap((bridge) => Deferred.succeed(made, bridge)),
          Effect.andThen(Effect.never)
        )
      )
      const bridge = yield* Deferred.await(made)
      yield* family.root.session.abort()
      assert.strictEqual((yield* running.outcome)._tag, "Aborted")
      assert.deepStrictEqual(fake.received, stopped)
      assert.deepStrictEqual(seqs(yield* Stream.runCollect(bridge.events)), [1])
    })
  )

  it.effect("D1 an aborted turn names a child that is still ending", () =>
    Effect.gen(function* () {
      const ready = yield* Deferred.make<void>()
      const hanging = { events: Stream.never, shutdown: Effect.never }
      const { family, running } = yield* bridgeInTurn(
        { name: "reviewer", child: hanging },
        Effect.andThen(Deferred.succeed(ready, undefined), Effect.never)
      )
      yield* Deferred.await(ready)
      yield* family.root.session.abort()
      yield* TestClock.adjust("500 millis")
      yield* running.outcome
      const aborted = family.root.events.find((event) => event._tag === "TurnAborted")
      assert.deepStrictEqual(
        aborted?.stragglers.map(({ kind, name }) => [kind, name]),
        [["delegate", "reviewer"]]
      )
    })
  )

  it.effect("D1 a turn that returns ends its child first", () =>
    Effect.gen(function* () {
      const { fake, running } = yield* bridgeInTurn({}, Effect.void)
      assert.strictEqual((yield* running.outcome)._tag, "Completed")
      assert.deepStrictEqual(fake.received, stopped)
    })
  )

  it.effect("D2 ends its child if it is made in a turn that is stopping", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const scope = yield* Effect.scope
      const family = yield* Family.make()
      const ready = yield* Deferred.make<void>()
      const late = Effect.provideService(Bridge.make(fake.child), Scope.Scope, scope)
      yield* family.start(
        Effect.andThen(
          Deferred.succeed(ready, undefined),
          Effect.onInterrupt(Effect.never, () => Effect.asVoid(late))
        )
      )
      yield* Deferred.await(ready)
      yield* family.root.session.abort()
      yield* family.root.session.awaitIdle
      yield* settle
      assert.deepStrictEqual(fake.received, stopped)
    })
  )

  it.effect("D7 a detached one keeps its child until its scope closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { fake, family, running } = yield* Effect.provideService(
        bridgeInTurn({ detached: true }, Effect.never),
        Scope.Scope,
        scope
      )
      yield* settle
      yield* family.root.session.abort()
      yield* running.outcome
      assert.deepStrictEqual(fake.received, [])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(fake.received, stopped)
    })
  )
})

describe("end", () => {
  it.effect("D2 waits no longer than the drain deadline for a child that hangs", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make({ events: Stream.never, shutdown: Effect.uninterruptible(Effect.never) })
      const bridge = yield* Bridge.make(fake.child)
      const ending = yield* Effect.forkChild(bridge.end("Parent"))
      yield* TestClock.adjust("499 millis")
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(ending)
      assert.deepStrictEqual(yield* Stream.runCollect(bridge.events), [])
    })
  )

  it.effect("D2 shuts a child down whose interruption dies", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make({ interrupt: () => Effect.die(new Error("no connection")) })
      const bridge = yield* Bridge.make(fake.child)
      yield* bridge.end("Parent")
      assert.deepStrictEqual(fake.received, [{ _tag: "Shutdown" }])
    })
  )

  it.effect("D2 happens once, however often it is called", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child)
      yield* Effect.all([bridge.end("Parent"), bridge.end("Deadline"), bridge.end("Shutdown")], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(fake.received, [{ _tag: "Interrupt", reason: "Parent" }, { _tag: "Shutdown" }])
    })
  )

  it.effect("D2 events that the child emits at its end are readable as far as there is room", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(
        {
          ...fake.child,
          shutdown: Effect.andThen(fake.emit(FakeChild.warning(1), FakeChild.warning(2)), fake.child.shutdown)
        },
        { capacity: 2 }
      )
      yield* fake.emit(FakeChild.warning(0))
      yield* settle
      yield* bridge.end("Parent")
      assert.deepStrictEqual(seqs(yield* Stream.runCollect(bridge.events)), [0, 1])
    })
  )

  it.effect("closing the scope ends queues and waiters", () =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Effect.scoped(Bridge.make(fake.child))
      assert.deepStrictEqual(yield* Stream.runCollect(bridge.events), [])
      assert.strictEqual((yield* Effect.flip(bridge.submit(FakeChild.submission("a"))))._tag, "DelegateClosed")
      yield* bridge.ended
    })
  )
})

/** Cases of bridges with a child that the program plays. */
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { Turn } from "@spindle/core/Turn"
import * as Bridge from "@spindle/delegate/Bridge"
import * as RemoteApprovals from "@spindle/delegate/RemoteApprovals"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as FakeChild from "../fixtures/fakeChild.ts"
import * as Family from "../fixtures/family.ts"
import { type Case, found, shows } from "./exploring.ts"

const seqs = (events: ReadonlyArray<SessionEvent>): string =>
  events.map((event) => ("seq" in event ? event.seq : event._tag)).join()

/** A question that is not answered, and that the child settles itself (A2, A3). */
const askingElsewhere: Case = shows(
  Effect.gen(function* () {
    const fake = yield* FakeChild.make()
    let asking = 0
    const decide = () =>
      Effect.acquireUseRelease(
        Effect.sync(() => void asking++),
        () => Effect.never,
        () => Effect.sync(() => void asking--)
      )
    const bridge = yield* Bridge.make(yield* RemoteApprovals.route(fake.child, { decide }))
    yield* fake.emit(FakeChild.question("a"), FakeChild.warning(1))
    const passed = yield* Effect.timeoutOption(Stream.runHead(bridge.events), "1 hour")
    if (passed._tag === "None") return "A3 an open question blocks an event"
    yield* fake.emit(FakeChild.settled("a"), FakeChild.warning(2))
    yield* Effect.timeoutOption(Stream.runHead(bridge.events), "1 hour")
    return found(asking > 0, "A2 the parent shows a question that the child has settled")
  })
)

/** A caller that ends a bridge is interrupted at any step, and another one ends it again (D1). */
const endingABridge: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child)
      yield* stage.attack(bridge.end("Parent"))
      yield* bridge.end("Parent")
      return undefined
    })
  ),
  actions: [["interrupt"]]
}

/** A child that is blocked on a full queue when it is ended (D2). */
const endingAFullQueue: Case = shows(
  Effect.gen(function* () {
    const fake = yield* FakeChild.make()
    const bridge = yield* Bridge.make(fake.child, { capacity: 2 })
    yield* fake.emit(...[1, 2, 3, 4].map(FakeChild.warning))
    yield* Effect.sleep(1)
    const from = yield* Clock.currentTimeMillis
    yield* bridge.end("Parent")
    const millis = (yield* Clock.currentTimeMillis) - from
    if (millis > 0) return `D2 the end of a full bridge took ${millis} ms`
    const read = yield* Effect.exit(Effect.map(Stream.runCollect(bridge.events), seqs))
    const all = Exit.isSuccess(read) ? read.value : "nothing"
    return found(all !== "1,2", `D2 1,2 was queued, and ${all} is readable`)
  })
)

/** A child that emits an event while it ends (D2). */
const lastWords: Case = shows(
  Effect.gen(function* () {
    const fake = yield* FakeChild.make()
    const shutdown = Effect.andThen(
      Effect.sleep(50),
      Effect.andThen(fake.emit(FakeChild.warning(2)), fake.child.shutdown)
    )
    const bridge = yield* Bridge.make({ ...fake.child, shutdown })
    yield* fake.emit(FakeChild.warning(1))
    yield* Effect.sleep(1)
    yield* bridge.end("Parent")
    const read = seqs(yield* Stream.runCollect(bridge.events))
    return found(read !== "1,2", `D2 1,2 was emitted, and ${read} is readable`)
  })
)

/** A child that hangs in every call. Each wait for it is bounded (D2). */
const hangingChild: Case = shows(
  Effect.gen(function* () {
    const hang = Effect.uninterruptible(Effect.sleep("1 hour"))
    const fake = yield* FakeChild.make()
    const from = yield* Clock.currentTimeMillis
    yield* Effect.gen(function* () {
      const bridge = yield* Bridge.make({
        ...fake.child,
        submit: () => Effect.andThen(hang, Effect.die("it has hung")),
        shutdown: hang
      })
      const submitting = yield* Effect.forkChild(Effect.exit(bridge.submit(FakeChild.submission("a"))))
      yield* Effect.sleep(1)
      yield* bridge.end("Parent")
      yield* Fiber.join(submitting)
    }).pipe(Effect.scoped)
    const millis = (yield* Clock.currentTimeMillis) - from
    // lets the detached calls end
    yield* Effect.sleep("2 hours")
    return found(millis > 501, `D2 the end of a child that hangs took ${millis} ms`)
  })
)

/** A reader of a child that emits more than there is room for, in any schedule (D2). */
const readingAFullQueue: Case = {
  ...shows(
    Effect.gen(function* () {
      const fake = yield* FakeChild.make()
      const bridge = yield* Bridge.make(fake.child, { capacity: 1 })
      yield* fake.emit(...[1, 2, 3, 4].map(FakeChild.warning))
      const read = seqs(yield* Stream.runCollect(Stream.take(bridge.events, 4)))
      return found(read !== "1,2,3,4", `D2 of the events 1,2,3,4 were read ${read}`)
    })
  ),
  seeds: Array.from({ length: 40 }, (_, seed) => seed),
  preemption: 0.3
}

/** A submission that is handed over while the bridge ends, at any step (D2). */
const handingOver: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      // its finalizers run concurrently, so the forwarder may be interrupted before the end of the bridge begins
      const scope = yield* Scope.make("parallel")
      const fake = yield* FakeChild.make()
      const bridge = yield* Effect.provideService(Bridge.make(fake.child), Scope.Scope, scope)
      yield* stage.arm({ end: bridge.end("Parent"), close: Scope.close(scope, Exit.void) })
      const exit = yield* Effect.exit(bridge.submit(FakeChild.submission("a")))
      yield* stage.disarm
      yield* bridge.end("Parent")
      const hasIt = fake.received.some(({ _tag }) => _tag === "Submission")
      return found(Exit.isFailure(exit) && hasIt, "D2 the child has a submission whose sender was refused")
    })
  ),
  actions: [["end"], ["close"]]
}

/** A bridge that is left without an `end`: its scope closes (D2). */
const leavingABridge: Case = shows(
  Effect.gen(function* () {
    const fake = yield* FakeChild.make()
    yield* Effect.scoped(Bridge.make(fake.child))
    const tags = fake.received.map(({ _tag }) => _tag).join()
    return found(tags !== "Interrupt,Shutdown", `D2 a child whose bridge has closed received ${tags}`)
  })
)

/** A bridge that a turn makes, and a question of its child (A3, D2). */
const bridgingInATurn: Case = shows(
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const family = yield* Family.make()
    const fake = yield* FakeChild.make()
    yield* family.start(
      Effect.gen(function* () {
        const { ask } = yield* Turn
        yield* Bridge.make(yield* RemoteApprovals.route(fake.child, RemoteApprovals.askParent(ask)))
        return yield* Effect.never
      }).pipe(Effect.provideService(Scope.Scope, scope))
    )
    yield* fake.emit(FakeChild.question("a"))
    yield* Effect.sleep(1)
    const opened = family.root.events.find((event) => event._tag === "QuestionOpened")
    if (opened?.callId === undefined) return "A3 a question does not name its call at the parent"
    yield* family.root.session.abort()
    yield* Effect.sleep("1 second")
    const isTold = fake.received.some(({ _tag }) => _tag === "Shutdown")
    return found(!isTold, "D2 the child of a turn that was aborted is not shut down")
  })
)

export const casesOfBridges = {
  askingElsewhere,
  endingABridge,
  endingAFullQueue,
  lastWords,
  hangingChild,
  readingAFullQueue,
  handingOver,
  leavingABridge,
  bridgingInATurn
}

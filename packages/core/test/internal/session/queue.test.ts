import { assert, describe, it } from "@effect/vitest"
import type { SubmissionId, TurnId } from "@spindle/core/Ids"
import * as Inbox from "@spindle/core/Inbox"
import * as Input from "@spindle/core/Input"
import * as SessionState from "@spindle/core/SessionState"
import * as TaskSupervisor from "@spindle/core/TaskSupervisor"
import { Deferred, Effect, Fiber, Tracer } from "effect"
import { Queue, type QueueState, startable } from "../../../src/internal/session/queue.ts"
import type { TraceParent } from "../../../src/internal/session/submissionSpan.ts"

const idle: QueueState = { isOpen: true, isEmpty: false, isReplacing: false, turn: "none" }

describe("startable", () => {
  it.effect("P2 S4 S7 depends on the session, the queue, a replacement and the turn in the slot", () =>
    Effect.sync(() => {
      const rows: ReadonlyArray<readonly [Partial<QueueState>, ReturnType<typeof startable>]> = [
        [{}, "now"],
        [{ isOpen: false }, "no"],
        [{ isEmpty: true }, "no"],
        // the end of a turn that runs decides
        [{ turn: "open" }, "no"],
        [{ turn: "open", isReplacing: true }, "no"],
        // no terminal record names this input
        [{ turn: "ended" }, "later"],
        [{ isReplacing: true }, "later"],
        [{ turn: "ended", isReplacing: true }, "later"],
        [{ turn: "ended", isOpen: false }, "no"]
      ]
      for (const [change, verdict] of rows) {
        assert.strictEqual(startable({ ...idle, ...change }), verdict, JSON.stringify(change))
      }
    })
  )
})

const entry = (id: string): Inbox.Entry => ({
  submissionId: id as SubmissionId,
  input: Input.text(id),
  turnId: undefined
})

/** A queue over entries, in a slot that is free until `take`; starting an entry takes it out of the inbox. */
const make = Effect.fnUntraced(function* (...ids: ReadonlyArray<string>) {
  let inbox: Inbox.Inbox = ids.map(entry)
  let state: TaskSupervisor.State = TaskSupervisor.idle
  const started: Array<string> = []
  const parents: Array<string> = []
  const queue = new Queue({
    context: yield* Effect.context<never>(),
    supervisor: { state: () => state, awaitIdle: Effect.void },
    isOpen: () => true,
    stateOf: () => ({ ...SessionState.empty, inbox }),
    start: ({ submissionId }, parent) => {
      if (submissionId.startsWith("blocked")) {
        inbox = Inbox.remove(inbox, [submissionId])
        return { _tag: "Blocked" }
      }
      started.push(submissionId)
      if (parent !== undefined) parents.push(parent.trace.traceparent)
      inbox = Inbox.remove(inbox, [submissionId])
      queue.onTurnStart()
      return { _tag: "Started", turnId: submissionId as string as TurnId }
    }
  })
  const settling = () => void (state = { _tag: "Settling" })
  const free = () => void (state = TaskSupervisor.idle)
  const drop = (id: string) => void (inbox = Inbox.remove(inbox, [id as SubmissionId]))
  return { queue, started, parents, settling, free, drop }
})

const failed = { _tag: "Aborted", reason: "Interrupted", stragglers: [] } as const
const completed = { _tag: "Completed", value: undefined } as const

const parent: TraceParent = {
  trace: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
  span: Tracer.externalSpan({ spanId: "b7ad6b7169203331", traceId: "0af7651916cd43dd8448eb211c80319c" })
}

/** The input whose trace parents a queue remembers: only its memory shows what was forgotten. */
const remembered = (queue: Queue): ReadonlyArray<string> => [...Reflect.get(queue, "parents").keys()]

describe("the trace parent of input that waits", () => {
  it.effect("O1 is remembered until the input starts a turn, which gets it", () =>
    Effect.gen(function* () {
      const { parents, queue } = yield* make("a", "b")
      for (const id of ["a", "b"]) queue.remember(id as SubmissionId, parent)
      queue.startNext()
      assert.deepStrictEqual(parents, [parent.trace.traceparent])
      assert.deepStrictEqual(remembered(queue), ["b"])
    })
  )

  it.effect("O1 is forgotten when a turn has ended that carried or dropped the input", () =>
    Effect.gen(function* () {
      const { drop, queue } = yield* make("a", "b")
      for (const id of ["a", "b"]) queue.remember(id as SubmissionId, parent)
      drop("a")
      queue.onTurnEnd(failed)
      assert.deepStrictEqual(remembered(queue), ["b"])
    })
  )
})

describe("a queue", () => {
  it.effect("P3 starts its head in a free slot", () =>
    Effect.gen(function* () {
      const { queue, started } = yield* make("a", "b")
      assert.strictEqual(queue.startNext(), "a" as TurnId)
      assert.deepStrictEqual(started, ["a"])
    })
  )

  it.effect("P2 goes past a task that can no longer start", () =>
    Effect.gen(function* () {
      const { queue, started } = yield* make("blocked a", "blocked b", "c")
      assert.strictEqual(queue.startNext(), "c" as TurnId)
      assert.deepStrictEqual(started, ["c"])
    })
  )

  it.effect("P6 starts a submission ahead of the queue only while it waits", () =>
    Effect.gen(function* () {
      const { queue, started } = yield* make("a", "b")
      assert.deepStrictEqual(queue.startAhead("b" as SubmissionId), { _tag: "Started", turnId: "b" as TurnId })
      assert.deepStrictEqual(queue.startAhead("b" as SubmissionId), { _tag: "Gone" })
      assert.deepStrictEqual(started, ["b"])
    })
  )

  it.effect("P2 continues after a turn that completed, and not after one that was aborted", () =>
    Effect.gen(function* () {
      const { queue, started } = yield* make("a", "b")
      queue.onTurnEnd(failed)
      yield* queue.awaitIdle
      assert.deepStrictEqual(started, [])
      queue.onTurnEnd(completed)
      yield* queue.awaitIdle
      assert.deepStrictEqual(started, ["a"])
    })
  )

  it.effect("P2 starts after any end what came after the record of that end", () =>
    Effect.gen(function* () {
      const { free, queue, settling, started } = yield* make("a")
      settling()
      assert.isUndefined(queue.startNext())
      free()
      queue.onTurnEnd(failed)
      yield* queue.awaitIdle
      assert.deepStrictEqual(started, ["a"])
    })
  )

  it.effect("P1 gives input that comes now a position, or none if it starts at once", () =>
    Effect.gen(function* () {
      assert.isUndefined((yield* make()).queue.nextPosition)
      assert.strictEqual((yield* make("a")).queue.nextPosition, 0)
      const taken = yield* make("a", "b")
      taken.settling()
      assert.strictEqual(taken.queue.nextPosition, 2)
    })
  )

  it.effect("S4 starts nothing while a replacement waits or runs, and what it held back afterwards", () =>
    Effect.gen(function* () {
      const { queue, started } = yield* make("a")
      const gate = yield* Deferred.make<void>()
      const replacement = yield* Effect.forkChild(queue.replace(Deferred.await(gate)), { startImmediately: true })
      assert.isUndefined(queue.startNext())
      assert.deepStrictEqual(started, [])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(replacement)
      assert.deepStrictEqual(started, ["a"])
    })
  )

  it.effect("S4 runs replacements one at a time, in order of arrival", () =>
    Effect.gen(function* () {
      const { queue } = yield* make()
      const seen: Array<string> = []
      const gates = yield* Effect.forEach(["a", "b", "c"], () => Deferred.make<void>())
      const fibers = yield* Effect.forEach(gates, (gate, index) =>
        Effect.forkChild(
          queue.replace(
            Effect.sync(() => void seen.push(`in ${index}`)).pipe(
              Effect.andThen(Deferred.await(gate)),
              Effect.andThen(Effect.sync(() => void seen.push(`out ${index}`)))
            )
          ),
          { startImmediately: true }
        )
      )
      yield* Effect.forEach(gates.toReversed(), (gate) => Deferred.succeed(gate, undefined))
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(seen, ["in 0", "out 0", "in 1", "out 1", "in 2", "out 2"])
    })
  )
})

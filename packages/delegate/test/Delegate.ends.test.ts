import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import * as Delegate from "@spindle/delegate/Delegate"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Family from "./fixtures/family.ts"

const isTold = (tag: string) => (event: { readonly _tag: string }) => event._tag === tag

/** A delegate that works until it is stopped. */
const working = (options: Partial<Delegate.DelegateOptions<never>> = {}) =>
  Effect.tap(Delegate.start({ ...Family.endless, ...options }), (child) => child.submit(Op.userInput("work")))

const hanging: ScriptedModel.Script = () => [ScriptedModel.pieces("half"), ScriptedModel.hang]

const reasonOf = (family: Family.Family, delegate: Delegate.Delegate): string | undefined => {
  const terminal = Family.terminalOf(family.told(delegate.delegateId))
  return terminal?._tag === "TurnAborted" ? terminal.reason : terminal?._tag
}

describe("linked delegates", () => {
  const ends = {
    completes: Effect.void,
    fails: Effect.fail("wrong"),
    dies: Effect.die("broken"),
    "interrupts itself": Effect.interrupt
  } as const
  for (const [how, ending] of Object.entries(ends)) {
    it.effect(`D1 end, all together, with a turn that ${how}`, () =>
      Effect.gen(function* () {
        const family = yield* Family.make({ script: hanging })
        const begun = yield* Deferred.make<ReadonlyArray<Delegate.Delegate>>()
        const go = yield* Deferred.make<void>()
        const running = yield* family.start(
          Effect.gen(function* () {
            yield* Deferred.succeed(begun, yield* Effect.forEach([1, 2, 3], () => working()))
            yield* Effect.andThen(Deferred.await(go), ending as Effect.Effect<void, string>)
          })
        )
        const children = yield* Deferred.await(begun)
        yield* Effect.forEach(children, (child) =>
          family.awaitTold((event, id) => event._tag === "TextDelta" && id === child.delegateId)
        )
        yield* Deferred.succeed(go, undefined)
        yield* running.outcome
        yield* Effect.forEach(children, ({ awaitClosed }) => awaitClosed)
        assert.deepStrictEqual(
          children.map((child) => reasonOf(family, child)),
          ["Parent", "Parent", "Parent"]
        )
        assert.strictEqual(family.model.openCount(), 0)
      })
    )
  }

  it.effect("D1 end with a turn that is aborted or replaced, and so does a tree of them", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: hanging })
      for (const how of ["abort", "replace"] as const) {
        const running = yield* family.start(Effect.andThen(working(), Effect.never))
        const childId = yield* family.awaitTold(
          (event, id) => event._tag === "TextDelta" && Family.terminalOf(family.told(id)) === undefined
        )
        if (how === "abort") yield* family.root.session.abort()
        else yield* Effect.flatMap(family.start(Effect.void), ({ outcome }) => outcome)
        yield* running.outcome
        const terminal = Family.terminalOf(family.told(childId))
        assert.strictEqual(terminal?._tag === "TurnAborted" && terminal.reason, "Parent")
      }
    })
  )

  it.effect("D1 one that cannot be interrupted is named by the abort, and has ended by the drain deadline", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) => [ScriptedModel.call("deaf", {}, `c${request.items.length}`)]
      })
      const runs = yield* Deferred.make<void>()
      const run = () =>
        Effect.uninterruptible(Effect.andThen(Deferred.succeed(runs, undefined), Effect.sleep("1 hour")))
      const deaf = Family.withTools({ deaf: { run } })
      // the child's grace is longer than its parent's
      yield* family.start(
        deaf.provide(Effect.andThen(working({ agent: deaf.agent, config: { grace: "300 millis" } }), Effect.never))
      )
      const childId = yield* family.awaitTold(
        (event) => event._tag === "ItemRecorded" && event.item._tag === "ToolCall"
      )
      yield* Deferred.await(runs)
      yield* family.root.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* family.root.session.awaitIdle
      const terminal = Family.terminalOf(family.root.events)
      assert.deepStrictEqual(terminal?._tag === "TurnAborted" && terminal.stragglers, [
        { kind: "delegate", name: "subagent" }
      ])
      yield* TestClock.adjust("200 millis")
      yield* family.awaitTold(isTold("StragglerEnded"))
      const ended = Family.terminalOf(family.told(childId))
      assert.deepStrictEqual(ended?._tag === "TurnAborted" && ended.stragglers[0]?.kind, "task")
    })
  )

  it.effect("D1 none outlives the scope of the session that started it", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const family = yield* Family.make({ script: hanging }).pipe(Effect.provideService(Scope.Scope, scope))
      let children: ReadonlyArray<Delegate.Delegate> = []
      yield* family.start(
        Effect.gen(function* () {
          children = [yield* working(), yield* working({ detached: true })]
          return yield* Effect.never
        })
      )
      yield* family.awaitTold(isTold("TextDelta"))
      yield* Scope.close(scope, Exit.void)
      yield* Effect.forEach(children, ({ awaitClosed }) => awaitClosed)
      for (const child of children) assert.strictEqual((yield* child.status)._tag, "Shutdown")
      assert.strictEqual(family.model.openCount(), 0)
    })
  )

  it.effect("I3 a parent that waits for its child is stopped within its own grace", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: hanging })
      const running = yield* family.start(Effect.flatMap(working(), ({ settled }) => settled))
      yield* family.awaitTold(isTold("TextDelta"))
      yield* family.root.session.abort()
      assert.strictEqual((yield* running.outcome)._tag, "Aborted")
    })
  )

  it.effect("D1 the abort of a child leaves its parent running, and the parent learns of it", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: hanging })
      const status = yield* family.run(
        Effect.gen(function* () {
          const child = yield* working()
          yield* Effect.forkChild(
            Effect.andThen(
              family.awaitTold((event, id) => event._tag === "TextDelta" && id === child.delegateId),
              child.abort()
            )
          )
          return yield* child.settled
        })
      )
      assert.deepStrictEqual(status, { _tag: "Interrupted", reason: "Interrupted", message: "half" })
    })
  )
})

describe("one-shot delegates", () => {
  it.effect("D5 end after a terminal event of any kind", () =>
    Effect.gen(function* () {
      const scripts: { readonly [tag: string]: ScriptedModel.Script } = {
        Answered: Family.echo,
        Errored: () => [ScriptedModel.fail("Unauthorized")],
        Died: () => [ScriptedModel.die("broken")]
      }
      for (const [how, script] of Object.entries(scripts)) {
        const family = yield* Family.make({ script })
        const result = yield* Effect.result(
          family.run(Delegate.runOnce({ ...Family.endless, input: Input.text("once") }))
        )
        assert.strictEqual(result._tag, how === "Answered" ? "Success" : "Failure")
        if (result._tag === "Failure") {
          assert.deepInclude(result.failure, { _tag: "DelegateFailed" })
        }
        assert.strictEqual(family.root.tags().filter((tag) => tag === "DelegateEnded").length, 1)
      }
    })
  )

  it.effect("D5 take exactly one input", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      yield* family.run(Delegate.runOnce({ ...Family.endless, input: Input.text("once") }))
      const [, childId] = family.sessions()
      const tags = Family.tags(family.told(childId!))
      assert.strictEqual(tags.filter((tag) => tag === "InputAccepted").length, 1)
      assert.strictEqual(tags.at(-1), "TurnCompleted")
    })
  )

  it.effect("D5 never cancel the scope of their caller", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: () => [ScriptedModel.die("broken")] })
      const log: Array<string> = []
      const after = yield* family.run(
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => void log.push("closed")))
          const error = yield* Effect.flip(Delegate.runOnce({ ...Family.endless, input: Input.text("once") }))
          return [error._tag, log.length] as const
        })
      )
      assert.deepStrictEqual(after, ["DelegateFailed", 0])
    })
  )

  it.effect("D5 interrupting the caller ends the delegate, and only it", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: hanging })
      const result = yield* family.run(
        Effect.gen(function* () {
          const once = yield* Effect.forkChild(Delegate.runOnce({ ...Family.endless, input: Input.text("once") }))
          yield* family.awaitTold(isTold("TextDelta"))
          yield* Fiber.interrupt(once)
          return family.model.openCount()
        })
      )
      assert.strictEqual(result, 0)
    })
  )
})

describe("the deadline of a delegate", () => {
  it.effect("D7 is its own, and never longer than its parent's", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: hanging })
      const closed = yield* Deferred.make<number>()
      yield* family.start(
        Effect.gen(function* () {
          const child = yield* working({ deadline: "3 minutes" })
          yield* child.awaitClosed
          yield* Deferred.succeed(closed, 1)
          return yield* Effect.never
        })
      )
      yield* family.awaitTold(isTold("TextDelta"))
      yield* TestClock.adjust("179 seconds")
      assert.isFalse(yield* Deferred.isDone(closed))
      yield* TestClock.adjust("1 seconds")
      yield* Deferred.await(closed)
      yield* family.root.session.abort()
    })
  )
})

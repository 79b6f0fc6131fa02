/** The gate in front of calls that may change something. */
import { assert, describe, it } from "@effect/vitest"
import { MutationGate } from "@spindle/core/MutationGate"
import * as Task from "@spindle/core/Task"
import * as Harness from "@spindle/testing/SessionHarness"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { assertTurns, warningsOf } from "../fixtures/turns.ts"

const call = (name: string, callId: string) => ScriptedModel.call(name, {}, callId)

/** A session with a tool that writes, one that reads, and one whose policy decides, behind a gate. */
const gated = Effect.fnUntraced(function* (
  pass: Effect.Effect<void>,
  { decide = () => true, script }: { readonly script: ScriptedModel.Script; readonly decide?: () => boolean }
) {
  const ran: Array<string> = []
  const turns: Array<string> = []
  const tool = (name: string, mutates?: boolean | (() => boolean)) => ({
    run: () => Effect.sync(() => void ran.push(name)),
    policy: mutates === undefined ? {} : { mutates }
  })
  const gate: MutationGate = {
    forTurn: (turn) => {
      turns.push(turn.turnId)
      return {
        ...gate,
        pass: Effect.andThen(
          Effect.sync(() => void ran.push("gate")),
          pass
        )
      }
    },
    pass: Effect.die("only the gate of a turn is passed")
  }
  const harness = yield* Effect.provideService(
    Harness.make({
      script,
      tools: { write: tool("write"), read: tool("read", false), decide: tool("decide", decide) }
    }),
    MutationGate,
    gate
  )
  return { harness, ran, turns }
})

describe("the gate of a turn", () => {
  it.effect("holds calls that may change something, and no others", () =>
    Effect.gen(function* () {
      const open = yield* Deferred.make<void>()
      const { harness, ran, turns } = yield* gated(Deferred.await(open), {
        script: [[call("write", "1"), call("read", "2"), call("decide", "3")], ScriptedModel.text("done")]
      })
      yield* harness.submit("go")
      yield* harness.awaitEvent(Harness.hasTag("ModelResponded"))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(ran.toSorted(), ["gate", "gate", "read"])
      yield* Deferred.succeed(open, undefined)
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(ran.toSorted(), ["decide", "gate", "gate", "read", "write"])
      assert.strictEqual(turns.length, 1)
      assertTurns(harness.events)
    })
  )

  it.effect("is not passed by a call that its policy calls reading", () =>
    Effect.gen(function* () {
      const { harness, ran } = yield* gated(Effect.never, {
        decide: () => false,
        script: [[call("decide", "1")], ScriptedModel.text("done")]
      })
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(ran, ["decide"])
    })
  )

  it.effect("that dies is reported, and the call runs", () =>
    Effect.gen(function* () {
      const { harness, ran } = yield* gated(Effect.die(new Error("broken")), {
        script: [[call("write", "1")], ScriptedModel.text("done")]
      })
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(ran, ["gate", "write"])
      const warnings = warningsOf(harness.records())
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], "broken")
    })
  )

  it.effect("that cannot be made is reported, and its turn runs without one, as later turns do", () =>
    Effect.gen(function* () {
      const broken: MutationGate = {
        forTurn: () => {
          throw new Error("broken")
        },
        pass: Effect.die("it is the gate of no turn")
      }
      const harness = yield* Effect.provideService(
        Harness.make({
          script: [[call("write", "1")], ScriptedModel.text("done"), ScriptedModel.text("again")],
          tools: { write: { run: () => Effect.void } }
        }),
        MutationGate,
        broken
      )
      for (const text of ["one", "two"]) assert.strictEqual((yield* harness.run(text))._tag, "TurnCompleted")
      const warnings = warningsOf(harness.records())
      const warning = "MutationGate.forTurn failed: broken"
      assert.deepStrictEqual(warnings, [warning, warning])
    })
  )

  it.effect("a function that throws fails its call, and nothing passes the gate", () =>
    Effect.gen(function* () {
      const decide = (): boolean => {
        throw new Error("no idea")
      }
      const { harness, ran } = yield* gated(Effect.void, {
        decide,
        script: [[call("decide", "1")], ScriptedModel.text("done")]
      })
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(ran, [])
      const results = (yield* harness.session.snapshot).items.flatMap((one) => (one._tag === "ToolResult" ? [one] : []))
      assert.deepStrictEqual(
        results.map(({ status }) => status),
        ["failed"]
      )
    })
  )

  it.effect("I2 an abort interrupts the calls that wait, and starts none", () =>
    Effect.gen(function* () {
      const { harness, ran } = yield* gated(Effect.never, {
        script: [[call("write", "1")], ScriptedModel.text("done")]
      })
      yield* harness.submit("go")
      yield* harness.awaitEvent(Harness.hasTag("ModelResponded"))
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(ran, ["gate"])
      assertTurns(harness.events)
    })
  )
})

describe("the abort hook of a task", () => {
  const slow = Task.make("slow", Effect.never, {
    abortHook: (turn) => Effect.andThen(Effect.sleep("5 seconds"), turn.say("cleaned up")),
    abortHookLimit: "10 seconds"
  })

  it.effect("I2 has the limit that its task gives it", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const { outcome } = yield* harness.session.start(slow)
      const ended = yield* Effect.forkChild(outcome)
      yield* harness.session.abort()
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Fiber.join(ended))._tag, "Aborted")
      assert.isTrue((yield* harness.session.snapshot).items.some((one) => one._tag === "AssistantMessage"))
      assertTurns(harness.events)
    })
  )

  it.effect("S7 is waited for by a session that closes", () =>
    Effect.gen(function* () {
      const closing = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const harness = yield* Harness.make()
            yield* harness.session.start(slow)
            return harness
          })
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("6 seconds")
      const harness = yield* Fiber.join(closing)
      assert.isTrue(
        harness.records().some((one) => one._tag === "ItemRecorded" && one.item._tag === "AssistantMessage")
      )
      assertTurns(harness.events)
    })
  )
})

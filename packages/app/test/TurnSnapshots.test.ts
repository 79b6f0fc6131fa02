/** When a turn takes its snapshots, and what happens if it cannot. */
import { assert, describe, it } from "@effect/vitest"
import { MutationGate } from "@spindle/core/MutationGate"
import * as Delegate from "@spindle/delegate/Delegate"
import * as Input from "@spindle/core/Input"
import { Journal } from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import { SessionObserver } from "@spindle/core/SessionObserver"
import * as Harness from "@spindle/testing/SessionHarness"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Git from "@spindle/tools/Git"
import { SnapshotFailed, Snapshots } from "@spindle/tools/Snapshots"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as TurnSnapshots from "../src/TurnSnapshots.ts"
import * as Fake from "./fixtures/snapshots.ts"

const call = (name: string, callId: string) => ScriptedModel.call(name, {}, callId)

type Tools = NonNullable<Harness.HarnessOptions["tools"]>

/** A session whose turns take snapshots, and the log of these and of the calls. */
const session = Effect.fnUntraced(function* (
  script: ScriptedModel.Script,
  {
    fake = Fake.make(),
    more,
    service = fake.service
  }: {
    readonly fake?: ReturnType<typeof Fake.make>
    readonly service?: Snapshots
    readonly more?: (log: Array<string>) => Tools
  } = {}
) {
  const { log } = fake
  const journal = yield* Harness.memoryJournal
  const turns = yield* TurnSnapshots.make("/").pipe(
    Effect.provideService(Snapshots, service),
    Effect.provideService(Journal, journal)
  )
  const tool = (name: string, mutates: boolean) => ({
    run: () => Effect.sync(() => void log.push(name)),
    policy: { mutates }
  })
  const harness = yield* Harness.make({
    script,
    journal,
    tools: { write: tool("write", true), read: tool("read", false), ...more?.(log) }
  }).pipe(Effect.provideService(MutationGate, turns.gate), Effect.provideService(SessionObserver, turns.observer))
  const run = Effect.fnUntraced(function* (text: string) {
    const end = yield* harness.run(text)
    // the snapshot after the turn is taken in another fiber
    yield* TestClock.adjust("1 second")
    return end
  })
  const shown = () => log.map((line) => line.replace(harness.session.sessionId, "session"))
  return { harness, run, shown }
})

const warnings = (harness: Harness.SessionHarness) =>
  harness.records().flatMap((one) => (one._tag === "Warning" ? [one.message] : []))

describe("a turn", () => {
  it.effect("takes a snapshot before its first mutating call, and one after its end", () =>
    Effect.gen(function* () {
      const { harness, run, shown } = yield* session([
        [call("read", "1")],
        [call("write", "2"), call("write", "3")],
        [call("write", "4")],
        ScriptedModel.text("done")
      ])
      yield* run("go")
      assert.deepStrictEqual(
        shown().filter((line) => line !== "collect"),
        ["read", "begin session", "write", "write", "write", "complete session 1"]
      )
      const notes = harness.records().flatMap((one) => (one._tag === "TaskNote" ? [one.data] : []))
      assert.deepStrictEqual(notes, [{ snapshotId: "1", leftOut: 0 }])
    })
  )

  it.effect("without a mutating call takes none", () =>
    Effect.gen(function* () {
      const { run, shown } = yield* session([[call("read", "1")], ScriptedModel.text("done")])
      yield* run("go")
      assert.deepStrictEqual(shown(), ["read"])
    })
  )

  it.effect("that is aborted while its snapshot is taken has none", () =>
    Effect.gen(function* () {
      const fake = Fake.make({ begin: Effect.never })
      const { harness, shown } = yield* session([[call("write", "1")]], { fake })
      yield* harness.submit("go")
      yield* harness.awaitEvent(Harness.hasTag("ModelResponded"))
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(shown(), [])
    })
  )

  it.effect("warns after 240 seconds, and waits on", () =>
    Effect.gen(function* () {
      const fake = Fake.make({ begin: Effect.sleep("250 seconds") })
      const { harness, shown } = yield* session([[call("write", "1")], ScriptedModel.text("done")], { fake })
      yield* harness.submit("go")
      yield* harness.awaitEvent(Harness.hasTag("ModelResponded"))
      yield* TestClock.adjust("239 seconds")
      assert.deepStrictEqual(warnings(harness), [])
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(warnings(harness).length, 1)
      assert.notInclude(shown(), "write")
      yield* TestClock.adjust("10 seconds")
      yield* harness.session.awaitIdle
      assert.include(shown(), "write")
    })
  )

  it.effect("runs without a snapshot that fails, and says so once", () =>
    Effect.gen(function* () {
      const fake = Fake.make()
      const service = { ...fake.service, begin: () => Effect.fail(new SnapshotFailed({ detail: "the disk is full" })) }
      const turn = [[call("write", "1")], ScriptedModel.text("done")]
      const { harness, run, shown } = yield* session([...turn, ...turn], { fake, service })
      yield* run("one")
      yield* run("two")
      assert.deepStrictEqual(warnings(harness), ["this turn cannot be undone: the disk is full"])
      assert.deepStrictEqual(shown(), ["write", "write"])
    })
  )

  it.effect("outside a repository says nothing", () =>
    Effect.gen(function* () {
      const fake = Fake.make()
      const error = new Git.GitFailed({ problem: "NotARepository", subject: "/", detail: "" })
      const service = { ...fake.service, begin: () => Effect.fail(error) }
      const { harness, run } = yield* session([[call("write", "1")], ScriptedModel.text("done")], { fake, service })
      assert.strictEqual((yield* run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(warnings(harness), [])
    })
  )

  it.effect("shares its snapshot with its delegates", () =>
    Effect.gen(function* () {
      const child = ScriptedModel.make([[call("write", "c")], ScriptedModel.text("child done")])
      const { run, shown } = yield* session([[call("delegate", "1")], ScriptedModel.text("done")], {
        more: (log) => {
          const { agent, handlers } = Harness.agentOf({
            write: { run: () => Effect.sync(() => void log.push("write")), policy: { mutates: true } }
          })
          const start = Delegate.runOnce({ agent, input: Input.text("go"), deadline: "1 minute" }).pipe(
            Effect.provide(Layer.merge(handlers, Layer.succeed(Model, child.model)))
          )
          return {
            delegate: { run: () => start as Effect.Effect<unknown, unknown, never>, policy: { mutates: false } }
          }
        }
      })
      yield* run("go")
      assert.deepStrictEqual(
        shown().filter((line) => line !== "collect"),
        ["begin session", "write", "complete session 1"]
      )
    })
  )
})

/** Hooks in sessions: their turn, their verdicts, and what an abort does to them. */
import { assert, describe, it } from "@effect/vitest"
import * as Hooks from "@spindle/core/Hooks"
import type { NewQuestion } from "@spindle/core/Turn"
import { Turn } from "@spindle/core/Turn"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import * as Task from "@spindle/core/Task"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Context, Deferred, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { warningsOf } from "../fixtures/turns.ts"

const { call, text } = ScriptedModel

type OwnHooks = Partial<Hooks.Hooks<Hooks.HookFailed, Turn>>

/** The messages of the history that are not from the model, and the results of calls. */
const seenBy = ({ session }: SessionHarness.SessionHarness) =>
  Effect.map(session.snapshot, ({ items }) =>
    items.flatMap((item) => {
      if (item._tag === "DeveloperMessage") return [`developer: ${item.text}`]
      if (item._tag === "ToolResult") return [`${item.status}: ${String(item.output)}`]
      if (item._tag !== "UserMessage" || item.fragment !== undefined) return []
      return item.content.flatMap((part) => (part._tag === "Text" ? [`user: ${part.text}`] : []))
    })
  )

const tool = { run: () => Effect.succeed("ran") }

describe("a hook", () => {
  it.effect("gets the turn that it runs in, wherever it runs", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [string, boolean]> = []
      const note = <A>(name: string, value: A) =>
        Effect.map(Turn, (turn) => {
          seen.push([name, turn.sessionId === harness.session.sessionId])
          return value
        })
      const hooks: OwnHooks = {
        sessionStart: () => note("sessionStart", { contexts: [] }),
        userPromptSubmit: () => note("userPromptSubmit", { block: false, contexts: [] }),
        preToolUse: () => note("preToolUse", { deny: false }),
        permissionRequest: () => note("permissionRequest", { decision: "allow" as const }),
        postToolUse: () => note("postToolUse", []),
        stop: () => note("stop", {}),
        notification: () => note("notification", undefined)
      }
      const harness: SessionHarness.SessionHarness = yield* SessionHarness.make({
        hooks,
        script: [[call("tool", {}, "c1")], [text("done")]],
        tools: { tool: { ...tool, policy: { approval: "ask" } } }
      })
      yield* harness.run("go")
      const names = [
        "sessionStart",
        "userPromptSubmit",
        "preToolUse",
        "permissionRequest",
        "postToolUse",
        "stop",
        "notification"
      ]
      assert.deepStrictEqual(
        seen,
        names.map((name) => [name, true])
      )
    })
  )

  it.effect("records through its turn", () =>
    Effect.gen(function* () {
      const hooks: OwnHooks = {
        userPromptSubmit: () =>
          Effect.flatMap(Turn, (turn) => Effect.as(turn.warn("looked"), { block: false, contexts: [] }))
      }
      const harness = yield* SessionHarness.make({ hooks, script: [[text("done")]] })
      yield* harness.run("go")
      assert.deepStrictEqual(warningsOf(harness.records()), ["looked"])
    })
  )

  it.effect("gets what else it needs from the layer", () =>
    Effect.gen(function* () {
      class Greeting extends Context.Service<Greeting, string>()("Greeting") {}
      const hooks: Hooks.Hooks<never, Greeting | Turn> = {
        ...Hooks.none,
        userPromptSubmit: () => Effect.map(Greeting, (greeting) => ({ block: false, contexts: [greeting] }))
      }
      const layer = Layer.provide(Hooks.layer(hooks), Layer.succeed(Greeting, "hello"))
      const captured = Context.get(yield* Layer.build(layer), Hooks.Hooks)
      const harness = yield* SessionHarness.make({ hooks: captured, script: [[text("done")]] })
      yield* harness.run("go")
      assert.deepStrictEqual(yield* seenBy(harness), ["user: go", "developer: hello"])
    })
  )
})

describe("a hook at the start of a session that stops", () => {
  it.effect("P2 P5 blocks the input of its turn by name, keeps its contexts, and is not asked again", () =>
    Effect.gen(function* () {
      const sessionStart = () => Effect.succeed({ contexts: ["context"], stop: "not today" })
      const harness = yield* SessionHarness.make({ hooks: { sessionStart }, script: [[text("done")]] })
      const receipt = yield* harness.submit("one")
      yield* harness.session.awaitIdle
      const blocked = harness.records().flatMap((record) => (record._tag === "InputBlocked" ? [record] : []))
      assert.deepStrictEqual(
        blocked.map(({ reason, submissionId }) => [submissionId, reason]),
        [[receipt.submissionId, "not today"]]
      )
      assert.lengthOf(harness.requests, 0)
      yield* harness.run("two")
      assert.deepStrictEqual(yield* seenBy(harness), ["developer: context", "user: two"])
    })
  )
})

describe("permission hooks", () => {
  const make = (verdict: Hooks.PermissionVerdict, asked: Array<NewQuestion>) =>
    SessionHarness.make({
      script: [[call("tool", { a: 1 }, "c1")], [text("done")]],
      tools: { tool: { ...tool, policy: { approval: "ask", kind: "command" } } },
      hooks: { permissionRequest: (_, question) => Effect.sync(() => (asked.push(question), verdict)) },
      approvals: { decide: () => Effect.succeed({ _tag: "Denied", reason: "the person" }) }
    })

  for (const [verdict, result, questions] of [
    [{ decision: "allow" }, "completed: ran", 0],
    [{ decision: "deny", reason: "the hook" }, "denied: rejected: the hook", 0],
    [{ decision: "ask" }, "denied: rejected: the person", 1]
  ] as ReadonlyArray<readonly [Hooks.PermissionVerdict, string, number]>) {
    it.effect(`A1 decide before a question is opened: ${verdict.decision}`, () =>
      Effect.gen(function* () {
        const asked: Array<NewQuestion> = []
        const harness = yield* make(verdict, asked)
        yield* harness.run("go")
        assert.deepStrictEqual(yield* seenBy(harness), ["user: go", result])
        assert.deepStrictEqual(asked, [{ kind: "command", callId: "c1", tool: "tool", payload: { a: 1 } }] as never)
        assert.lengthOf(
          harness.records().filter((record) => record._tag === "QuestionOpened"),
          questions
        )
        const decided = harness.records().flatMap((record) => (record._tag === "CallDecided" ? [record] : []))
        assert.deepStrictEqual(
          decided.map(({ permission, source }) => [permission, source]),
          verdict.decision === "ask" ? [] : [[verdict.decision, "hook"]]
        )
      })
    )
  }

  it.effect("I3 record nothing when they return after their turn has ended", () =>
    Effect.gen(function* () {
      const [entered, release, left] = [
        yield* Deferred.make<void>(),
        yield* Deferred.make<void>(),
        yield* Deferred.make<void>()
      ]
      const harness = yield* SessionHarness.make({
        hooks: {
          permissionRequest: () =>
            Effect.uninterruptible(
              Effect.as(Effect.andThen(Deferred.succeed(entered, undefined), Deferred.await(release)), {
                decision: "allow" as const
              })
            )
        }
      })
      const asking = Effect.flatMap(Turn, (turn) => turn.ask({ kind: "command", payload: {} }))
      const task = Task.make("asking", Effect.ensuring(asking, Deferred.succeed(left, undefined)))
      yield* harness.session.start(task)
      yield* Deferred.await(entered)
      yield* harness.session.abort()
      yield* TestClock.adjust("1 second")
      yield* harness.session.awaitIdle
      yield* Deferred.succeed(release, undefined)
      yield* Deferred.await(left)
      assert.notInclude(harness.tags(), "CallDecided")
    })
  )

  it.effect("are not asked about a question for words, nor about that of a child", () =>
    Effect.gen(function* () {
      let count = 0
      const harness = yield* SessionHarness.make({
        hooks: { permissionRequest: () => Effect.sync(() => (count++, { decision: "deny" as const })) },
        approvals: { decide: () => Effect.succeed({ _tag: "Approved", scope: "once" }) }
      })
      const task = Task.make(
        "asking",
        Effect.gen(function* () {
          const turn = yield* Turn
          return [
            yield* turn.ask({ kind: "question", payload: {} }),
            yield* turn.ask({ kind: "command", payload: {}, asker: { path: [turn.sessionId] } }),
            yield* turn.ask({ kind: "command", payload: {} })
          ].map(({ _tag }) => _tag)
        })
      )
      const { outcome } = yield* harness.session.start(task)
      const ended = yield* outcome
      assert.deepStrictEqual(ended._tag === "Completed" && ended.value, ["Approved", "Approved", "Denied"])
      assert.strictEqual(count, 1)
    })
  )
})

describe("hooks after tools", () => {
  it.effect("I6 add developer messages once all calls of the response have their results", () =>
    Effect.gen(function* () {
      const later = yield* Deferred.make<void>()
      const harness = yield* SessionHarness.make({
        script: [[call("slow", {}, "c1"), call("quick", {}, "c2")], [text("done")]],
        tools: {
          slow: { run: () => Effect.as(Deferred.await(later), "slow") },
          quick: { run: () => Effect.succeed("quick") }
        },
        hooks: {
          postToolUse: (_, name) =>
            Effect.as(name === "quick" ? Deferred.succeed(later, undefined) : Effect.void, [`after ${name}`])
        }
      })
      yield* harness.run("go")
      assert.deepStrictEqual(yield* seenBy(harness), [
        "user: go",
        "completed: slow",
        "completed: quick",
        "developer: after slow",
        "developer: after quick"
      ])
    })
  )
})

describe("input that is left at the end of a turn", () => {
  it.effect("P5 passes its hooks in the turn, each input with its own limit", () =>
    Effect.gen(function* () {
      const turns: Array<string> = []
      const harness = yield* SessionHarness.make({
        policy: SessionPolicy.reference,
        hooks: {
          userPromptSubmit: (turnId) =>
            Effect.gen(function* () {
              yield* Effect.sleep("6 seconds")
              turns.push((yield* Turn).turnId === turnId ? "own" : "other")
              return { block: false, contexts: [] }
            })
        }
      })
      const end = yield* Deferred.make<void>()
      const { outcome } = yield* harness.session.start(Task.make("custom", Deferred.await(end), { steerable: true }))
      for (const input of ["a", "b", "c"]) yield* harness.submit(input)
      yield* Deferred.succeed(end, undefined)
      yield* TestClock.adjust("18 seconds")
      yield* outcome
      assert.deepStrictEqual(turns, ["own", "own", "own"])
      assert.deepStrictEqual(yield* seenBy(harness), ["user: a", "user: b", "user: c"])
      assert.lengthOf(harness.requests, 0)
    })
  )

  it.effect("P4 is not joined by input that comes while its hooks run", () =>
    Effect.gen(function* () {
      const [entered, release] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let isFirst = true
      const harness = yield* SessionHarness.make({
        policy: SessionPolicy.reference,
        script: [[text("done")]],
        hooks: {
          userPromptSubmit: () =>
            Effect.gen(function* () {
              if (isFirst) yield* Effect.andThen(Deferred.succeed(entered, undefined), Deferred.await(release))
              isFirst = false
              return { block: false, contexts: [] }
            })
        }
      })
      const end = yield* Deferred.make<void>()
      yield* harness.session.start(Task.make("custom", Deferred.await(end), { steerable: true }))
      assert.strictEqual((yield* harness.submit("a"))._tag, "Steered")
      yield* Deferred.succeed(end, undefined)
      yield* Deferred.await(entered)
      assert.strictEqual((yield* harness.submit("b"))._tag, "Queued")
      yield* Deferred.succeed(release, undefined)
      yield* harness.session.awaitIdle
      assert.lengthOf(
        harness.records().filter((record) => record._tag === "TurnStarted"),
        2
      )
    })
  )
})

describe("an abort", () => {
  const script = [[call("tool", {}, "c1")], [text("done")], [text("again")], [text("again")]]
  // those of a compaction are in CompactTask.test.ts
  type Name = Exclude<keyof Hooks.Hooks, "preCompact" | "postCompact" | "interrupt">
  const verdicts: { readonly [One in Name]: Effect.Success<ReturnType<Hooks.Hooks[One]>> } = {
    sessionStart: { contexts: [] },
    userPromptSubmit: { block: false, contexts: [] },
    preToolUse: { deny: false },
    permissionRequest: { decision: "allow" },
    postToolUse: [],
    stop: {},
    notification: undefined
  }

  for (const hook of Object.keys(verdicts) as ReadonlyArray<Name>) {
    for (const [how, hang] of [
      ["hangs", Effect.never],
      ["ignores interruptions", Effect.uninterruptible(Effect.never)],
      ["stops its own turn", Effect.flatMap(Turn, (turn) => Effect.andThen(turn.abort("Interrupted"), Effect.never))]
    ] as ReadonlyArray<readonly [string, Effect.Effect<never, never, Turn>]>) {
      it.effect(`I1 I3 I8 of a turn whose hook ${hook} ${how} ends it, and the next turn works`, () =>
        Effect.gen(function* () {
          const entered = yield* Deferred.make<void>()
          let isFirst = true
          const own = () =>
            Effect.suspend((): Effect.Effect<any, never, Turn> => {
              if (!isFirst) return Effect.succeed(verdicts[hook])
              isFirst = false
              return Effect.andThen(Deferred.succeed(entered, undefined), hang)
            })
          const harness = yield* SessionHarness.make({
            script,
            hooks: { [hook]: own },
            tools: { tool: { ...tool, policy: { approval: "ask" } } },
            approvals: { decide: () => Effect.succeed({ _tag: "Approved", scope: "once" }) }
          })
          yield* harness.submit("one")
          yield* Deferred.await(entered)
          yield* harness.session.abort()
          yield* TestClock.adjust("1 second")
          yield* harness.session.awaitIdle
          const ends = harness.records().flatMap((record) => (record._tag === "TurnAborted" ? [record.reason] : []))
          assert.deepStrictEqual(ends, ["Interrupted"])
          assert.strictEqual((yield* harness.run("two"))._tag, "TurnCompleted")
        })
      )
    }
  }
})

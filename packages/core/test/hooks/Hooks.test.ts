import { assert, describe, it } from "@effect/vitest"
import * as Hooks from "@spindle/core/Hooks"
import type { SessionId, TurnId } from "@spindle/core/Ids"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect, Exit, Fiber, pipe, Schema } from "effect"
import { TestClock } from "effect/testing"
import { warningsOf } from "../fixtures/turns.ts"

const { call, text } = ScriptedModel
const [sessionId, turnId] = ["s" as SessionId, "t" as TurnId]

const Text = Schema.Literals(["a", "b", "c"])
/** What one set of hooks decides, and which of its hooks fails. */
const Decisions = Schema.Struct({
  contexts: Schema.Array(Text).check(Schema.isMaxLength(2)),
  block: Schema.UndefinedOr(Text),
  deny: Schema.UndefinedOr(Text),
  continueWith: Schema.UndefinedOr(Text),
  fails: Schema.UndefinedOr(
    Schema.Literals([
      "sessionStart",
      "userPromptSubmit",
      "preToolUse",
      "permissionRequest",
      "postToolUse",
      "preCompact",
      "postCompact",
      "stop",
      "interrupt",
      "notification"
    ])
  )
})

/** Hooks that decide like that, and log under a name that they were called. */
const hooksOf = (decisions: typeof Decisions.Type, name: string, log: Array<string>): Hooks.Hooks<Hooks.HookFailed> => {
  const decide = <A>(hook: string, verdict: A) =>
    Effect.suspend(() => {
      log.push(`${name} ${hook}`)
      return decisions.fails === hook
        ? Effect.fail(new Hooks.HookFailed({ hook, reason: name }))
        : Effect.succeed(verdict)
    })
  const { block, contexts, continueWith, deny } = decisions
  return {
    sessionStart: () => decide("sessionStart", { contexts }),
    userPromptSubmit: () =>
      decide(
        "userPromptSubmit",
        block === undefined ? { block: false, contexts } : { block: true, reason: block, contexts }
      ),
    preToolUse: () => decide("preToolUse", deny === undefined ? { deny: false } : { deny: true, reason: deny }),
    permissionRequest: () =>
      decide(
        "permissionRequest",
        deny === undefined ? { decision: "ask" as const } : { decision: "deny" as const, reason: deny }
      ),
    postToolUse: () => decide("postToolUse", contexts),
    preCompact: () => decide("preCompact", deny === undefined ? { deny: false } : { deny: true, reason: deny }),
    postCompact: () => decide("postCompact", undefined),
    stop: () => decide("stop", continueWith === undefined ? {} : { continueWith }),
    interrupt: () => decide("interrupt", undefined),
    notification: () => decide("notification", undefined)
  }
}

const completes: Hooks.Notification = { _tag: "TurnCompletes", lastMessage: "last" }

/** Calls each hook. */
const calls = <E>(hooks: Hooks.Hooks<E>): ReadonlyArray<readonly [string, Effect.Effect<unknown, E>]> => [
  ["sessionStart", hooks.sessionStart(sessionId, "new")],
  ["userPromptSubmit", hooks.userPromptSubmit(turnId, "hello")],
  ["preToolUse", hooks.preToolUse(turnId, "tool", {})],
  ["postToolUse", hooks.postToolUse(turnId, "tool", {})],
  ["stop", hooks.stop(turnId, { lastMessage: undefined, continuations: 0 })],
  ["permissionRequest", hooks.permissionRequest(turnId, { kind: "command", payload: {} })],
  ["preCompact", hooks.preCompact(turnId, "manual")],
  ["postCompact", hooks.postCompact(turnId, "manual")],
  ["interrupt", hooks.interrupt(turnId, "Replaced")],
  ["notification", hooks.notification(turnId, completes)]
]

/** Everything that hooks decide, one hook after the other, and the order in which they were called. */
const observe = (
  make: (
    of: (decisions: typeof Decisions.Type, name: string) => Hooks.Hooks<Hooks.HookFailed>
  ) => Hooks.Hooks<Hooks.HookFailed>
) => {
  const log: Array<string> = []
  const hooks = make((decisions, name) => hooksOf(decisions, name, log))
  const result = <A>(effect: Effect.Effect<A, Hooks.HookFailed>) =>
    Effect.runSync(
      Effect.match(effect, { onFailure: (error) => ({ error: error.message }), onSuccess: (value) => ({ value }) })
    )
  const verdicts = [
    result(hooks.sessionStart(sessionId, "new")),
    result(hooks.userPromptSubmit(turnId, "hello")),
    result(hooks.preToolUse(turnId, "tool", {})),
    result(hooks.postToolUse(turnId, "tool", {})),
    result(hooks.stop(turnId, { lastMessage: "last", continuations: 0 })),
    result(hooks.permissionRequest(turnId, { kind: "command", payload: {} })),
    result(hooks.preCompact(turnId, "auto")),
    result(hooks.postCompact(turnId, "auto")),
    result(hooks.interrupt(turnId, "Interrupted")),
    result(hooks.notification(turnId, completes))
  ]
  return { verdicts, log }
}

describe("Hooks.combine", () => {
  it.prop("is associative", [Decisions, Decisions, Decisions], ([a, b, c]) => {
    assert.deepStrictEqual(
      observe((of) => Hooks.combine(Hooks.combine(of(a, "a"), of(b, "b")), of(c, "c"))),
      observe((of) => Hooks.combine(of(a, "a"), Hooks.combine(of(b, "b"), of(c, "c"))))
    )
  })

  it.prop("has no hooks as its identity, on both sides", [Decisions], ([a]) => {
    const alone = observe((of) => of(a, "a"))
    assert.deepStrictEqual(
      observe((of) => Hooks.combine(of(a, "a"), Hooks.none)),
      alone
    )
    assert.deepStrictEqual(
      observe((of) => Hooks.combine(Hooks.none, of(a, "a"))),
      alone
    )
  })

  it.prop("decides as its hooks in order", [Decisions, Decisions], ([a, b]) => {
    const plain = { ...a, fails: undefined }
    const [start, prompt, tool, post, stop, permission, compaction] = observe((of) =>
      Hooks.combine(of(plain, "a"), of({ ...b, fails: undefined }, "b"))
    ).verdicts
    assert.deepStrictEqual(start, { value: { contexts: [...a.contexts, ...b.contexts] } })
    assert.deepStrictEqual(post, { value: [...a.contexts, ...b.contexts] })
    const reason = a.block ?? b.block
    const contexts = a.block === undefined ? [...a.contexts, ...b.contexts] : a.contexts
    assert.deepStrictEqual(prompt, {
      value: reason === undefined ? { block: false, contexts } : { block: true, reason, contexts }
    })
    const denial = a.deny ?? b.deny
    assert.deepStrictEqual(tool, { value: denial === undefined ? { deny: false } : { deny: true, reason: denial } })
    assert.deepStrictEqual(compaction, tool)
    assert.deepStrictEqual(permission, {
      value: denial === undefined ? { decision: "ask" } : { decision: "deny", reason: denial }
    })
    const continueWith = a.continueWith ?? b.continueWith
    assert.deepStrictEqual(stop, { value: continueWith === undefined ? {} : { continueWith } })
  })

  it("is pipeable", () => {
    const pipeable = Hooks.combine(Hooks.none)(Hooks.none)
    assert.deepStrictEqual(Effect.runSync(pipeable.preToolUse(turnId, "tool", {})), { deny: false })
  })
})

describe("Hooks.mapError", () => {
  class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { host: Schema.String }) {}
  const unreachable = Effect.fail(new Unreachable({ host: "policy.example" }))
  const hooks: Hooks.Hooks<Unreachable> = { ...Hooks.none, preToolUse: () => unreachable, stop: () => unreachable }

  it.effect("changes the errors of hooks, by name, so that a session can run them", () =>
    Effect.gen(function* () {
      // @ts-expect-error a session takes hooks that fail with `HookFailed`
      // @effect-diagnostics-next-line missingEffectError:off
      Hooks.layer(hooks)
      const mapped = Hooks.mapError(
        hooks,
        ({ host }, hook) => new Hooks.HookFailed({ hook, reason: `${host} is unreachable` })
      )
      const h = yield* SessionHarness.make({ script: [[text("fine")]], hooks: mapped })
      yield* h.run("hello")
      const warnings = h.records().flatMap((record) => (record._tag === "Warning" ? [record.message] : []))
      assert.deepStrictEqual(warnings, ["the hook stop failed: policy.example is unreachable"])
    })
  )

  it.effect("changes no verdict", () =>
    Effect.gen(function* () {
      const mapped = calls(Hooks.mapError(hooks, ({ host }) => host))
      for (const [at, [hook, effect]] of calls(Hooks.none).entries()) {
        const exit = yield* Effect.exit(mapped[at]![1])
        const isBroken = hook === "preToolUse" || hook === "stop"
        assert.deepStrictEqual(exit, isBroken ? Exit.fail("policy.example") : yield* Effect.exit(effect))
      }
    })
  )
})

describe("a hook that does not return in time, or fails", () => {
  const hanging: Hooks.Hooks = {
    sessionStart: () => Effect.never,
    userPromptSubmit: () => Effect.never,
    preToolUse: () => Effect.never,
    permissionRequest: () => Effect.never,
    postToolUse: () => Effect.never,
    preCompact: () => Effect.never,
    postCompact: () => Effect.never,
    stop: () => Effect.never,
    interrupt: () => Effect.never,
    notification: () => Effect.never
  }

  it.effect("fails at the deadline, by name", () =>
    Effect.gen(function* () {
      for (const [hook, effect] of calls(Hooks.withDeadline(hanging, "5 seconds"))) {
        const fiber = yield* Effect.forkChild(Effect.flip(effect), { startImmediately: true })
        yield* TestClock.adjust("4999 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 milli")
        const reason = "it did not return within 5s"
        assert.deepStrictEqual(yield* Fiber.join(fiber), new Hooks.HookFailed({ hook, reason }))
      }
    })
  )

  it.effect("changes nothing if it fails open", () =>
    Effect.gen(function* () {
      const late = Hooks.failOpen(Hooks.withDeadline(hanging, "5 seconds"))
      const verdicts: Array<unknown> = []
      for (const [, effect] of calls(late)) {
        const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
        yield* TestClock.adjust("5 seconds")
        verdicts.push(yield* Fiber.join(fiber))
      }
      assert.deepStrictEqual(verdicts, [
        { contexts: [] },
        { block: false, contexts: [] },
        { deny: false },
        [],
        {},
        { decision: "ask" },
        { deny: false },
        undefined,
        undefined,
        undefined
      ])
    })
  )

  it.effect("blocks and denies if it is guarded, and is reported", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const failing: Hooks.Hooks<Hooks.HookFailed> = {
        ...Hooks.none,
        userPromptSubmit: () => Effect.fail(new Hooks.HookFailed({ hook: "userPromptSubmit", reason: "exit code 2" })),
        preToolUse: () => {
          throw new Error("a bug")
        }
      }
      const guarded = pipe(
        failing,
        Hooks.guard((message) => Effect.sync(() => void warnings.push(message)))
      )
      const [blocked, denied] = ["the hook userPromptSubmit failed: exit code 2", "the hook preToolUse failed: a bug"]
      assert.deepStrictEqual(yield* guarded.userPromptSubmit(turnId, "hello"), {
        block: true,
        reason: blocked,
        contexts: []
      })
      assert.deepStrictEqual(yield* guarded.preToolUse(turnId, "tool", {}), { deny: true, reason: denied })
      assert.deepStrictEqual(warnings, [blocked, denied])
    })
  )
})

describe("a session whose hook dies", () => {
  const bug = Effect.die(new Error("a bug"))
  /** Dies at the first call. */
  const once = <A>(verdict: A) => {
    let calls = 0
    return () => Effect.suspend(() => (calls++ === 0 ? bug : Effect.succeed(verdict)))
  }

  it.effect("P5 once, records its input as blocked, and the next turn works, after a resume as well", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const h = yield* SessionHarness.make({
            journal,
            script: [[text("hello")]],
            hooks: { userPromptSubmit: once({ block: false, contexts: [] }) }
          })
          assert.strictEqual((yield* h.run("lost"))._tag, "TurnCompleted")
          const blocked = h.records().flatMap((one) => (one._tag === "InputBlocked" ? [one.reason] : []))
          assert.deepStrictEqual(blocked, ["the hook userPromptSubmit failed: a bug"])
          assert.deepStrictEqual(warningsOf(h.events), blocked)
          assert.deepStrictEqual((yield* h.session.snapshot).waiting, [])
          const last = yield* h.run("kept")
          assert.strictEqual(last._tag === "TurnCompleted" && last.lastMessage, "hello")
          return h
        })
      )
      const again = yield* SessionHarness.make({
        journal,
        resume: first.session.sessionId,
        script: [[text("again")]]
      })
      const last = yield* again.run("more")
      assert.strictEqual(last._tag === "TurnCompleted" && last.lastMessage, "again")
      assert.deepStrictEqual(
        again.requests[0]!.items.flatMap((item) => (item._tag === "UserMessage" ? item.content : [])),
        ["kept", "more"].map((text) => ({ _tag: "Text" as const, text }))
      )
    })
  )

  it.effect("P5 or each time, can be resumed without it, and the next turn works", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const dead = yield* Effect.scoped(
        Effect.gen(function* () {
          const h = yield* SessionHarness.make({ journal, hooks: { userPromptSubmit: () => bug } })
          yield* h.submit("lost")
          yield* h.session.awaitIdle
          return h
        })
      )
      const h = yield* SessionHarness.make({ journal, resume: dead.session.sessionId, script: [[text("fine")]] })
      const last = yield* h.run("next")
      assert.strictEqual(last._tag === "TurnCompleted" && last.lastMessage, "fine")
    })
  )

  const script = [[call("tool", {}, "c1")], [text("done")], [text("again")]]
  const cases: { readonly [hook: string]: readonly [Partial<Hooks.Hooks>, "completed" | "denied"] } = {
    sessionStart: [{ sessionStart: once({ contexts: [] }) }, "completed"],
    preToolUse: [{ preToolUse: once({ deny: false }) }, "denied"],
    postToolUse: [{ postToolUse: once([]) }, "completed"],
    stop: [{ stop: once({}) }, "completed"],
    notification: [{ notification: once(undefined) }, "completed"]
  }
  it.effect.each(Object.entries(cases))(
    "once, at %s, completes its turn with a warning, and the next one works",
    ([hook, [hooks, status]]) =>
      Effect.gen(function* () {
        const h = yield* SessionHarness.make({ script, hooks, tools: { tool: { run: () => Effect.succeed("ran") } } })
        assert.strictEqual((yield* h.run("go"))._tag, "TurnCompleted")
        const { items } = yield* h.session.snapshot
        assert.deepStrictEqual(
          items.flatMap((item) => (item._tag === "ToolResult" ? [item.status] : [])),
          [status]
        )
        assert.strictEqual((yield* h.run("again"))._tag, "TurnCompleted")
        assert.deepStrictEqual(warningsOf(h.events), [`the hook ${hook} failed: a bug`])
      })
  )
})

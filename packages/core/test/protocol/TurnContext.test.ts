/** The circumstances of turns, recorded when they change. */
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { ModelOfTurn } from "@spindle/core/Model"
import type { SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import * as SessionState from "@spindle/core/SessionState"
import * as Task from "@spindle/core/Task"
import { CurrentTurnContext, type TurnContext, TurnContextRule } from "@spindle/core/TurnContext"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect } from "effect"

const script: ScriptedModel.Script = () => [ScriptedModel.text("fine")]
const contextsOf = (harness: SessionHarness.SessionHarness) =>
  harness.records().flatMap((record) => (record._tag === "TurnContextChanged" ? [record.context] : []))

describe("the context of a turn", () => {
  it.effect("is recorded after the start of the turn, and again only when it has changed", () =>
    Effect.gen(function* () {
      let current: TurnContext = { model: "small", cwd: "/work", sandbox: { mode: "read-only", roots: ["/"] } }
      const harness = yield* Effect.provideService(SessionHarness.make({ script }), CurrentTurnContext, () =>
        structuredClone(current)
      )
      yield* harness.run("one")
      yield* harness.run("two")
      assert.deepStrictEqual(contextsOf(harness), [current])
      const tags = harness.tags()
      assert.strictEqual(tags[tags.indexOf("TurnStarted") + 1], "TurnContextChanged")
      const before = current
      current = { ...current, model: "large" }
      yield* harness.run("three")
      assert.deepStrictEqual(contextsOf(harness), [before, current])
      assert.deepStrictEqual(SessionState.fold(harness.records()).turnContext, current)
    })
  )

  it.effect("J3 is compared with that of the journal after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const make = (resume?: SessionHarness.SessionHarness) =>
        SessionHarness.make({ script, journal, ...(resume === undefined ? {} : { resume: resume.session.sessionId }) })
      const provide = Effect.provideService(CurrentTurnContext, () => ({ effort: "high" }))
      const first = yield* Effect.scoped(Effect.tap(provide(make()), (harness) => harness.run("one")))
      const second = yield* provide(make(first))
      yield* second.run("two")
      assert.deepStrictEqual(contextsOf(first), [{ effort: "high" }])
      assert.deepStrictEqual(contextsOf(second), [])
    })
  )

  it.effect("is not recorded unless an application provides it", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script })
      yield* harness.run("one")
      assert.deepStrictEqual(contextsOf(harness), [])
    })
  )

  const broken: ReadonlyArray<readonly [string, () => TurnContext]> = [
    [
      "throws",
      () => {
        throw new Error("no settings")
      }
    ],
    ["is no JSON", () => ({ sandbox: 10n as never })],
    ["is infinite", () => ({ sandbox: Infinity })]
  ]
  for (const [name, read] of broken) {
    it.effect(`that ${name} ends no turn, and is reported`, () =>
      Effect.gen(function* () {
        const harness = yield* Effect.provideService(SessionHarness.make({ script }), CurrentTurnContext, read)
        assert.strictEqual((yield* harness.run("one"))._tag, "TurnCompleted")
        assert.deepStrictEqual(contextsOf(harness), [])
        const warning = harness.records().find((record) => record._tag === "Warning")
        assert.match(warning?._tag === "Warning" ? warning.message : "", /^the context of turn .* is not recorded: /)
      })
    )
  }
})

describe("input that changes the context of turns", () => {
  /** A session whose application takes changes of the model and the effort. `seen` is what a task finds in its context. */
  const make = (
    options: SessionHarness.HarnessOptions = {},
    read = (): TurnContext => ({ model: "small", cwd: "/work" })
  ) => {
    const seen: Array<TurnContext | undefined> = []
    const models: Array<string> = []
    const rule = (change: TurnContext) => (change.cwd === undefined ? undefined : "cwd cannot change")
    const harness = SessionHarness.make({
      script,
      ...options,
      hooks: {
        userPromptSubmit: () =>
          Effect.map(CurrentTurnContext, (current) => {
            seen.push(current?.())
            return { block: false, contexts: [] }
          })
      }
    }).pipe(
      Effect.provideService(CurrentTurnContext, read),
      Effect.provideService(TurnContextRule, rule),
      Effect.provideService(ModelOfTurn, ({ model = "" }, own) => {
        models.push(model)
        return { ...own, model }
      })
    )
    return { harness, models, seen }
  }
  const submit = ({ session }: SessionHarness.SessionHarness, text: string, context: TurnContext) =>
    session.submit(Op.userInput(text, { context }))
  const modelsOf = (harness: SessionHarness.SessionHarness) =>
    harness.records().flatMap((record) => (record._tag === "ModelRequested" ? [record.model] : []))

  it.effect("changes the turn that it starts and those after it, and the model", () =>
    Effect.gen(function* () {
      const { harness: making, seen } = make()
      const harness = yield* making
      yield* harness.run("one")
      yield* submit(harness, "two", { model: "large" })
      yield* harness.session.awaitIdle
      yield* submit(harness, "three", { effort: "high" })
      yield* harness.session.awaitIdle
      const contexts = [
        { model: "small", cwd: "/work" },
        { model: "large", cwd: "/work" },
        { model: "large", cwd: "/work", effort: "high" }
      ]
      assert.deepStrictEqual(contextsOf(harness), contexts)
      assert.deepStrictEqual(seen, contexts)
      assert.deepStrictEqual(modelsOf(harness).slice(1), ["large", "large"])
    })
  )

  it.effect("A4 decides about the calls of the turn, even if the rest of the context cannot be read", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const options: SessionHarness.HarnessOptions = {
        script: (_, index) =>
          index % 2 === 0 ? [ScriptedModel.call("reach", { to: "x" }, `c${index}`)] : [ScriptedModel.text("fine")],
        approvals: {
          decide: ({ payload }) => {
            asked.push(payload)
            return Effect.succeed({ _tag: "Approved", scope: "once", permissions: { less: true } })
          }
        },
        tools: {
          reach: {
            run: () => Effect.succeed("reached"),
            policy: {
              approval: (_, { approvalPolicy }) => (approvalPolicy === undefined ? "allow" : "ask"),
              payload: (_, { approvalPolicy }) => approvalPolicy,
              keys: (_, { approvalPolicy = "" }) => [approvalPolicy],
              display: (_, { approvalPolicy = "" }) => ({ _tag: "Other", title: approvalPolicy }),
              mayRunWith: (_, __, { approvalPolicy }) => approvalPolicy === "untrusted"
            }
          }
        }
      }
      for (const isReadable of [true, false]) {
        const read = () => {
          if (!isReadable) throw new Error("no settings")
          return {}
        }
        const harness = yield* make(options, read).harness
        yield* harness.run("one")
        for (const approvalPolicy of ["untrusted", "never"]) {
          yield* submit(harness, approvalPolicy, { approvalPolicy })
          yield* harness.session.awaitIdle
        }
        const results = harness
          .records()
          .flatMap((one) => (one._tag === "ItemRecorded" && one.item._tag === "ToolResult" ? [one.item.status] : []))
        assert.deepStrictEqual(results, ["completed", "completed", "denied"])
        const records = harness.records()
        const keys = records.flatMap((one) => (one._tag === "QuestionOpened" ? [one.keys] : []))
        assert.deepStrictEqual(keys, [["untrusted"], ["never"]])
        const displays = records.flatMap((one) =>
          one._tag === "ItemRecorded" && one.item._tag === "ToolCall" ? [one.item.display] : []
        )
        assert.deepStrictEqual(
          displays,
          ["", "untrusted", "never"].map((title) => ({ _tag: "Other", title }))
        )
      }
      assert.deepStrictEqual(asked, ["untrusted", "never", "untrusted", "never"])
    })
  )

  it.effect("J3 changes the form of the answer of its turn, and of no other", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const own = { name: "own", schema: { type: "string" } }
      const factory: SessionHarness.SessionFactory = (agent, options) =>
        Session.make(Agent.withOutput(agent, own), options)
      const schema = { type: "object", properties: { a: { type: "string" } } }
      const { harness: making } = make({ journal, factory }, () => ({ output: own.schema }))
      const harness = yield* making
      yield* harness.run("own")
      yield* submit(harness, "other", { output: schema })
      yield* harness.session.awaitIdle
      yield* harness.run("own again")
      assert.deepStrictEqual(
        harness.requests.map(({ output }) => output),
        [own, { name: "output", schema }, own]
      )
      assert.deepStrictEqual(
        contextsOf(harness).map(({ output }) => output),
        [own.schema, schema, own.schema]
      )
      assert.deepStrictEqual(SessionState.fold(harness.records()).changedContext, {})
    })
  )

  it.effect("is rejected by a session below another one", () =>
    Effect.gen(function* () {
      const { harness: making } = make({
        factory: (agent, options) => Session.make(agent, { ...options, ancestors: ["root" as SessionId] })
      })
      const receipt = yield* submit(yield* making, "no", { model: "large" })
      assert.deepInclude(receipt, {
        reason: {
          _tag: "InvalidContext",
          message: "a session below another one has the context of the turn that started it"
        }
      })
    })
  )

  it.effect("changes nothing before its own turn starts", () =>
    Effect.gen(function* () {
      const end = yield* Deferred.make<void>()
      const { harness: making } = make()
      const harness = yield* making
      const first = Effect.andThen(Deferred.await(end), Effect.void)
      yield* harness.session.start(Task.make("custom", first))
      yield* submit(harness, "queued", { model: "a" })
      yield* submit(harness, "queued too", { model: "b" })
      assert.deepStrictEqual(SessionState.fold(harness.records()).changedContext, {})
      yield* Deferred.succeed(end, undefined)
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(
        contextsOf(harness).map(({ model }) => model),
        ["small", "a", "b"]
      )
    })
  )

  it.effect("that steers a turn changes the next one", () =>
    Effect.gen(function* () {
      const [end, called] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const { harness: making } = make({
        script: [[ScriptedModel.call("tool", {}, "c1")], [ScriptedModel.text("done")], [ScriptedModel.text("next")]],
        tools: {
          tool: {
            run: () => Effect.as(Effect.andThen(Deferred.succeed(called, undefined), Deferred.await(end)), "ran")
          }
        }
      })
      const harness = yield* making
      yield* harness.submit("one")
      yield* Deferred.await(called)
      assert.strictEqual((yield* submit(harness, "two", { model: "large" }))._tag, "Steered")
      yield* Deferred.succeed(end, undefined)
      yield* harness.session.awaitIdle
      yield* harness.run("three")
      assert.deepStrictEqual(
        contextsOf(harness).map(({ model }) => model),
        ["small", "large"]
      )
      assert.deepStrictEqual(modelsOf(harness).slice(-1), ["large"])
    })
  )

  it.effect("J3 is kept by a resume", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* make({ journal }).harness
          yield* submit(harness, "one", { model: "large" })
          yield* harness.session.awaitIdle
          return harness
        })
      )
      const { harness: making, seen } = make({ journal, resume: first.session.sessionId })
      const second = yield* making
      yield* second.run("two")
      assert.deepStrictEqual(seen, [{ model: "large", cwd: "/work" }])
      assert.deepStrictEqual(contextsOf(second), [])
      assert.deepStrictEqual(modelsOf(second), ["large"])
    })
  )

  it.effect("P1 is rejected if the application does not allow it, or if it is no JSON", () =>
    Effect.gen(function* () {
      const harness = yield* make().harness
      const reasonOf = (context: TurnContext) =>
        Effect.map(submit(harness, "one", context), (receipt) => receipt._tag === "Rejected" && receipt.reason)
      assert.deepStrictEqual(yield* reasonOf({ cwd: "/" }), { _tag: "InvalidContext", message: "cwd cannot change" })
      const broken = { _tag: "InvalidContext", message: "it is not a context in JSON" } as const
      assert.deepStrictEqual(yield* reasonOf({ sandbox: 10n as never }), broken)
      const plain = yield* SessionHarness.make({ script })
      const receipt = yield* submit(plain, "one", { model: "large" })
      assert.deepInclude(receipt, {
        _tag: "Rejected",
        reason: { _tag: "InvalidContext", message: "this application does not change the context of turns" }
      })
    })
  )
})

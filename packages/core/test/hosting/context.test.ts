import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as CompactTask from "@spindle/core/CompactTask"
import { Hooks, none } from "@spindle/core/Hooks"
import { type SessionId, SubmissionId } from "@spindle/core/Ids"
import * as Journal from "@spindle/core/Journal"
import { Model, ModelOfTurn, type ModelPart } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import * as Sessions from "@spindle/core/Sessions"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import * as Tools from "@spindle/core/Tools"
import { TurnContextRule } from "@spindle/core/TurnContext"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Context, Deferred, Effect, Layer, References, Schema, Stream } from "effect"
import { Tool, Toolkit } from "effect/ai"

/** Passed on by the hosts of these tests. */
class User extends Context.Reference<string>("test/User", { defaultValue: () => "nobody" }) {}

/** Not passed on. */
class Secret extends Context.Reference<string>("test/Secret", { defaultValue: () => "none" }) {}

/** What the tool needs. */
class Shop extends Context.Service<Shop, string>()("test/Shop") {}

interface Seen {
  readonly place: "hook" | "model" | "compact" | "other model" | "tool" | "task" | "abort"
  readonly shop: string | undefined
  readonly user: string
  readonly secret: string
  readonly annotations: { readonly [key: string]: unknown }
}

const toolkit = Toolkit.make(Tool.make("look", { success: Schema.String }))
/** Each turn calls the tool once, and ends. Lists what each part of a turn saw. */
const hosting = Effect.fnUntraced(function* () {
  const seen: Array<Seen> = []
  const look = (place: Seen["place"]) =>
    Effect.contextWith((context: Context.Context<never>) =>
      Effect.sync(() => {
        seen.push({
          place,
          shop: context.mapUnsafe.get(Shop.key) as string | undefined,
          user: Context.get(context, User),
          secret: Context.get(context, Secret),
          annotations: Context.get(context, References.CurrentLogAnnotations)
        })
      })
    )
  const scripted = ScriptedModel.make(
    ({ items }) =>
      items.at(-1)?._tag === "ToolResult"
        ? [ScriptedModel.text("done", "x".repeat(4_000))]
        : [ScriptedModel.call("look", {}, `call-${items.length}`)],
    { compact: () => [ScriptedModel.sealedSummary("sealed")] }
  )
  const params = Schema.Struct({})
  const waiting = Deferred.makeUnsafe<void>()
  const task = TaskKind.make("task", { params, task: () => Task.make("task", look("task")) })
  const endless = TaskKind.make("endless", {
    params,
    task: () =>
      Task.make("endless", Effect.andThen(Deferred.succeed(waiting, undefined), Effect.never), {
        abortHook: () => look("abort")
      })
  })
  const alongside = TaskKind.makeAlongside("alongside", { params, run: () => look("task") })
  const agent = Agent.make({
    toolkit,
    approvals: { look: { approval: "allow" } },
    tasks: [task, endless, alongside, CompactTask.kind]
  })
  const handlers = toolkit.toLayer({
    look: () => Effect.as(look("tool"), "looked")
  })
  const model = Layer.effect(
    Model,
    Effect.map(Model, (inner) => ({
      ...inner,
      stream: (request) => Stream.unwrap(Effect.as(look("model"), inner.stream(request))),
      compact: (request) => Stream.unwrap(Effect.as(look("compact"), inner.compact!(request)))
    }))
  ).pipe(Layer.provide(scripted.layer))
  const hooks = Layer.succeed(Hooks, {
    ...none,
    userPromptSubmit: () => Effect.as(look("hook"), { block: false, contexts: [] })
  })
  const other = Layer.mergeAll(
    Layer.succeed(TurnContextRule, () => undefined),
    Layer.succeed(ModelOfTurn, (_, own) => ({
      ...own,
      stream: () => Stream.unwrap(Effect.as(look("other model"), Stream.fromIterable(otherResponse)))
    }))
  )
  const context = yield* Layer.build(
    Sessions.layer(agent, { context: [User] }).pipe(
      Layer.provide(
        Layer.mergeAll(handlers, model, other, hooks, Layer.succeed(Shop, "the layer's"), Journal.layerMemory())
      )
    )
  ).pipe(Effect.annotateLogs({ host: "h1" }), Effect.provideService(Secret, "the layer's"))
  return { seen, sessions: Context.get(context, Sessions.Sessions), waiting: Deferred.await(waiting) }
})

/** What the model of a turn whose context was changed responds. */
const otherResponse: ReadonlyArray<ModelPart> = [
  { _tag: "TextDelta", id: "text", delta: "done" },
  { _tag: "TextEnd", id: "text" },
  { _tag: "Finish", reason: "stop", usage: undefined }
]

/** What a caller of `Sessions` has around it. */
const as =
  (user: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.annotateLogs({ tenant: user }),
      Effect.provideService(User, user),
      Effect.provideService(Secret, `the secret of ${user}`),
      Effect.provideService(Shop, `the shop of ${user}`)
    )

const seenBy = (user: string | undefined, place: Seen["place"]): Seen => ({
  place,
  shop: "the layer's",
  secret: "the layer's",
  user: user ?? "nobody",
  annotations: user === undefined ? { host: "h1" } : { host: "h1", tenant: user }
})
const turnSeenBy = (user: string | undefined): ReadonlyArray<Seen> =>
  (["hook", "model", "tool", "model"] as const).map((place) => seenBy(user, place))

describe("the context of a turn", () => {
  it.effect("S9 is that of `Sessions`, with the annotations and named references of the caller that submitted", () =>
    Effect.gen(function* () {
      const { seen, sessions } = yield* hosting()
      // the caller that opens the session leaves nothing in it
      const session = yield* as("the opener")(sessions.create())
      for (const user of ["alice", "bob", undefined]) {
        const op = Op.userInput("look")
        const submitting = session.submit(user === "bob" ? { id: SubmissionId.make("bob's"), op } : op)
        yield* user === undefined ? submitting : as(user)(submitting)
        yield* session.awaitIdle
        assert.deepStrictEqual(seen.splice(0), turnSeenBy(user))
      }
    })
  )

  it.effect(
    "S9 is that of the caller that started a task by name, in its own turn, alongside another, and after an abort",
    () =>
      Effect.gen(function* () {
        const { seen, sessions, waiting } = yield* hosting()
        const session = yield* sessions.create()
        for (const user of ["alice", "bob"]) {
          yield* as(user)(session.submit(Op.startTask("task", {})))
          yield* session.awaitIdle
          assert.deepStrictEqual(seen.splice(0), [seenBy(user, "task")])
          yield* as(user)(session.submit(Op.startTask("alongside", {})))
          yield* session.awaitIdle
          assert.deepStrictEqual(seen.splice(0), [seenBy(user, "task")])
        }
        yield* as("alice")(session.submit(Op.startTask("endless", {})))
        yield* waiting
        const receipt = yield* as("bob")(session.submit(Op.startTask("alongside", {})))
        assert.strictEqual(receipt._tag, "Steered")
        yield* Effect.yieldNow.pipe(Effect.repeat({ until: () => seen.length > 0 }))
        yield* as("carol")(session.abort())
        yield* session.awaitIdle
        assert.deepStrictEqual(seen, [seenBy("bob", "task"), seenBy("alice", "abort")])
      })
  )

  it.effect("S9 S11 is that of the caller that compacts, at the endpoint of the provider", () =>
    Effect.gen(function* () {
      const { seen, sessions } = yield* hosting()
      const session = yield* sessions.create()
      yield* as("alice")(session.submit(Op.userInput("look")))
      yield* session.awaitIdle
      seen.length = 0
      yield* as("bob")(session.submit(Op.startTask("compact")))
      yield* session.awaitIdle
      assert.deepStrictEqual(seen, [seenBy("bob", "compact")])
    })
  )

  it.effect("S9 is that of the caller whose input changed the model of the turn", () =>
    Effect.gen(function* () {
      const { seen, sessions } = yield* hosting()
      const session = yield* sessions.create()
      const input = [{ _tag: "Text", text: "look" }] as const
      yield* as("alice")(session.submit({ _tag: "UserInput", input, context: { model: "another" } }))
      yield* session.awaitIdle
      assert.deepStrictEqual(seen, [seenBy("alice", "hook"), seenBy("alice", "other model")])
    })
  )

  it.effect("S9 is that of the caller in what the policy of a tool checks before a question", () =>
    Effect.gen(function* () {
      const users: Array<string> = []
      const check = () => Effect.map(User, (user) => (users.push(user), `${user} may not`))
      const policy = { approval: "ask", check } as const
      const table = Tools.make([{ tool: Tool.make("sell", {}), run: () => Effect.void }])
      const agent = Agent.make({
        toolkit,
        approvals: { look: policy },
        sources: [{ name: "market", table: () => table }],
        defaultPolicy: policy
      })
      const script = [
        [ScriptedModel.call("look", {}, "a"), ScriptedModel.call("sell", {}, "b")],
        [ScriptedModel.text("done")]
      ]
      const model = ScriptedModel.make(script)
      const services = Layer.mergeAll(toolkit.toLayer({ look: () => Effect.never }), model.layer, Journal.layerMemory())
      const context = yield* Layer.build(Layer.provide(Sessions.layer(agent, { context: [User] }), services))
      const session = yield* Context.get(context, Sessions.Sessions).create()
      yield* as("alice")(session.submit(Op.userInput("go")))
      yield* session.awaitIdle
      // that of the second call runs again when the first has ended
      assert.deepStrictEqual(users, ["alice", "alice", "alice"])
    })
  )

  it.effect("S9 is that of each caller, for input that waits for its turn", () =>
    Effect.gen(function* () {
      const { seen, sessions } = yield* hosting()
      const session = yield* sessions.create()
      const op: Op.Op = { _tag: "UserInput", input: [{ _tag: "Text", text: "look" }], delivery: "queue" }
      // the callers submit the very same operation
      for (const user of ["alice", "bob", "carol"]) yield* as(user)(session.submit(op))
      yield* session.awaitIdle
      assert.deepStrictEqual(seen, ["alice", "bob", "carol"].flatMap(turnSeenBy))
    })
  )

  it.effect("S9 has no caller when a resumed session starts input that an earlier process accepted", () =>
    Effect.gen(function* () {
      const { seen, sessions } = yield* hosting()
      const { sessionId, submit } = yield* sessions.create()
      const later: Op.Op = { _tag: "UserInput", input: [{ _tag: "Text", text: "later" }], delivery: "wait" }
      yield* as("alice")(submit(later))
      yield* sessions.close(sessionId)
      const session = yield* sessions.open(sessionId)
      yield* as("bob")(session.submit(Op.userInput("look")))
      yield* session.awaitIdle
      assert.deepStrictEqual(
        seen.filter(({ place }) => place === "tool").map(({ user }) => user),
        ["bob"]
      )
      assert.isFalse(seen.some(({ user }) => user === "alice"))
    })
  )

  const Tenants = Schema.Array(Schema.Literals(["alice", "bob"])).check(Schema.isMaxLength(12))
  it.effect.prop(
    "S9 two tenants whose sessions run at the same time never see each other's context",
    [Tenants],
    ([order]) =>
      Effect.gen(function* () {
        const look: Op.Op = { _tag: "UserInput", input: [{ _tag: "Text", text: "look" }], delivery: "queue" }
        const { seen, sessions } = yield* hosting()
        const ids = { alice: "alice" as SessionId, bob: "bob" as SessionId }
        yield* as("bob")(sessions.create({ sessionId: ids.alice }))
        yield* as("alice")(sessions.create({ sessionId: ids.bob }))
        const requests = order.map((tenant) =>
          Effect.flatMap(sessions.open(ids[tenant]), (session) =>
            Effect.andThen(session.submit(look), session.awaitIdle)
          ).pipe(as(tenant))
        )
        yield* Effect.all(requests, { concurrency: "unbounded", discard: true })
        for (const tenant of ["alice", "bob"] as const) {
          assert.deepStrictEqual(
            seen.filter(({ user }) => user === tenant),
            order.filter((one) => one === tenant).flatMap(() => turnSeenBy(tenant))
          )
        }
        assert.lengthOf(seen, order.length * 4)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 50 } }
  )
})

import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import type { SessionId } from "@spindle/core/Ids"
import { Journal } from "@spindle/core/Journal"
import * as Op from "@spindle/core/Op"
import * as Sessions from "@spindle/core/Sessions"
import type { SpanData } from "@spindle/telemetry"
import * as Telemetry from "@spindle/telemetry/Telemetry"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Context, Effect, Layer, Tracer } from "effect"
import { journalWith } from "../../core/test/fixtures/journals.ts"

/** A journal whose writes take a step and make spans. */
const spannedWrites = journalWith((append) => Effect.withSpan(Effect.andThen(Effect.yieldNow, append), "write"))

/** Hosted sessions with their spans. `request` runs an effect in the span of a request to a server. */
const hosted = Effect.fnUntraced(function* () {
  const telemetry = yield* Layer.build(Telemetry.layerMemory({ metrics: false }))
  const model = ScriptedModel.make(() => [ScriptedModel.text("ok")])
  const journal = Layer.succeed(Journal, yield* spannedWrites)
  const layer = Layer.provide(Sessions.layer(Agent.make({ instructions: "x" })), Layer.merge(model.layer, journal))
  const sessions = Context.get(yield* Effect.provideContext(Layer.build(layer), telemetry), Sessions.Sessions)
  const store = Context.get(telemetry, Telemetry.SpanStore)
  const request = <A, E>(name: string, handler: Effect.Effect<A, E>) =>
    Effect.provideContext(Effect.withSpan(handler, name, { kind: "server", root: true }), telemetry)
  /** The spans from one up to its root, by name. */
  const path = (spans: ReadonlyArray<SpanData>, span: SpanData): ReadonlyArray<string> => {
    const parent = spans.find(({ spanId }) => spanId === span.parentSpanId)
    return [span.name, ...(parent === undefined ? [] : path(spans, parent))]
  }
  const paths = Effect.map(store.finished, (spans) => spans.map((span) => path(spans, span).join(" < ")))
  return { sessions, request, paths, store }
})

describe("the start of a hosted session", () => {
  it.effect("O1 10.2 create, resume and fork each have a span below their request, and what runs later has not", () =>
    Effect.gen(function* () {
      const { paths, request, sessions, store } = yield* hosted()
      const { sessionId, ...session } = yield* request("thread/start", sessions.create())
      yield* request("turn/start", session.submit(Op.userInput("hi")))
      yield* session.awaitIdle
      yield* sessions.close(sessionId)
      yield* request("thread/resume", sessions.open(sessionId))
      const fork = yield* request("thread/fork", sessions.fork(sessionId))
      const all = yield* paths
      for (const [how, name] of [
        ["create", "thread/start"],
        ["resume", "thread/resume"],
        ["fork", "thread/fork"]
      ]) {
        assert.include(all, `spindle.session.${how} < ${name}`)
        assert.include(all, `write < spindle.session.${how} < ${name}`)
      }
      const [turn] = all.filter((one) => one.startsWith("session_task.turn"))
      assert.strictEqual(turn, "session_task.turn < op.dispatch.user_input < turn/start")
      const later = all.filter((one) => one.startsWith("write") && !one.includes("spindle.session."))
      assert.isNotEmpty(later)
      assert.deepStrictEqual(
        later.filter((one) => one.includes("thread/")),
        []
      )
      const spans = (yield* store.finished).filter(({ name }) => name.startsWith("spindle.session."))
      assert.deepStrictEqual(
        spans.map(({ attributes }) => [attributes["gen_ai.conversation.id"], attributes["spindle.outcome"]]),
        [sessionId, sessionId, fork.sessionId].map((id) => [id, "completed"])
      )
    })
  )

  it.effect("O1 an open session is returned without a span, and one that cannot be opened says why", () =>
    Effect.gen(function* () {
      const { request, sessions, store } = yield* hosted()
      const { sessionId } = yield* sessions.create()
      yield* request("thread/resume", sessions.open(sessionId))
      yield* Effect.flip(request("thread/resume", sessions.open("nothing" as SessionId)))
      const spans = (yield* store.finished).filter(({ name }) => name.startsWith("spindle.session."))
      assert.deepStrictEqual(
        spans.map(({ attributes, name }) => [name, attributes["error.type"]]),
        [
          ["spindle.session.create", undefined],
          ["spindle.session.resume", "SessionNotFound"]
        ]
      )
    })
  )

  it.effect("O1 the tracer of the host makes the span, whatever tracer the caller has", () =>
    Effect.gen(function* () {
      const { sessions, store } = yield* hosted()
      const foreign = Tracer.make({
        span: () => {
          throw new Error("the tracer of the caller was asked")
        }
      })
      yield* Effect.provideService(sessions.create(), Tracer.Tracer, foreign)
      assert.deepStrictEqual(
        (yield* store.finished).map(({ name }) => name).filter((name) => name.startsWith("spindle.")),
        ["spindle.session.create"]
      )
    })
  )
})

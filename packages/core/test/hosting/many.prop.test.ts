/** Many sessions of two tenants that are opened and unloaded under load. */
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import type { SessionId } from "@spindle/core/Ids"
import * as Journal from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import * as Sessions from "@spindle/core/Sessions"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Array, Context, Effect, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

/** The tenant of a caller. Turns see it because the options of `Sessions` name it. */
class Tenant extends Context.Reference<string>("test/Tenant", { defaultValue: () => "none" }) {}

interface Use {
  readonly tenant: "a" | "b"
  /** The number of the session among those of its tenant. */
  readonly session: number
}

/**
 * Opens a session for each use, submits as its tenant, and moves the clock between rounds, so that idle sessions are
 * unloaded and come back. Returns the uses whose turn saw another tenant, and how many sessions were unloaded.
 */
const run = Effect.fnUntraced(function* (rounds: ReadonlyArray<ReadonlyArray<Use>>) {
  const mixed: Array<string> = []
  let seen = 0
  const model = Layer.effect(
    Model,
    Effect.map(Model, (inner) => ({
      ...inner,
      stream: (request) =>
        Stream.unwrap(
          Effect.contextWith((within: Context.Context<never>) => {
            const { sessionId } = within.mapUnsafe.get(Turn.key) as Turn
            const tenant = Context.get(within, Tenant)
            seen++
            if (!sessionId.startsWith(`${tenant}.`)) mixed.push(`${tenant} in ${sessionId}`)
            return Effect.succeed(inner.stream(request))
          })
        )
    }))
  ).pipe(Layer.provide(ScriptedModel.make(() => [ScriptedModel.text("done")]).layer))
  let openings = 0
  const journal = Layer.effect(
    Journal.Journal,
    Effect.map(Journal.Journal, (inner) => ({
      ...inner,
      open: (sessionId: SessionId, mode: "create" | "existing") => {
        if (mode === "existing") openings++
        return inner.open(sessionId, mode)
      }
    }))
  ).pipe(Layer.provide(Journal.layerMemory()))
  const hosted = Sessions.layer(Agent.make({}), { context: [Tenant], idleTimeToLive: "1 minute" })
  const context = yield* Layer.build(Layer.provide(hosted, Layer.mergeAll(model, journal)))
  const sessions = Context.get(context, Sessions.Sessions)
  const created = new Set<string>()
  const use = Effect.fnUntraced(function* ({ session: number, tenant }: Use) {
    const sessionId = `${tenant}.${number}` as SessionId
    const isNew = !created.has(sessionId)
    created.add(sessionId)
    const session = yield* isNew ? sessions.create({ sessionId }) : sessions.open(sessionId)
    const receipt = yield* session.submit(Op.userInput("hi", { delivery: "queue" }))
    yield* session.awaitIdle
    return receipt._tag
  })
  const refused: Array<string> = []
  for (const round of rounds) {
    // a session is created once in a round, before it is opened
    const unique = Array.dedupeWith(round, (one, other) => one.tenant === other.tenant && one.session === other.session)
    yield* Effect.forEach(
      unique,
      (one) =>
        Effect.map(Effect.provideService(use(one), Tenant, one.tenant), (tag) => {
          if (tag === "Rejected") refused.push(tag)
        }),
      { concurrency: 100, discard: true }
    )
    yield* TestClock.adjust("2 minutes")
  }
  return { mixed, refused, seen, openings, created: created.size }
}, Effect.scoped)

describe("sessions of two tenants", () => {
  const Uses = Schema.Array(
    Schema.Array(
      Schema.Struct({
        tenant: Schema.Literals(["a", "b"]),
        session: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
      })
    )
  )

  it.effect.prop(
    "S9 whatever the order of uses and unloads, no turn sees the context of the other tenant",
    [Uses],
    ([rounds]) =>
      Effect.gen(function* () {
        const { mixed, refused } = yield* run(rounds)
        assert.deepStrictEqual({ mixed, refused }, { mixed: [], refused: [] })
      }),
    { arbitrary: { runs: 30 } }
  )

  it.effect(
    "S9 10,000 sessions are opened and unloaded, and come back, and no turn sees the context of the other tenant",
    () =>
      Effect.gen(function* () {
        const useOf = (index: number): Use => ({
          tenant: index % 2 === 0 ? "a" : "b",
          session: Math.floor(index / 2)
        })
        // each round has 1,000 new sessions, and 101 of the rounds before
        const rounds = Array.makeBy(10, (round) => [
          ...Array.makeBy(1_000, (index) => useOf(round * 1_000 + index)),
          ...(round === 0 ? [] : Array.makeBy(101, (index) => useOf((index * 97) % (round * 1_000))))
        ])
        const { created, mixed, openings, refused, seen } = yield* run(rounds)
        assert.deepStrictEqual(
          { created, mixed, openings, refused, seen },
          { created: 10_000, mixed: [], openings: 909, refused: [], seen: 10_909 }
        )
      }),
    600_000
  )
})

import { assert, describe, it } from "@effect/vitest"
import { SessionObserver } from "@spindle/core/SessionObserver"
import * as Op from "@spindle/core/Op"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import { definitions, type Definition } from "@spindle/telemetry/Metrics"
import * as SessionMetrics from "@spindle/telemetry/SessionMetrics"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Logger, Metric } from "effect"
import { TestClock } from "effect/testing"

/** Runs an effect with its own registry, and returns the series in it afterwards. */
const measured = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.andThen(effect, Metric.snapshot).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))

const series = (all: ReadonlyArray<Metric.Metric.Snapshot>, name: string) => all.filter(({ id }) => id === name)

const harness = (options: Harness.HarnessOptions, metrics: SessionMetrics.Options = {}) =>
  Effect.provide(Harness.make(options), SessionMetrics.layer(metrics), { local: true })

const turn = (metrics: SessionMetrics.Options) =>
  Effect.gen(function* () {
    const h = yield* harness({ script: [[Model.text("hello")]] }, metrics)
    yield* h.run("hi")
  }).pipe(Effect.scoped)

describe("metrics of sessions", () => {
  it.effect("O2 a real session records one point for each turn, and nothing outside the table", () =>
    Effect.gen(function* () {
      const all = yield* measured(
        Effect.gen(function* () {
          const h = yield* harness(
            {
              script: [
                [Model.call("add", {}, "call-1")],
                [Model.text("three")],
                [Model.fail("Unauthorized")],
                [Model.hang]
              ],
              tools: { add: { run: () => Effect.succeed(3) } }
            },
            { sets: ["spindle", "gen_ai", "reference"] }
          )
          yield* h.run("completes")
          yield* h.run("fails")
          yield* h.submit("is aborted")
          yield* h.session.submit(Op.interrupt)
          yield* h.session.awaitIdle
        }).pipe(Effect.scoped)
      )
      const durations = series(all, "spindle.turn.duration")
      assert.deepStrictEqual(
        durations.map((one) => [one.attributes?.["outcome"], one.type === "Histogram" ? one.state.count : 0]),
        [
          ["completed", 1],
          ["failed", 1],
          ["aborted", 1]
        ]
      )
      const known: ReadonlyArray<Definition> = Object.values(definitions)
      for (const { attributes, id, type } of all) {
        const definition = known.find((one) => one.name === id)
        assert.isDefined(definition, id)
        assert.strictEqual(type, definition!.kind === "histogram" ? "Histogram" : "Counter", id)
        const { unit, ...own } = attributes ?? {}
        assert.strictEqual(unit, definition!.unit, id)
        for (const name of Object.keys(own)) assert.include(definition!.attributes, name, id)
      }
      for (const id of ["spindle.turn.active", "spindle.inbox.waiting"]) {
        const sum = series(all, id).reduce(
          (sum, one) => sum + (one.type === "Counter" ? Number(one.state.count) : 1),
          0
        )
        assert.strictEqual(sum, 0, `${id} after the end of the session`)
      }
    })
  )

  it.effect("O2 the reference's names are recorded only if they are asked for, and ours unless they are left out", () =>
    Effect.gen(function* () {
      const names = (all: ReadonlyArray<Metric.Metric.Snapshot>) => new Set(all.map(({ id }) => id.split(".")[0]))
      assert.deepStrictEqual(names(yield* measured(turn({}))), new Set(["spindle", "gen_ai"]))
      assert.deepStrictEqual(names(yield* measured(turn({ sets: ["reference"] }))), new Set(["codex"]))
    })
  )

  it.effect("O2 standard tags are on every point", () =>
    Effect.gen(function* () {
      const all = yield* measured(turn({ tags: { session_source: "exec", "app.version": "1" } }))
      assert.isTrue(all.every(({ attributes }) => attributes?.["session_source"] === "exec"))
    })
  )

  it.effect("O2 aborted turns count as the policy says", () =>
    Effect.gen(function* () {
      const abort = Effect.gen(function* () {
        const h = yield* harness({ script: [[Model.hang]] })
        yield* h.submit("go")
        yield* h.session.abort()
        yield* h.session.awaitIdle
      }).pipe(Effect.scoped)
      const calls = (all: ReadonlyArray<Metric.Metric.Snapshot>) => series(all, "spindle.turn.tool_calls").length
      assert.strictEqual(calls(yield* measured(abort)), 1)
      const reference = Effect.provideService(abort, SessionPolicy.SessionPolicy, SessionPolicy.reference)
      assert.strictEqual(calls(yield* measured(reference)), 0)
    })
  )

  it.effect("O2 beyond the limit of series the points of a metric are counted together", () =>
    Effect.gen(function* () {
      const all = yield* measured(
        Effect.gen(function* () {
          const names = Array.from({ length: 5 }, (_, index) => `tool${index}`)
          const h = yield* harness(
            {
              script: [names.map((name) => Model.call(name, {}, name)), [Model.text("done")]],
              tools: Object.fromEntries(names.map((name) => [name, { run: () => Effect.succeed(1) }]))
            },
            { seriesLimit: 2 }
          )
          yield* h.run("go")
        }).pipe(Effect.scoped)
      )
      assert.deepStrictEqual(
        series(all, "spindle.tool.duration").map(({ attributes, state }) => [
          attributes?.["gen_ai.tool.name"] ?? attributes?.["otel.metric.overflow"],
          (state as { readonly count: number }).count
        ]),
        [
          ["tool0", 1],
          ["tool1", 1],
          ["true", 3]
        ]
      )
    })
  )

  it.effect("O2 it observes in addition to an existing observer", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const all = yield* measured(
        turn({}).pipe(Effect.provideService(SessionObserver, { onEvent: (_, event) => void seen.push(event._tag) }))
      )
      assert.include(seen, "TurnCompleted")
      assert.lengthOf(series(all, "spindle.turn.duration"), 1)
    })
  )

  it.effect("O2 it forgets a session when the session is closed", () =>
    Effect.gen(function* () {
      const observer = yield* SessionMetrics.make().pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      const h = yield* Effect.scoped(
        Effect.gen(function* () {
          const h = yield* Harness.make({ script: [[Model.text("hello")]] })
          yield* h.run("hi")
          return h
        })
      ).pipe(Effect.provideService(SessionObserver, observer))
      assert.strictEqual(observer.sessionsCount(), 0)
      observer.onEvent(
        h.session.sessionId,
        h.events.find((event) => event._tag === "TurnStarted")!
      )
      assert.strictEqual(observer.sessionsCount(), 1)
    })
  )
})

describe("the network proxy", () => {
  const points = (all: ReadonlyArray<Metric.Metric.Snapshot>) =>
    series(all, "codex.turn.network_proxy").map(({ attributes, state }) => {
      const { unit, ...own } = attributes ?? {}
      assert.strictEqual(unit, "{turn}")
      return [own, (state as { readonly count: number }).count]
    })

  it.effect.each([true, false])(
    "1.12 active = %s: one point of value 1 with exactly active and tmp_mem_enabled",
    (active) =>
      Effect.gen(function* () {
        const all = yield* measured(
          turn({ sets: ["reference"], networkProxy: Effect.succeed(active), memoryEnabled: true })
        )
        assert.deepStrictEqual(points(all), [[{ active: String(active), tmp_mem_enabled: "true" }, 1]])
      })
  )

  it.effect("10.4 a state that cannot be read warns and counts as inactive", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void logged.push(`${logLevel} ${String(message)}`))
      const all = yield* measured(turn({ sets: ["reference"], networkProxy: Effect.fail("no file") })).pipe(
        Effect.provide(Logger.layer([logger]))
      )
      assert.deepStrictEqual(points(all), [[{ active: "false", tmp_mem_enabled: "false" }, 1]])
      assert.lengthOf(logged, 1)
      assert.match(logged[0]!, /^Warn the state of the network proxy cannot be read/)
    })
  )

  it.effect("10.4 a state that takes too long to read counts as inactive, and delays nothing", () =>
    Effect.gen(function* () {
      const all = yield* measured(
        Effect.andThen(
          turn({ sets: ["reference"], networkProxy: Effect.never }),
          Effect.andThen(TestClock.adjust("1 second"), Effect.yieldNow)
        ).pipe(Effect.provide(Logger.layer([])))
      )
      assert.deepStrictEqual(points(all), [[{ active: "false", tmp_mem_enabled: "false" }, 1]])
    })
  )
})

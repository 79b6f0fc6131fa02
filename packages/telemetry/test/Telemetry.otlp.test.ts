import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Op from "@spindle/core/Op"
import type { SpanData } from "@spindle/telemetry"
import * as SpanTree from "@spindle/telemetry/SpanTree"
import type { Definition } from "@spindle/telemetry/Metrics"
import * as Telemetry from "@spindle/telemetry/Telemetry"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Config, ConfigProvider, Effect, Layer, Metric } from "effect"
import * as Collector from "./collector.ts"
import { byName, expected, recordAll, rowOf } from "./everyMetric.ts"
import { assertDescends, submission } from "./traced.ts"

/** Runs turns that complete, fail and are aborted, with tools, under a layer. Returns when the layer is closed. */
const turns = (layer: Layer.Layer<never>) =>
  Effect.gen(function* () {
    const h = yield* Harness.make({
      script: [
        [Model.call("add", { a: 1 }, "call-1"), Model.call("add", { a: 2 }, "call-2")],
        [Model.text("three")],
        [Model.fail("Unauthorized")],
        [Model.hang]
      ],
      tools: { add: { run: () => Effect.succeed(3) } }
    })
    for (const input of ["completes", "fails"]) {
      yield* h.session.submit(submission(Op.userInput(input)))
      yield* h.session.awaitIdle
    }
    yield* h.session.submit(submission(Op.userInput("is aborted")))
    yield* h.session.submit(submission(Op.interrupt))
    yield* h.session.awaitIdle
    return h.events.filter((event) => event._tag === "TurnCompleted").length
  }).pipe(
    Effect.scoped,
    Effect.provide(layer, { local: true }),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

const otlp = (options: Telemetry.OtlpOptions) => Layer.provide(Telemetry.layerOtlp(options), NodeHttpClient.layerUndici)

const byId = (spans: ReadonlyArray<SpanData>) => [...spans].sort((a, b) => (a.spanId < b.spanId ? -1 : 1))

describe("layerOtlpConfig", () => {
  it.live("sends to the endpoint of the configuration", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make()
      const provider = ConfigProvider.fromEnv({ env: { ENDPOINT: collector.endpoint, SERVICE: "checkout" } })
      const layer = Telemetry.layerOtlpConfig({
        endpoint: Config.String("ENDPOINT"),
        protocol: Config.succeed("http/json" as const),
        resource: Config.map(Config.String("SERVICE"), (name) => ({ "service.name": name })),
        metrics: Config.succeed(false as const)
      }).pipe(Layer.provide(NodeHttpClient.layerUndici))
      yield* Effect.withSpan(Effect.void, "work").pipe(
        Effect.provide(layer, { local: true }),
        Effect.provideService(ConfigProvider.ConfigProvider, provider)
      )
      assert.deepStrictEqual(
        collector.spans().map(({ name }) => name),
        ["work"]
      )
    }).pipe(Effect.scoped)
  )
})

describe("layerOtlp", () => {
  it.live.each(["http/json", "http/protobuf"] as const)(
    "O1 over %s a collector reads the same spans and the same trees as the memory has",
    (protocol) =>
      Effect.gen(function* () {
        const collector = yield* Collector.make()
        const kept: Array<SpanData> = []
        yield* turns(
          otlp({ endpoint: collector.endpoint, protocol, metrics: false, onSpan: (span) => void kept.push(span) })
        )
        const collected = collector.spans()
        assert.deepStrictEqual(byId(collected), byId(kept))
        assertDescends(collected)
        const [read, own] = [collected, kept].map((spans) => SpanTree.shape(SpanTree.make(spans).roots))
        assert.deepStrictEqual(read, own)
        assert.lengthOf(collected, 13, "4 submissions, 3 turns, 4 requests, 2 tools")
      }).pipe(Effect.scoped)
  )

  it.live.each([
    ["http/json", "all families", ["spindle", "gen_ai", "reference"]],
    ["http/protobuf", "all families", ["spindle", "gen_ai", "reference"]],
    ["http/protobuf", "the default families", undefined]
  ] as const)(
    "O2 over %s the metrics of %s arrive with the kinds, units, descriptions and attributes of the README",
    ([protocol, , sets]) =>
      Effect.gen(function* () {
        const collector = yield* Collector.make()
        const layer = otlp({
          endpoint: collector.endpoint,
          protocol,
          queueCapacity: 1,
          metrics: sets === undefined ? {} : { sets }
        })
        const drop = Effect.forEach(["one", "two"], (name) => Effect.withSpan(Effect.void, name), { concurrency: 1 })
        yield* Effect.andThen(recordAll, drop).pipe(
          Effect.provide(layer, { local: true }),
          Effect.provideService(Metric.MetricRegistry, new Map())
        )
        const metrics = collector
          .metrics()
          .at(-1)!
          .resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
        const rows = metrics.map(({ description, histogram, name, sum, unit }) =>
          rowOf(
            { name, unit, description, kind: sum === undefined ? "histogram" : sum.isMonotonic ? "counter" : "updown" },
            (sum ?? histogram)!.dataPoints.map(({ attributes }) => attributes.map(({ key }) => key))
          )
        )
        // the family of the reference is recorded only if it is asked for
        const isLeftOut = ({ set }: Definition) => sets === undefined && set === "reference"
        assert.deepStrictEqual([...rows].sort(byName), expected(isLeftOut))
      }).pipe(Effect.scoped)
  )

  it.live("O2 metrics are about the service that was named", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make()
      yield* turns(
        otlp({
          endpoint: collector.endpoint,
          protocol: "http/json",
          resource: { "service.name": "my-agent", "deployment.environment.name": "test" }
        })
      )
      const { resource } = collector.metrics().at(-1)!.resourceMetrics[0]!
      const attributes = Object.fromEntries(resource.attributes.map(({ key, value }) => [key, value["stringValue"]]))
      assert.strictEqual(attributes["service.name"], "my-agent")
      assert.strictEqual(attributes["deployment.environment.name"], "test")
    }).pipe(Effect.scoped)
  )

  it.live.each([0, -1, Number.NaN])("O1 numbers of %d are ignored: few requests, and no span is lost", (number) =>
    Effect.gen(function* () {
      const collector = yield* Collector.make()
      yield* turns(
        otlp({
          endpoint: collector.endpoint,
          protocol: "http/json",
          timeout: number,
          interval: number,
          metricsInterval: number,
          queueCapacity: number,
          batchSize: number,
          shutdownTimeout: number,
          sampleRatio: Number.isNaN(number) ? number : 1
        })
      )
      assert.lengthOf(collector.spans(), 13)
      assert.isAtMost(collector.requests.length, 4)
    }).pipe(Effect.scoped)
  )

  it.live("O1 huge numbers mean the largest that works", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make()
      const huge = Number.MAX_VALUE
      yield* turns(
        otlp({
          endpoint: collector.endpoint,
          protocol: "http/json",
          timeout: huge,
          interval: huge,
          metricsInterval: huge,
          queueCapacity: huge,
          batchSize: huge,
          shutdownTimeout: huge,
          sampleRatio: huge
        })
      )
      assert.lengthOf(collector.spans(), 13)
      assert.isAtMost(collector.requests.length, 4)
    }).pipe(Effect.scoped)
  )

  it.live("O1 a collector that responds with an error for good gets each span once", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make(() => 500)
      let dropped = 0
      yield* turns(
        otlp({ endpoint: collector.endpoint, metrics: false, onDropped: (count) => void (dropped += count) })
      )
      assert.lengthOf(collector.requests, 1)
      assert.strictEqual(dropped, 13)
    }).pipe(Effect.scoped)
  )

  it.live("O1 headers are sent, requests are compressed if asked for, and no request is traced itself", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make()
      const headers = { "x-api-key": "secret" }
      yield* turns(otlp({ endpoint: `${collector.endpoint}/`, headers, compression: "gzip", metrics: false }))
      assert.lengthOf(collector.spans(), 13)
      for (const request of collector.requests) {
        assert.strictEqual(request.headers["x-api-key"], "secret")
        assert.notProperty(request.headers, "traceparent")
      }
      assert.deepStrictEqual(
        collector.spans().filter(({ name }) => name.startsWith("http")),
        []
      )
    }).pipe(Effect.scoped)
  )

  it.live("O1 an unreachable collector delays neither turns nor the end, and the dropped spans are counted", () =>
    Effect.gen(function* () {
      const registry = new Map()
      // the port of a collector that has been closed
      const gone = yield* Effect.scoped(Effect.map(Collector.make(), ({ endpoint }) => endpoint))
      let made = 0
      const layer = otlp({
        endpoint: gone,
        queueCapacity: 4,
        batchSize: 2,
        interval: "1 millis",
        shutdownTimeout: "1 second",
        metrics: false,
        onSpan: () => void made++
      })
      const completed = yield* turns(Layer.provide(layer, Layer.succeed(Metric.MetricRegistry, registry)))
      assert.strictEqual(completed, 1)
      const dropped = Metric.snapshotUnsafe(
        yield* Effect.context<never>().pipe(Effect.provideService(Metric.MetricRegistry, registry))
      )
        .filter(({ id }) => id === "spindle.telemetry.dropped")
        .reduce((sum, one) => sum + (one.type === "Counter" ? Number(one.state.count) : 0), 0)
      assert.strictEqual(dropped, made, "every span that was made was dropped, and counted")
    }).pipe(Effect.scoped)
  )
})

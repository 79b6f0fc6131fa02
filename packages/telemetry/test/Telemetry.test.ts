import { assert, describe, it } from "@effect/vitest"
import type * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { NodeHttpServer } from "@effect/platform-node"
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanProcessor
} from "@opentelemetry/sdk-trace-base"
import * as Op from "@spindle/core/Op"
import type { SpanData } from "@spindle/telemetry"
import { definitions } from "@spindle/telemetry/Metrics"
import * as OpenTelemetry from "@spindle/telemetry/OpenTelemetry"
import * as SpanTree from "@spindle/telemetry/SpanTree"
import * as Telemetry from "@spindle/telemetry/Telemetry"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Layer, Metric } from "effect"
import { HttpClient, HttpRouter } from "effect/http"
import { byName, expected, recordAll, rowOf } from "./everyMetric.ts"
import { assertDescends, caller, submission, traced } from "./traced.ts"

/** One turn with a tool that completes, and one that is aborted. */
const turns = Effect.gen(function* () {
  const h = yield* Harness.make({
    script: [[Model.call("add", { a: "sk-abcdefgh12345678" }, "call-1")], [Model.text("three")], [Model.hang]],
    tools: { add: { run: () => Effect.as(Effect.annotateCurrentSpan("url.full", "http://x/?api_key=abcdef"), 3) } }
  })
  yield* h.session.submit(submission(Op.userInput("completes")))
  yield* h.session.awaitIdle
  yield* h.session.submit(submission(Op.userInput("is aborted")))
  yield* h.session.submit(submission(Op.interrupt))
  yield* h.session.awaitIdle
}).pipe(Effect.scoped)

const alone = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

describe("layerMemory", () => {
  it.effect("keeps as many spans as its capacity, and counts the others", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: [[Model.text("hello")]] }, { capacity: 1, metrics: false })
      yield* h.run("hi")
      assert.lengthOf(yield* h.spans.finished, 1)
      assert.strictEqual(yield* h.spans.droppedCount, 2)
    })
  )

  it.effect("O1 a trace that starts here is kept or left out entirely, and a caller's as the caller decides", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: () => [Model.text("hello")] }, { sampleRatio: 0, metrics: false })
      yield* h.run("of nobody")
      assert.lengthOf(yield* h.spans.finished, 0)
      yield* h.session.submit(submission(Op.userInput("of a caller")))
      yield* h.session.awaitIdle
      assert.lengthOf(yield* h.spans.finished, 3)
      yield* h.session.submit(
        submission(Op.userInput("not sampled"), { traceparent: caller.traceparent.replace(/01$/, "00") })
      )
      yield* h.session.awaitIdle
      assert.lengthOf(yield* h.spans.finished, 3)
    })
  )
})

describe("layerConsole", () => {
  it.effect("writes readable trees when it is closed", () =>
    Effect.gen(function* () {
      let written = ""
      const layer = Telemetry.layerConsole({ write: (text) => void (written += text), metrics: false })
      yield* Effect.provide(turns, layer, { local: true })
      assert.strictEqual(
        written.replace(/\d+\.\d\d ms/g, "0 ms").replace(/^ +/gm, ""),
        [
          "0 ms  op.dispatch.user_input",
          "0 ms  └─ session_task.turn  (input_tokens=20, output_tokens=4)",
          "0 ms     ├─ execute_tool add  (status=completed)",
          "0 ms     ├─ chat scripted  (input_tokens=10, output_tokens=2)",
          "0 ms     └─ chat scripted  (input_tokens=10, output_tokens=2)",
          "0 ms  op.dispatch.user_input",
          "0 ms  └─ session_task.turn  (aborted: Interrupted, input_tokens=17, output_tokens=0)",
          "0 ms     └─ chat scripted  (aborted)",
          "0 ms  op.dispatch.interrupt",
          ""
        ].join("\n")
      )
    })
  )
})

describe("layerPrometheus", () => {
  it.live("O2 serves the metrics of sessions to a scraper", () =>
    Effect.gen(function* () {
      yield* turns
      const text = yield* Effect.flatMap(HttpClient.get("/metrics"), (response) => response.text)
      assert.match(text, /^spindle_turn_duration_count\{[^}]*outcome="aborted"[^}]*\} 1$/m)
      assert.match(text, /^spindle_turn_started\{[^}]*\} 2$/m)
    }).pipe(
      Effect.provide(
        HttpRouter.serve(Telemetry.layerPrometheus(), { disableLogger: true }).pipe(
          Layer.provideMerge(NodeHttpServer.layerTest)
        ),
        { local: true }
      ),
      alone
    )
  )
})

describe("OpenTelemetry.layer", () => {
  /** Runs the turns under the SDK and returns what its exporter got. */
  const exported = Effect.fnUntraced(function* (options?: Parameters<typeof OpenTelemetry.layer>[1]) {
    const exporter = new InMemorySpanExporter()
    const got: Array<ReadableSpan> = []
    const processor = new SimpleSpanProcessor(exporter)
    // read before the layer closes, which empties the exporter
    const reading: SpanProcessor = {
      onStart: (span, context) => processor.onStart(span, context),
      onEnd: (span) => void got.push(span),
      forceFlush: () => processor.forceFlush(),
      shutdown: () => processor.shutdown()
    }
    const configuration = (): NodeSdk.Configuration => ({
      resource: { serviceName: "test" },
      spanProcessor: reading
    })
    yield* Effect.provide(turns, OpenTelemetry.layer(configuration, { metrics: false, ...options }), { local: true })
    return got
  })

  const dataOf = (span: ReadableSpan): SpanData => ({
    traceId: span.spanContext().traceId,
    spanId: span.spanContext().spanId,
    parentSpanId: span.parentSpanContext?.spanId,
    name: span.name,
    kind: "internal",
    startNanos: BigInt(span.startTime[0]) * 1_000_000_000n + BigInt(span.startTime[1]),
    endNanos: BigInt(span.endTime[0]) * 1_000_000_000n + BigInt(span.endTime[1]),
    attributes: span.attributes,
    events: [],
    links: [],
    status: span.status.code === 2 ? "error" : "unset",
    statusMessage: span.status.message
  })

  it.live("O1 the SDK's exporters get the same tree", () =>
    Effect.gen(function* () {
      const spans = (yield* exported()).map(dataOf)
      assertDescends(spans)
      const names = (nodes: ReadonlyArray<SpanTree.SpanNode>) => SpanTree.flatten(nodes).map(({ name }) => name)
      assert.deepStrictEqual([...names(SpanTree.make(spans).roots)].sort(), [
        "chat scripted",
        "chat scripted",
        "chat scripted",
        "execute_tool add",
        "op.dispatch.interrupt",
        "op.dispatch.user_input",
        "op.dispatch.user_input",
        "session_task.turn",
        "session_task.turn"
      ])
      const aborted = spans.filter((span) => span.attributes["spindle.outcome"] === "aborted")
      assert.deepStrictEqual(aborted.map(({ name, status }) => `${name} ${status}`).sort(), [
        "chat scripted unset",
        "session_task.turn unset"
      ])
    })
  )

  it.live("O2 a metric reader gets the kinds, units, descriptions and attributes of the README", () =>
    Effect.gen(function* () {
      // read before the layer closes, which empties the reader
      const reader = new PeriodicExportingMetricReader({
        exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
        exportIntervalMillis: 3_600_000,
        exportTimeoutMillis: 1_000
      })
      const layer = OpenTelemetry.layer(() => ({ resource: { serviceName: "test" }, metricReader: reader }), {
        metrics: { sets: ["spindle", "gen_ai", "reference"] }
      })
      const { resourceMetrics } = yield* Effect.andThen(
        recordAll,
        Effect.promise(() => reader.collect())
      ).pipe(Effect.provide(layer, { local: true }), alone)
      const rows = resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
        metrics.map((metric) => {
          const { description, name, unit } = metric.descriptor
          const kind =
            metric.dataPointType === DataPointType.HISTOGRAM
              ? "histogram"
              : metric.dataPointType === DataPointType.SUM && metric.isMonotonic
                ? "counter"
                : "updown"
          return rowOf(
            { name, kind, unit, description },
            metric.dataPoints.map(({ attributes }) => Object.keys(attributes))
          )
        })
      )
      // spans are dropped by the SDK's own processors, which count for themselves
      const inSdk = expected(({ name }) => name === definitions.exportDropped.name)
      assert.deepStrictEqual([...rows].sort(byName), inSdk)
    })
  )

  it.live("O2 the attribute of the reference is on spans only if its family is recorded", () =>
    Effect.gen(function* () {
      const operations = (spans: ReadonlyArray<ReadableSpan>) =>
        spans.flatMap(({ attributes }) => ("codex.op" in attributes ? [attributes["codex.op"]] : []))
      assert.deepStrictEqual(operations(yield* exported()), [])
      const withReference = yield* exported({ metrics: { sets: ["reference"] } }).pipe(alone)
      assert.deepStrictEqual(operations(withReference).sort(), ["interrupt", "user_input", "user_input"])
    })
  )

  it.live("O1 redaction is applied before any exporter, and content is included only if it is asked for", () =>
    Effect.gen(function* () {
      const told = (spans: ReadonlyArray<ReadableSpan>) => JSON.stringify(spans.map(({ attributes }) => attributes))
      const plain = told(yield* exported())
      assert.include(plain, "api_key=[redacted]")
      assert.notInclude(plain, "abcdef")
      assert.notInclude(plain, "gen_ai.tool.call.arguments")
      const open = told(yield* exported({ content: true }))
      assert.include(open, "gen_ai.tool.call.arguments")
      assert.notInclude(open, "abcdefgh12345678")
    })
  )
})

/**
 * Layers that give sessions a tracer and the recorder, and send what they say somewhere (contract O1, O2).
 *
 * Provide one of them to whatever makes sessions. Spans are redacted before anybody sees them, and hold no content unless
 * `content` is on. None of these layers can delay a turn: an exporter that cannot send drops, and counts what it dropped.
 */
import { TraceContent } from "@spindle/core/Tracing"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { layerFlusher } from "effect/observability/OtlpExporter"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpResource from "effect/observability/OtlpResource"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Tracer from "effect/Tracer"
import * as Otlp from "./internal/otlp.ts"
import * as SpanExporter from "./internal/spanExporter.ts"
import * as OurTracer from "./internal/tracer.ts"
import { definitions } from "./Metrics.ts"
import * as Redaction from "./Redaction.ts"
import * as SessionMetrics from "./SessionMetrics.ts"
import type { SpanData } from "./SpanData.ts"
import * as SpanTree from "./SpanTree.ts"

/** What all layers have in common. */
export interface Options {
  /**
   * Whether spans may hold what users, models and tools said: messages, arguments and results of tools, command lines,
   * messages of errors, log lines. Default false.
   */
  readonly content?: boolean
  /** What is taken out of every attribute. Default `Redaction.standard`. */
  readonly redact?: Redaction.Redact
  /** The share of the traces that begin here which is kept, 0 to 1; those of callers are kept as they say. Default 1. */
  readonly sampleRatio?: number
  /** What the recorder records; false for nothing. */
  readonly metrics?: SessionMetrics.Options | false
  /** Called with every span that has ended, redacted, beside what the layer does; must neither block nor throw. */
  readonly onSpan?: (span: SpanData) => void
}

const tracerOptions = (options: Options) => ({
  content: options.content ?? false,
  redact: options.redact ?? Redaction.standard,
  sampleRatio: options.sampleRatio ?? 1
})

const common = (options: Options): Layer.Layer<never> =>
  Layer.mergeAll(
    Layer.succeed(TraceContent, options.content ?? false),
    options.metrics === false ? Layer.empty : SessionMetrics.layer(options.metrics)
  )

/** The spans that a layer keeps in memory. */
export interface SpanStore {
  /** Those that have ended, in the order of their end. */
  readonly finished: Effect.Effect<ReadonlyArray<SpanData>>
  /** The names of those that have begun and not ended. */
  readonly open: Effect.Effect<ReadonlyArray<string>>
  /** Those that have ended, as trees. */
  readonly tree: Effect.Effect<SpanTree.SpanTree>
  /** How many were left out because there were too many. */
  readonly droppedCount: Effect.Effect<number>
}

/** The service key of {@link SpanStore}. */
export const SpanStore: Context.Service<SpanStore, SpanStore> = Context.Service("@spindle/telemetry/SpanStore")

interface Kept {
  readonly tracer: Tracer.Tracer
  readonly store: SpanStore
}

const keep = (options: Options, capacity: number): Kept => {
  const finished: Array<SpanData> = []
  const open = new Map<Tracer.Span, string>()
  let dropped = 0
  return {
    tracer: OurTracer.make({
      ...tracerOptions(options),
      onStart: (span) => void open.set(span, span.name),
      onEnd: (span, made) => {
        open.delete(made)
        options.onSpan?.(span)
        if (finished.length < capacity) finished.push(span)
        else dropped++
      }
    }),
    store: {
      finished: Effect.sync(() => finished.slice()),
      open: Effect.sync(() => [...open.values()]),
      tree: Effect.sync(() => SpanTree.make(finished)),
      droppedCount: Effect.sync(() => dropped)
    }
  }
}

/** How many spans the layers in memory keep when they are not told otherwise. */
export const defaultCapacity = 10_000

/** Keeps spans in memory, `capacity` of them (default 10,000); for tests, and for programs that show their own. */
export const layerMemory = (options: Options & { readonly capacity?: number } = {}): Layer.Layer<SpanStore> => {
  const made = Layer.effectContext(
    Effect.sync(() => {
      const { store, tracer } = keep(options, options.capacity ?? defaultCapacity)
      return Context.make(SpanStore, store).pipe(Context.add(Tracer.Tracer, tracer)) as Context.Context<SpanStore>
    })
  )
  return Layer.merge(made, common(options))
}

/** Writes the trees of spans when the layer is closed: at most `capacity` spans (default 10,000). */
export const layerConsole = (
  options: Options & { readonly capacity?: number; readonly write: (text: string) => void }
): Layer.Layer<never> => {
  const made = Layer.effectContext(
    Effect.gen(function* () {
      const { store, tracer } = keep(options, options.capacity ?? defaultCapacity)
      yield* Effect.addFinalizer(() =>
        Effect.gen(function* () {
          const dropped = yield* store.droppedCount
          options.write(SpanTree.render(yield* store.tree))
          if (dropped > 0) options.write(`${dropped} spans are left out\n`)
        })
      )
      return Context.make(Tracer.Tracer, tracer) as Context.Context<never>
    })
  )
  return Layer.merge(made, common(options))
}

/** Where and how to send; everything has the default of the specification of OpenTelemetry. */
export interface OtlpOptions extends Options {
  /** The address of the collector; `v1/traces` and `v1/metrics` are added. Default `http://localhost:4318`. */
  readonly endpoint?: string
  /** The whole address for traces; undefined for that of `endpoint`, false for none. */
  readonly tracesEndpoint?: string | false
  /** The whole address for metrics; as `tracesEndpoint`. */
  readonly metricsEndpoint?: string | false
  readonly headers?: { readonly [name: string]: string }
  /** Default `http/protobuf`. */
  readonly protocol?: "http/protobuf" | "http/json"
  /** Default none. */
  readonly compression?: "gzip" | "none"
  /** What the spans are about; `service.name` is `spindle` unless it is given here. */
  readonly resource?: { readonly [name: string]: string }
  /** How long one request may take. Default 10 s. */
  readonly timeout?: Duration.Input
  /** How long a span waits for its batch to fill. Default 5 s. */
  readonly interval?: Duration.Input
  /** How often metrics are sent. Default 60 s. */
  readonly metricsInterval?: Duration.Input
  /** How many spans wait at most. Default 2,048. */
  readonly queueCapacity?: number
  /** How many spans are sent at once. Default 512. */
  readonly batchSize?: number
  /** How long closing the layer may take to send what is left. Default 3 s. */
  readonly shutdownTimeout?: Duration.Input
  /**
   * Called with how many spans are given up and why, beside the count in `spindle.telemetry.dropped`; must neither block
   * nor throw.
   */
  readonly onDropped?: (count: number, reason: "queue_full" | "refused" | "shutdown") => void
}

/**
 * Sends traces and metrics over OTLP, without the SDK of OpenTelemetry. Closing the layer sends what is left, within its
 * limit.
 */
export const layerOtlp = (options: OtlpOptions = {}): Layer.Layer<never, never, HttpClient.HttpClient> => {
  const endpoint = (options.endpoint ?? "http://localhost:4318").replace(/\/+$/, "")
  const traces = options.tracesEndpoint ?? `${endpoint}/v1/traces`
  const metrics = options.metricsEndpoint ?? `${endpoint}/v1/metrics`
  const serialization = options.protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf
  return Layer.mergeAll(
    traces === false ? Layer.empty : Layer.provide(otlpTraces(options, traces), serialization),
    metrics === false || options.metrics === false
      ? Layer.empty
      : otlpMetrics(options, metrics).pipe(Layer.provide(serialization), Layer.provide(timed(options))),
    common(options)
  )
}

const limitOf = (duration: Duration.Input | undefined, otherwise: Duration.Input): Duration.Duration =>
  Duration.fromInputUnsafe(duration ?? otherwise)

const resourceOf = ({ resource }: OtlpOptions) => {
  const { "service.name": serviceName = "spindle", "service.version": serviceVersion, ...attributes } = resource ?? {}
  return { serviceName, ...(serviceVersion === undefined ? {} : { serviceVersion }), attributes }
}

/**
 * A client whose requests end in time, and fail for good: the exporter of metrics waits for them, and would try them
 * again although the next request holds all that this one did.
 */
const timed = (options: OtlpOptions): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.transformResponse((response) =>
        Effect.timeoutOrElse(response, {
          duration: limitOf(options.timeout, "10 seconds"),
          orElse: () => Effect.interrupt
        }).pipe(Effect.tapError(() => Effect.interrupt))
      )
    )
  )

const otlpMetrics = (options: OtlpOptions, url: string) =>
  OtlpMetrics.layer({
    url,
    resource: resourceOf(options),
    headers: options.headers,
    compression: options.compression,
    exportInterval: limitOf(options.metricsInterval, "60 seconds"),
    shutdownTimeout: limitOf(options.shutdownTimeout, "3 seconds")
  }).pipe(Layer.provide(layerFlusher))

const scope = { name: "@spindle/telemetry", version: "0.1.0" }

const otlpTraces = (options: OtlpOptions, url: string) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const serialization = yield* OtlpSerialization.OtlpSerialization
      const context = yield* Effect.context<never>()
      const resource = OtlpResource.make(resourceOf(options))
      const request = HttpClientRequest.post(url, { headers: options.headers })
      const exporter = yield* SpanExporter.make({
        capacity: options.queueCapacity ?? 2_048,
        batchSize: Math.min(options.batchSize ?? 512, options.queueCapacity ?? 2_048),
        interval: limitOf(options.interval, "5 seconds"),
        shutdownLimit: limitOf(options.shutdownTimeout, "3 seconds"),
        send: (batch) =>
          SpanExporter.bounded(
            // what cannot be written is a failure of this batch, not of the exporter
            Effect.suspend(() =>
              post(client, request, { body: serialization.traces(Otlp.traceData(resource, scope, batch)), ...options })
            ),
            limitOf(options.timeout, "10 seconds"),
            () => "later"
          ),
        onDropped: (count, reason) => {
          droppedMetric(reason).updateUnsafe(count, context)
          options.onDropped?.(count, reason)
        }
      })
      const onEnd = (span: SpanData) => {
        options.onSpan?.(span)
        exporter.push(span)
      }
      const tracer = OurTracer.make({ ...tracerOptions(options), onEnd })
      return Context.make(Tracer.Tracer, tracer) as Context.Context<never>
    })
  )

const dropped = definitions.exportDropped
const droppedMetrics = new Map<string, Metric.Counter<number>>()
const droppedMetric = (reason: string): Metric.Counter<number> => {
  let metric = droppedMetrics.get(reason)
  if (metric === undefined) {
    metric = Metric.counter(dropped.name, { description: dropped.moment, attributes: { reason }, incremental: true })
    droppedMetrics.set(reason, metric)
  }
  return metric
}

/** One request of an exporter: never traced itself, and tried again only when the collector asks for that. */
const post = (
  client: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  { body, compression }: { readonly body: HttpBody.HttpBody; readonly compression?: "gzip" | "none" }
) => {
  const plain = HttpClientRequest.setBody(request, body)
  const ready = compression === "gzip" ? HttpClientRequest.compressBody(plain, "gzip") : Effect.succeed(plain)
  return ready.pipe(
    Effect.flatMap((one) => client.execute(one)),
    Effect.flatMap((response) =>
      Effect.map(Effect.ignore(response.arrayBuffer), (): SpanExporter.Sent => {
        if (response.status < 300) return "sent"
        return response.status === 429 || response.status >= 502 ? "later" : "refused"
      })
    ),
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.withTracerEnabled(false)
  )
}

/** Records metrics, and serves them for Prometheus at `path` (default `/metrics`) of a router. Makes no spans. */
export const layerPrometheus = (
  options: { readonly path?: HttpRouter.PathInput; readonly metrics?: SessionMetrics.Options } = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  Layer.merge(
    SessionMetrics.layer(options.metrics),
    PrometheusMetrics.layerHttp(options.path === undefined ? {} : { path: options.path })
  )

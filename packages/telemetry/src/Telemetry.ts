/**
 * Layers that trace and measure sessions and send the results somewhere (contract O1, O2).
 *
 * Provide one of them to the code that makes sessions. Spans are redacted before anything reads them, and contain no
 * content unless `content` is on. None of these layers can delay a turn: an exporter that cannot send drops spans and
 * counts them.
 */
import { TraceContent } from "@spindle/core/Tracing"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import type * as Metric from "effect/Metric"
import { layerFlusher } from "effect/observability/OtlpExporter"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpResource from "effect/observability/OtlpResource"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { countOf, durationOf, ratioOf } from "./internal/limits.ts"
import * as Otlp from "./internal/otlp.ts"
import * as Reference from "./internal/reference.ts"
import * as Series from "./internal/series.ts"
import * as SpanExporter from "./internal/spanExporter.ts"
import * as OurTracer from "./internal/tracer.ts"
import { definitions } from "./Metrics.ts"
import * as Redaction from "./Redaction.ts"
import * as SessionMetrics from "./SessionMetrics.ts"
import type { SpanData } from "./SpanData.ts"
import * as SpanTree from "./SpanTree.ts"

/** The options of all layers. */
export interface Options {
  /**
   * True if spans may contain content: messages, arguments and results of tools, command lines, messages of errors, log
   * lines. Default false.
   */
  readonly content?: boolean | undefined
  /** Redacts every attribute. Default `Redaction.standard`. */
  readonly redact?: Redaction.Redact | undefined
  /**
   * The share of traces to keep, 0 to 1. It applies to traces that start here; callers decide about theirs. Default 1.
   */
  readonly sampleRatio?: number | undefined
  /** The metrics to record; false for none. If `sets` has `reference`, spans have its attribute `codex.op`. */
  readonly metrics?: SessionMetrics.Options | false | undefined
  /** Called with every span that has ended, redacted. Must neither block nor throw. */
  readonly onSpan?: ((span: SpanData) => void) | undefined
}

const tracerOptions = (options: Options) => ({
  content: options.content ?? false,
  redact: options.redact ?? Redaction.standard,
  sampleRatio: ratioOf(options.sampleRatio),
  reference: Reference.isWanted(options.metrics)
})

const common = (options: Options): Layer.Layer<never> =>
  Layer.mergeAll(
    Layer.succeed(TraceContent, options.content ?? false),
    options.metrics === false ? Layer.empty : SessionMetrics.layer(options.metrics)
  )

/** The spans that a layer keeps in memory. */
export interface SpanStore {
  /** The spans that have ended, in the order of their end. */
  readonly finished: Effect.Effect<ReadonlyArray<SpanData>>
  /** The names of the spans that have started and not ended. */
  readonly open: Effect.Effect<ReadonlyArray<string>>
  /** The spans that have ended, as trees. */
  readonly tree: Effect.Effect<SpanTree.SpanTree>
  /** The number of spans that were dropped because the capacity was reached. */
  readonly droppedCount: Effect.Effect<number>
}

/** The service key of {@link SpanStore}. */
export const SpanStore: Context.Service<SpanStore, SpanStore> = Context.Service("@spindle/telemetry/SpanStore")

const makeStore = (
  options: Options & { readonly capacity?: number | undefined }
): { readonly tracer: Tracer.Tracer; readonly store: SpanStore } => {
  const capacity = countOf(options.capacity, { otherwise: defaultCapacity, most: Number.MAX_SAFE_INTEGER })
  const finished: Array<SpanData> = []
  const open = new Map<Tracer.Span, string>()
  let dropped = 0
  return {
    tracer: OurTracer.make({
      ...tracerOptions(options),
      onStart: (span) => void open.set(span, span.name),
      onEnd: (data, span) => {
        open.delete(span)
        options.onSpan?.(data)
        if (finished.length < capacity) finished.push(data)
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

/** The number of spans that the layers in memory keep by default. */
export const defaultCapacity = 10_000

/** Keeps up to `capacity` spans in memory (default 10,000), for tests and for programs that show their own spans. */
export const layerMemory = (
  options: Options & { readonly capacity?: number | undefined } = {}
): Layer.Layer<SpanStore> => {
  const memory = Layer.effectContext(
    Effect.sync(() => {
      const { store, tracer } = makeStore(options)
      return Context.make(SpanStore, store).pipe(Context.add(Tracer.Tracer, tracer)) as Context.Context<SpanStore>
    })
  )
  return Layer.merge(memory, common(options))
}

/** Writes the trees of up to `capacity` spans (default 10,000) when the layer is closed. */
export const layerConsole = (
  options: Options & { readonly capacity?: number | undefined; readonly write: (text: string) => void }
): Layer.Layer<never> => {
  const console = Layer.effectContext(
    Effect.gen(function* () {
      const { store, tracer } = makeStore(options)
      yield* Effect.addFinalizer(() =>
        Effect.gen(function* () {
          const dropped = yield* store.droppedCount
          options.write(SpanTree.render(yield* store.tree))
          if (dropped > 0) options.write(`${dropped} more spans are not shown\n`)
        })
      )
      return Context.make(Tracer.Tracer, tracer) as Context.Context<never>
    })
  )
  return Layer.merge(console, common(options))
}

/**
 * The destination and the form of exports. Every option has the default of the OpenTelemetry specification. A number
 * that is zero, negative or not a number is ignored, and one that is too large is replaced by the largest that works.
 */
export interface OtlpOptions extends Options {
  /** The address of the collector, without `v1/traces` and `v1/metrics`. Default `http://localhost:4318`. */
  readonly endpoint?: string | undefined
  /** The complete address for traces. Default: made from `endpoint`; false sends none. */
  readonly tracesEndpoint?: string | false | undefined
  /** The complete address for metrics. Default: made from `endpoint`; false sends none. */
  readonly metricsEndpoint?: string | false | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
  /** Default `http/protobuf`. */
  readonly protocol?: "http/protobuf" | "http/json" | undefined
  /** Default none. */
  readonly compression?: "gzip" | "none" | undefined
  /** Attributes of the resource. The default of `service.name` is `spindle`. */
  readonly resource?: { readonly [name: string]: string } | undefined
  /** The time limit of one request. Default 10 s. */
  readonly timeout?: Duration.Input | undefined
  /** The longest time that a span waits for its batch to fill. Default 5 s. */
  readonly interval?: Duration.Input | undefined
  /** The time between two exports of metrics. Default 60 s, at least 100 ms. */
  readonly metricsInterval?: Duration.Input | undefined
  /** The most spans that wait. Default 2,048, at most 65,536. */
  readonly queueCapacity?: number | undefined
  /** The most spans of one request. Default 512, at most `queueCapacity`. */
  readonly batchSize?: number | undefined
  /** The time that closing the layer may take to send the remaining spans. Default 3 s, at most one minute. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /**
   * The schedule by which spans are sent again that the collector could not take. It starts over after a successful
   * request. When it ends, these spans are dropped as `refused`. The default has no end: its pauses double, from twice
   * the interval up to one minute.
   */
  readonly retries?: Schedule.Schedule<unknown> | undefined
  /**
   * Called with the number of spans that are dropped and the reason, in addition to the metric
   * `spindle.telemetry.dropped`. Must neither block nor throw.
   */
  readonly onDropped?: ((count: number, reason: "queue_full" | "refused" | "shutdown") => void) | undefined
}

/** The numbers of the options, within bounds. */
const limitsOf = (options: OtlpOptions) => {
  const capacity = countOf(options.queueCapacity, { otherwise: 2_048, most: 65_536 })
  const most = Duration.days(1)
  return {
    capacity,
    batchSize: countOf(options.batchSize, { otherwise: Math.min(512, capacity), most: capacity }),
    timeout: durationOf(options.timeout, { otherwise: Duration.seconds(10), most }),
    interval: durationOf(options.interval, { otherwise: Duration.seconds(5), most }),
    metricsInterval: durationOf(options.metricsInterval, {
      otherwise: Duration.seconds(60),
      least: Duration.millis(100),
      most
    }),
    shutdownLimit: durationOf(options.shutdownTimeout, { otherwise: Duration.seconds(3), most: Duration.minutes(1) })
  }
}

/**
 * Sends traces and metrics over OTLP, without the OpenTelemetry SDK. Closing the layer sends what remains, within
 * `shutdownTimeout`.
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
      : otlpMetrics(options, metrics).pipe(Layer.provide(serialization), Layer.provide(boundedClient(options))),
    common(options)
  )
}

/** {@link layerOtlp}, its options read from the configuration. */
export const layerOtlpConfig = (
  options: Config.Wrap<OtlpOptions>
): Layer.Layer<never, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layerOtlp))

const resourceOf = ({ resource }: OtlpOptions) => {
  const { "service.name": serviceName = "spindle", "service.version": serviceVersion, ...attributes } = resource ?? {}
  return { serviceName, ...(serviceVersion === undefined ? {} : { serviceVersion }), attributes }
}

/**
 * An HTTP client whose requests end in time and are not retried. The exporter of metrics waits for its requests, and
 * the next request contains everything that this one did.
 */
const boundedClient = (options: OtlpOptions): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.transformResponse((response) =>
        Effect.timeoutOrElse(response, {
          duration: limitsOf(options).timeout,
          orElse: () => Effect.interrupt
        }).pipe(Effect.tapError(() => Effect.interrupt))
      )
    )
  )

/** Serializes metrics without the attribute in which Effect carries their unit. */
const plainSerialization = Layer.effect(
  OtlpSerialization.OtlpSerialization,
  Effect.map(OtlpSerialization.OtlpSerialization, (serialization) => ({
    ...serialization,
    metrics: (data) => serialization.metrics(Otlp.withoutUnitAttribute(data))
  }))
)

const otlpMetrics = (options: OtlpOptions, url: string) => {
  const { metricsInterval, shutdownLimit } = limitsOf(options)
  return OtlpMetrics.layer({
    url,
    resource: resourceOf(options),
    headers: options.headers,
    compression: options.compression,
    exportInterval: metricsInterval,
    shutdownTimeout: shutdownLimit
  }).pipe(Layer.provide(layerFlusher), Layer.provide(plainSerialization))
}

const scope = { name: "@spindle/telemetry", version: "0.1.0" }

const otlpTraces = (options: OtlpOptions, url: string) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const serialization = yield* OtlpSerialization.OtlpSerialization
      const context = yield* Effect.context<never>()
      const resource = OtlpResource.make(resourceOf(options))
      const request = HttpClientRequest.post(url, { headers: options.headers })
      const { timeout, ...limits } = limitsOf(options)
      const exporter = yield* SpanExporter.make({
        ...limits,
        retries: options.retries,
        send: (batch) =>
          SpanExporter.sendWithin(
            // a batch that cannot be serialized fails alone, not with the exporter
            Effect.suspend(() => {
              const body = serialization.traces(Otlp.traceData(resource, scope, batch))
              return post(client, request, { body, compression: options.compression })
            }),
            timeout,
            () => "later"
          ),
        onDropped: (count, reason) => {
          droppedSpans(reason).updateUnsafe(count, context)
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

const droppedSpans = (reason: string): Metric.Metric<number, unknown> =>
  Series.metricOf(definitions.exportDropped, { reason })

/** The responses after which the specification of OTLP allows another attempt. */
const retryable: ReadonlyArray<number> = [429, 502, 503, 504]

const sentOf = (status: number): SpanExporter.Sent =>
  status < 300 ? "sent" : retryable.includes(status) ? "later" : "refused"

/** Sends one request, which is never traced itself. Its response is read to the end and not kept. */
const post = (
  client: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  { body, compression }: { readonly body: HttpBody.HttpBody; readonly compression: OtlpOptions["compression"] }
) => {
  const plain = HttpClientRequest.setBody(request, body)
  const ready = compression === "gzip" ? HttpClientRequest.compressBody(plain, "gzip") : Effect.succeed(plain)
  return ready.pipe(
    Effect.flatMap((one) => client.execute(one)),
    Effect.flatMap((response) => Effect.as(Effect.ignore(Stream.runDrain(response.stream)), sentOf(response.status))),
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.withTracerEnabled(false)
  )
}

/** Records metrics and serves them for Prometheus at `path` (default `/metrics`) of a router. Makes no spans. */
export const layerPrometheus = (
  options: {
    readonly path?: HttpRouter.PathInput | undefined
    readonly metrics?: SessionMetrics.Options | undefined
  } = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  Layer.merge(
    SessionMetrics.layer(options.metrics),
    PrometheusMetrics.layerHttp(options.path === undefined ? {} : { path: options.path })
  )

/**
 * Sends the spans and metrics of sessions to the processors and readers of the OpenTelemetry SDK, redacted like those
 * of all other layers.
 *
 * This module is not part of the package's index, because it needs the optional peers `@effect/opentelemetry` and the
 * packages of the SDK.
 */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import * as OtelMetrics from "@effect/opentelemetry/OtelMetrics"
import type { Resource } from "@effect/opentelemetry/Resource"
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace-base"
import { TraceContent } from "@spindle/core/Tracing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reference from "./internal/reference.ts"
import { unitAttribute } from "./internal/series.ts"
import * as Redaction from "./Redaction.ts"
import * as SessionMetrics from "./SessionMetrics.ts"
import type { Options } from "./Telemetry.ts"

/**
 * Provides the tracer of the SDK and records metrics. Sampling is configured in the SDK (`tracerConfig.sampler`).
 * Closing the layer flushes the SDK and shuts it down, within its `shutdownTimeout` (3 s).
 */
export const layer = (
  configuration: () => NodeSdk.Configuration,
  options: Omit<Options, "sampleRatio" | "onSpan"> = {}
): Layer.Layer<Resource> => {
  const rules: Rules = {
    redact: options.redact ?? Redaction.standard,
    content: options.content ?? false,
    reference: Reference.isWanted(options.metrics)
  }
  const sdk = Layer.unwrap(
    Effect.sync(() => {
      const { metricReader, spanProcessor, ...given } = configuration()
      const processors = arrayOf(spanProcessor).map((processor) => redactSpans(processor, rules))
      return arrayOf(metricReader).reduce(
        (layer, reader) => Layer.provideMerge(readMetrics(reader, given), layer),
        NodeSdk.layer(() => ({ ...given, spanProcessor: processors }))
      )
    })
  )
  return Layer.mergeAll(
    sdk,
    Layer.succeed(TraceContent, rules.content),
    options.metrics === false ? Layer.empty : SessionMetrics.layer(options.metrics)
  )
}

const arrayOf = <A>(value: A | ReadonlyArray<A> | undefined): ReadonlyArray<A> =>
  value === undefined ? [] : Array.isArray(value) ? (value as ReadonlyArray<A>) : [value as A]

type MetricReader = Exclude<NodeSdk.Configuration["metricReader"], ReadonlyArray<unknown> | undefined>

/**
 * Connects a reader to Effect's metrics. The points have no attribute for the unit: the SDK sends it with the metric.
 */
const readMetrics = (
  reader: MetricReader,
  { metricTemporality, shutdownTimeout }: NodeSdk.Configuration
): Layer.Layer<never, never, Resource> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const producer = yield* OtelMetrics.makeProducer(metricTemporality)
      const withoutUnit: typeof producer = {
        collect: async (options) => {
          const { errors, resourceMetrics } = await producer.collect(options)
          for (const { metrics } of resourceMetrics.scopeMetrics)
            for (const { dataPoints } of metrics)
              for (const { attributes } of dataPoints) delete attributes[unitAttribute]
          return { errors, resourceMetrics }
        }
      }
      yield* OtelMetrics.registerProducer(withoutUnit, () => reader, { shutdownTimeout })
    })
  )

interface Rules {
  readonly redact: Redaction.Redact
  readonly content: boolean
  readonly reference: boolean
}

/** Wraps a processor so that it sees ended spans redacted. */
const redactSpans = (processor: SpanProcessor, rules: Rules): SpanProcessor => ({
  onStart: (span, context) => processor.onStart(span, context),
  onEnd: (span) => processor.onEnd(redactSpan(span, rules)),
  forceFlush: () => processor.forceFlush(),
  shutdown: () => processor.shutdown()
})

/** The attributes of span events in which Effect writes errors and log lines. */
const contentAttribute = /^(exception\.(message|stacktrace)|effect\.)/

const redactSpan = (span: ReadableSpan, { content, redact, reference }: Rules): ReadableSpan => {
  const events = span.events
    .filter((event) => content || !Object.keys(event.attributes ?? {}).some((key) => key.startsWith("effect.")))
    .map((event) => ({ ...event, attributes: redactAll(event.attributes ?? {}, { content, redact }) }))
  const { "effect.fiber.interrupted": interrupted, ...attributes } = span.attributes
  const added = {
    ...(reference ? Reference.attributesOf(span.name) : {}),
    ...(interrupted === true ? { "spindle.outcome": "aborted" } : {})
  }
  return Object.create(span, {
    attributes: { value: { ...redactAll(attributes, { content: true, redact }), ...added }, enumerable: true },
    events: { value: events, enumerable: true },
    status: { value: content ? span.status : { code: span.status.code }, enumerable: true }
  }) as ReadableSpan
}

const redactAll = (
  attributes: ReadableSpan["attributes"],
  { content, redact }: Omit<Rules, "reference">
): ReadableSpan["attributes"] => {
  const out: { [name: string]: ReadableSpan["attributes"][string] } = {}
  for (const [name, value] of Object.entries(attributes)) {
    if (!content && contentAttribute.test(name)) continue
    const redacted = redact(name, value) as ReadableSpan["attributes"][string]
    if (redacted !== undefined) out[name] = redacted
  }
  return out
}

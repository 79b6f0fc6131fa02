/**
 * For applications that have the SDK of OpenTelemetry: its processors and readers get the spans and metrics of sessions,
 * redacted as everywhere.
 *
 * Not part of the package's index, since it needs `@effect/opentelemetry` and the SDK's packages beside it, which are
 * optional peers.
 */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import type { Resource } from "@effect/opentelemetry/Resource"
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace-base"
import { TraceContent } from "@spindle/core/Tracing"
import * as Layer from "effect/Layer"
import * as Redaction from "./Redaction.ts"
import * as SessionMetrics from "./SessionMetrics.ts"
import type { Options } from "./Telemetry.ts"

/**
 * Gives sessions the tracer of the SDK, and the recorder. `sampleRatio` is the SDK's affair (`tracerConfig.sampler`).
 * Closing the layer flushes and shuts the SDK down, within its `shutdownTimeout` (3 s).
 */
export const layer = (
  configuration: () => NodeSdk.Configuration,
  options: Omit<Options, "sampleRatio" | "onSpan"> = {}
): Layer.Layer<Resource> => {
  const redact = options.redact ?? Redaction.standard
  const content = options.content ?? false
  const sdk = NodeSdk.layer(() => {
    const given = configuration()
    const { spanProcessor } = given
    if (spanProcessor === undefined) return given
    const processors = Array.isArray(spanProcessor) ? (spanProcessor as ReadonlyArray<SpanProcessor>) : [spanProcessor]
    return { ...given, spanProcessor: processors.map((one) => redacting(one as SpanProcessor, { redact, content })) }
  })
  return Layer.mergeAll(
    sdk,
    Layer.succeed(TraceContent, content),
    options.metrics === false ? Layer.empty : SessionMetrics.layer(options.metrics)
  )
}

interface Rules {
  readonly redact: Redaction.Redact
  readonly content: boolean
}

/** A processor that sees what may be seen of spans that have ended. */
const redacting = (processor: SpanProcessor, rules: Rules): SpanProcessor => ({
  onStart: (span, context) => processor.onStart(span, context),
  onEnd: (span) => processor.onEnd(redacted(span, rules)),
  forceFlush: () => processor.forceFlush(),
  shutdown: () => processor.shutdown()
})

// the events in which Effect tells errors and log lines
const contentKeys = /^(exception\.(message|stacktrace)|effect\.)/

const redacted = (span: ReadableSpan, { content, redact }: Rules): ReadableSpan => {
  const events = span.events
    .filter((event) => content || !Object.keys(event.attributes ?? {}).some((key) => key.startsWith("effect.")))
    .map((event) => ({ ...event, attributes: attributesOf(event.attributes ?? {}, { content, redact }) }))
  const { "effect.fiber.interrupted": interrupted, ...attributes } = span.attributes
  const aborted = interrupted === true ? { "spindle.outcome": "aborted" } : {}
  return Object.create(span, {
    attributes: { value: { ...attributesOf(attributes, { content: true, redact }), ...aborted }, enumerable: true },
    events: { value: events, enumerable: true },
    status: { value: content ? span.status : { code: span.status.code }, enumerable: true }
  }) as ReadableSpan
}

const attributesOf = (
  attributes: ReadableSpan["attributes"],
  { content, redact }: Rules
): ReadableSpan["attributes"] => {
  const out: { [name: string]: ReadableSpan["attributes"][string] } = {}
  for (const [name, value] of Object.entries(attributes)) {
    if (!content && contentKeys.test(name)) continue
    const told = redact(name, value) as ReadableSpan["attributes"][string]
    if (told !== undefined) out[name] = told
  }
  return out
}

/** Spans as a request of the OpenTelemetry protocol. */
import type { TraceData } from "effect/observability/OtlpTracer"
import * as OtlpResource from "effect/observability/OtlpResource"
import type { SpanAttributes, SpanData } from "../SpanData.ts"

const kinds = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const
const statuses = { unset: 0, error: 2 } as const

/** One request with these spans. */
export const traceData = (
  resource: OtlpResource.Resource,
  scope: { readonly name: string; readonly version: string },
  spans: ReadonlyArray<SpanData>
): TraceData => ({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans: spans.map(spanOf) }] }] })

const attributesOf = (attributes: SpanAttributes) => OtlpResource.entriesToAttributes(Object.entries(attributes))

const spanOf = (span: SpanData): TraceData["resourceSpans"][number]["scopeSpans"][number]["spans"][number] => ({
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId,
  name: span.name,
  kind: kinds[span.kind],
  startTimeUnixNano: String(span.startNanos),
  endTimeUnixNano: String(span.endNanos),
  attributes: attributesOf(span.attributes),
  droppedAttributesCount: 0,
  events: span.events.map(({ atNanos, attributes, name }) => ({
    name,
    timeUnixNano: String(atNanos),
    attributes: attributesOf(attributes),
    droppedAttributesCount: 0
  })),
  droppedEventsCount: 0,
  status: {
    code: statuses[span.status],
    ...(span.statusMessage === undefined ? {} : { message: span.statusMessage })
  },
  links: span.links.map(({ attributes, spanId, traceId }) => ({
    traceId,
    spanId,
    attributes: attributesOf(attributes),
    droppedAttributesCount: 0
  })),
  droppedLinksCount: 0
})

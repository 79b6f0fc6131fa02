/** Requests of the OpenTelemetry protocol. */
import type { MetricsData } from "effect/observability/OtlpMetrics"
import type { TraceData } from "effect/observability/OtlpTracer"
import * as OtlpResource from "effect/observability/OtlpResource"
import type { KeyValue } from "effect/observability/OtlpResource"
import type { SpanAttributes, SpanData } from "../SpanData.ts"
import { unitAttribute } from "./series.ts"

const kinds = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const
const statuses = { unset: 0, error: 2 } as const

/** Makes a request with these spans. */
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

/** Removes the attribute that carries the unit from all points. The unit of each metric remains. */
export const withoutUnitAttribute = ({ resourceMetrics }: MetricsData): MetricsData => ({
  resourceMetrics: resourceMetrics.map((resource) => ({
    ...resource,
    scopeMetrics: resource.scopeMetrics.map((scope) => ({ ...scope, metrics: scope.metrics.map(withoutUnit) }))
  }))
})

type OtlpMetric = MetricsData["resourceMetrics"][number]["scopeMetrics"][number]["metrics"][number]

const withoutUnit = (metric: OtlpMetric): OtlpMetric => {
  const { gauge, histogram, sum, summary } = metric
  return {
    ...metric,
    ...(sum === undefined ? {} : { sum: { ...sum, dataPoints: sum.dataPoints.map(plainPoint) } }),
    ...(gauge === undefined ? {} : { gauge: { ...gauge, dataPoints: gauge.dataPoints.map(plainPoint) } }),
    ...(histogram === undefined
      ? {}
      : { histogram: { ...histogram, dataPoints: histogram.dataPoints.map(plainPoint) } }),
    ...(summary === undefined ? {} : { summary: { ...summary, dataPoints: summary.dataPoints.map(plainPoint) } })
  }
}

const plainPoint = <Point extends { attributes?: Array<KeyValue> }>(point: Point): Point =>
  point.attributes === undefined
    ? point
    : { ...point, attributes: point.attributes.filter(({ key }) => key !== unitAttribute) }

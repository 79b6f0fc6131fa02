/**
 * Effect metrics for the definitions: one series for each combination of attributes, made once and bounded in number.
 */
import * as Metric from "effect/Metric"
import { type Attributes, boundariesOf, type Definition, definitions, type MetricId } from "../Metrics.ts"

/** Returns the series of a metric for these attributes. */
export type Series = (id: MetricId, attributes: Attributes) => Metric.Metric<number, unknown>

export const make = ({ limit, tags }: { readonly limit: number; readonly tags: Attributes }): Series => {
  const byKey = new Map<MetricId, Map<string, Metric.Metric<number, unknown>>>()
  // attributes of a shape are the same object each time
  const byIdentity = new Map<MetricId, Map<Attributes, Metric.Metric<number, unknown>>>()
  const find = (id: MetricId, attributes: Attributes) => {
    let known = byKey.get(id)
    if (known === undefined) byKey.set(id, (known = new Map()))
    const key = keyOf(attributes)
    const found = known.get(key)
    if (found !== undefined) return found
    // combinations beyond the limit share one series
    const isBeyond = known.size >= limit
    const shared = isBeyond ? known.get(overflowKey) : undefined
    if (shared !== undefined) return shared
    const recorded = isBeyond ? { "otel.metric.overflow": "true" } : attributes
    const metric = metricOf(definitions[id], { ...tags, ...recorded })
    known.set(isBeyond ? overflowKey : key, metric)
    return metric
  }
  return (id, attributes) => {
    let known = byIdentity.get(id)
    if (known === undefined) byIdentity.set(id, (known = new Map()))
    const found = known.get(attributes)
    if (found !== undefined) return found
    const metric = find(id, attributes)
    // frozen attributes are those of shapes, which are bounded in number
    if (Object.isFrozen(attributes)) known.set(attributes, metric)
    return metric
  }
}

const overflowKey = "\u0000overflow"

const keyOf = (attributes: Attributes): string => {
  let key = ""
  for (const name in attributes) key += `${name}\u0000${attributes[name]}\u0000`
  return key
}

/** The attribute in which Effect's exporters look for the unit of a metric. It is removed before anything is sent. */
export const unitAttribute = "unit"

/** Makes the series of a definition with these attributes. */
export const metricOf = (definition: Definition, attributes: Attributes): Metric.Metric<number, unknown> => {
  const { description, kind, name, unit } = definition
  const options = { description, attributes: { ...attributes, [unitAttribute]: unit } }
  switch (kind) {
    case "counter":
      return Metric.counter(name, { ...options, incremental: true })
    case "updown":
      return Metric.counter(name, options)
    case "histogram":
      return Metric.histogram(name, { ...options, boundaries: boundariesOf(unit) })
  }
}

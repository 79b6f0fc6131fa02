/** Metrics of Effect for the definitions, one for each combination of attributes, made once and bounded in number. */
import * as Metric from "effect/Metric"
import { type Attributes, boundariesOf, type Definition, definitions, type MetricId } from "../Metrics.ts"

/** The metric for these attributes of a definition. */
export type Series = (id: MetricId, attributes: Attributes) => Metric.Metric<number, unknown>

export const make = ({ limit, tags }: { readonly limit: number; readonly tags: Attributes }): Series => {
  const made = new Map<MetricId, Map<string, Metric.Metric<number, unknown>>>()
  // attributes of a shape are the same object each time
  const known = new Map<MetricId, Map<Attributes, Metric.Metric<number, unknown>>>()
  const find = (id: MetricId, attributes: Attributes) => {
    let own = made.get(id)
    if (own === undefined) made.set(id, (own = new Map()))
    const key = keyOf(attributes)
    const found = own.get(key)
    if (found !== undefined) return found
    // what is beyond the limit is counted together
    const isBeyond = own.size >= limit
    const kept = isBeyond ? own.get(overflowKey) : undefined
    if (kept !== undefined) return kept
    const told = isBeyond ? { "otel.metric.overflow": "true" } : attributes
    const metric = metricOf(definitions[id], { ...tags, ...told })
    own.set(isBeyond ? overflowKey : key, metric)
    return metric
  }
  return (id, attributes) => {
    let own = known.get(id)
    if (own === undefined) known.set(id, (own = new Map()))
    const found = own.get(attributes)
    if (found !== undefined) return found
    const metric = find(id, attributes)
    // those are bounded in number; others are not kept
    if (Object.isFrozen(attributes)) own.set(attributes, metric)
    return metric
  }
}

const overflowKey = "\u0000overflow"

const keyOf = (attributes: Attributes): string => {
  let key = ""
  for (const name in attributes) key += `${name}\u0000${attributes[name]}\u0000`
  return key
}

/** Effect's exporters take the unit from an attribute of this name; a count of things has none. */
const metricOf = (definition: Definition, attributes: Attributes): Metric.Metric<number, unknown> => {
  const { kind, moment, name, unit } = definition
  const described = { description: moment, attributes }
  switch (kind) {
    case "counter":
      return Metric.counter(name, { ...described, incremental: true })
    case "updown":
      return Metric.counter(name, described)
    case "histogram":
      return Metric.histogram(name, {
        description: moment,
        attributes: { ...attributes, unit },
        boundaries: boundariesOf(unit)
      })
  }
}

/**
 * Measurements and their attributes.
 *
 * A shape makes equal attributes once, so that the counter of a series is found by identity. It keeps at most `limit`
 * combinations and makes the others anew each time.
 */
import type { Attributes, Measurement, MetricId } from "../Metrics.ts"

/** No attributes. */
export const none: Attributes = Object.freeze({})

/** No measurements. */
export const nothing: ReadonlyArray<Measurement> = []

/** One measurement. */
export const point = (metric: MetricId, value: number, attributes: Attributes = none): Measurement => ({
  metric,
  value,
  attributes
})

/** The seconds between two times in milliseconds; never negative, even if a clock was set back. */
export const seconds = (from: number, to: number): number => Math.max(0, to - from) / 1000

/** The number of combinations of values that a shape keeps. */
export const limit = 1_000

/** Makes attributes with these names from their values, in the same order. */
export const shape = <const Names extends ReadonlyArray<string>>(...names: Names) => {
  const root: Branch = { next: new Map(), attributes: undefined }
  let branchesCount = 0
  return (...values: { readonly [K in keyof Names]: string }): Attributes => {
    let branch = root
    for (const value of values) {
      let next = branch.next.get(value)
      if (next === undefined) {
        if (branchesCount >= limit) return makeAttributes(names, values)
        branchesCount++
        next = { next: new Map(), attributes: undefined }
        branch.next.set(value, next)
      }
      branch = next
    }
    return (branch.attributes ??= Object.freeze(makeAttributes(names, values)))
  }
}

interface Branch {
  readonly next: Map<string, Branch>
  attributes: Attributes | undefined
}

const makeAttributes = (names: ReadonlyArray<string>, values: ReadonlyArray<string>): Attributes => {
  const attributes: { [name: string]: string } = {}
  for (const [index, name] of names.entries()) attributes[name] = values[index]!
  return attributes
}

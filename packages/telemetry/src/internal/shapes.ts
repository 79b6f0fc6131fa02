/**
 * Attributes as values that are made once: equal ones are the same object, so that whoever counts them finds their
 * counter by identity. A shape knows at most `limit` of them; what is beyond is made anew each time.
 */
import type { Attributes } from "../Metrics.ts"

interface Branch {
  readonly next: Map<string, Branch>
  attributes: Attributes | undefined
}

/** How many combinations of values a shape keeps. */
export const limit = 1_000

/** Attributes of these names; call it with their values, in the same order. */
export const shape = <const Names extends ReadonlyArray<string>>(...names: Names) => {
  const root: Branch = { next: new Map(), attributes: undefined }
  let known = 0
  return (...values: { readonly [K in keyof Names]: string }): Attributes => {
    let branch = root
    for (const value of values) {
      let next = branch.next.get(value)
      if (next === undefined) {
        if (known >= limit) return made(names, values)
        known++
        next = { next: new Map(), attributes: undefined }
        branch.next.set(value, next)
      }
      branch = next
    }
    return (branch.attributes ??= Object.freeze(made(names, values)))
  }
}

const made = (names: ReadonlyArray<string>, values: ReadonlyArray<string>): Attributes => {
  const attributes: { [name: string]: string } = {}
  for (const [index, name] of names.entries()) attributes[name] = values[index]!
  return attributes
}

/** No attributes. */
export const none: Attributes = Object.freeze({})

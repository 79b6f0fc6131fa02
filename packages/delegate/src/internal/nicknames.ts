/** Nicknames of agents, so that people and models can tell them apart. */

/** The names that are used unless the settings name others. */
export const defaultNames: ReadonlyArray<string> = [
  "Ada",
  "Alan",
  "Barbara",
  "Blaise",
  "Carl",
  "Claude",
  "Donald",
  "Edsger",
  "Emmy",
  "Euler",
  "Evelyn",
  "Frances",
  "George",
  "Grace",
  "Hypatia",
  "Joan",
  "John",
  "Kathleen",
  "Kurt",
  "Leslie",
  "Margaret",
  "Niklaus",
  "Radia",
  "Sofia"
]

/**
 * Returns the first name that is not taken. When all are taken, they are used again with a number. No names means the
 * default ones.
 */
export const draw = (given: ReadonlyArray<string>, taken: ReadonlySet<string>): string => {
  const names = given.length === 0 ? defaultNames : given
  for (let round = 1; ; round++) {
    for (const name of names) {
      const numbered = round === 1 ? name : `${name} the ${ordinal(round)}`
      if (!taken.has(numbered)) return numbered
    }
  }
}

const ordinal = (count: number): string => {
  const teen = count % 100 >= 11 && count % 100 <= 13
  const ending = teen ? "th" : (["th", "st", "nd", "rd"][count % 10] ?? "th")
  return `${count}${ending}`
}

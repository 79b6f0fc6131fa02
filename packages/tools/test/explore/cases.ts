/** Everything that finds a mutant of this package, by name. */
import * as Looks from "./looks.ts"
import * as Restorations from "./restorations.ts"

/** The cases by name. */
export const cases = { ...Restorations.cases, ...Looks.cases }

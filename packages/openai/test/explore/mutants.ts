/** How the tests find each mutant of this package, by the name in its marker. `npm run mutants` prints it. See decision 20. */
import type { cases } from "./cases.ts"

interface RowOfKeys {
  readonly by: keyof typeof cases
  /** The law that it breaks. */
  readonly breaks: RegExp
}

/** The rows, by the name of the mutant. */
export const mutants = {
  "asks-for-a-key-in-no-caller": { by: "oneAfterAnother", breaks: /^M3 the key was refreshed \d+ times/ },
  "refuses-a-key-once": { by: "manyRequests", breaks: /^M3 the key was refreshed \d+ times/ }
} as const satisfies { readonly [name: string]: RowOfKeys }

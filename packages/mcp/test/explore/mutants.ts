/** How the tests find each mutant of this package, by the name in its marker. `npm run mutants` prints it. See decision 20. */
import type { cases } from "./cases.ts"

interface RowOfMcp {
  readonly by: keyof typeof cases
  /** The law that it breaks. */
  readonly breaks: RegExp
}

/** The rows, by the name of the mutant. */
export const mutants = {
  "headers-of-the-call": { by: "sharing", breaks: /^M1 the call of turn/ },
  "joins-the-renewal": { by: "manyRequests", breaks: /^M3 \d+ requests wanted/ },
  "renewed-meanwhile": { by: "manyRequests", breaks: /^M3 \d+ requests wanted/ },
  "renewed-elsewhere": { by: "twoConnections", breaks: /^M3 there were 2 renewals/ },
  "renews-in-no-caller": { by: "interruptingARequest", breaks: /^deadlock/ },
  "waits-for-a-renewal": { by: "closing", breaks: /^M3 the only refresh token is lost/ }
} as const satisfies { readonly [name: string]: RowOfMcp }

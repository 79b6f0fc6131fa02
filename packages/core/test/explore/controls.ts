/** Functions that the negative controls share. */
import { inject } from "vitest"
import type * as World from "./world.ts"

/** Loads everything that explores a session with a mutant of core. */
export const loadMutant = (name: string): Promise<typeof World> =>
  import(/* @vite-ignore */ `./world.ts?mutant=${name}`)

/** The title of the test that finds a mutant: its clause, what the mutant breaks, and its name. */
export const titleOf = (name: string): string => {
  const { clause, reason } = inject("mutants")[name] ?? { clause: "no marker", reason: "" }
  return `${clause} ${reason}: ${name}`
}

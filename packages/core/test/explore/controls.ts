/** What the negative controls of core share. */
import { loadMutant } from "../fixtures/mutants.ts"
import type * as World from "./world.ts"

/** Loads everything that explores a session with a mutant of core. */
export const loadWorld = (name: string) => loadMutant<typeof World>(new URL("./world.ts", import.meta.url), name)

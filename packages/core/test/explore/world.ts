/** Everything that explores a session. The controls import it with core unchanged, and with a mutant of core. */
export * as Laws from "@spindle/testing/Laws"
export * as SessionPrograms from "@spindle/testing/SessionPrograms"
export { races } from "./races.ts"

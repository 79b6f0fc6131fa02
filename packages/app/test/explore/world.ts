/** Everything that explores tasks of the application. The controls import it with the unchanged sources and with a mutant. */
export { cases } from "./cases.ts"

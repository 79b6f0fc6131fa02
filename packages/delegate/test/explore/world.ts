/** Everything that finds faults of delegates. The controls import it with the unchanged sources and with a mutant. */
export { cases } from "./cases.ts"
export { runTree } from "../trees/simulate.ts"

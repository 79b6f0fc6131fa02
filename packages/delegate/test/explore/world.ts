/** What shows the faults of delegates: to be imported with all of the sources behind it, or with all but one mechanism. */
export { cases } from "./cases.ts"
export { runTree } from "../trees/simulate.ts"

// `npm run crash`: kills a process that runs turns on a file journal, again and again, and checks what it had acknowledged (contract J1, J8). Runs 1,000
// trials, or N with `-- --trials N`. Prints figures, and exits with 1 if anything is lost or refused. The bounded version is a test of core.
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { format, run } from "../packages/core/test/crash/trials.ts"

const { values } = parseArgs({ options: { trials: { type: "string", default: "1000" } } })
const figures = await Effect.runPromise(run(Number(values.trials)))
console.log(format(figures))
process.exit(figures.problems.length === 0 && figures.trials > 0 ? 0 : 1)

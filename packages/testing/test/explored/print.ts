// Explores pieces of Effect: `npm run explored` prints the table of docs/explored.md, and with `-- --reports` the
// report of each finding.
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Interrupts from "@spindle/testing/Interrupts"
import { exploreAll, format } from "./piece.ts"
import { pieces } from "./pieces.ts"

const { values } = parseArgs({ options: { reports: { type: "boolean", default: false } } })
const rows = await Effect.runPromise(exploreAll(pieces))
console.log(format(rows))
for (const { module, program, report } of values.reports ? rows : []) {
  if (report.violations.length > 0)
    console.log(`\n${module}: ${program}\n${Interrupts.format(report, { trace: true })}`)
}

// npm run unit -- [--clause I3] [arguments of vitest]
// Runs tests from source, without a build. `--clause` runs the tests whose names begin with that clause of the contract, and reads only the files that
// have one.
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { survey } from "./contract.mjs"
import { root } from "./workspace.mjs"

const args = process.argv.slice(2)
const at = args.indexOf("--clause")
const chosen = []
if (at >= 0) {
  const [, number] = args.splice(at, 2)
  const paths = survey().tests.get(number)
  if (paths === undefined) {
    console.error(number === undefined ? "--clause needs a clause, such as I3" : `no test shows clause ${number}`)
    process.exit(64)
  }
  chosen.push("--testNamePattern", `(^|\\s)([A-Z]\\d+,? )*${number}[, ]`, ...paths.map((path) => `packages/${path}`))
}
const vitest = join(root, "node_modules/vitest/vitest.mjs")
const run = spawnSync(process.execPath, [vitest, "run", "--config", "vitest.workspace.ts", ...chosen, ...args], {
  cwd: root,
  stdio: "inherit"
})
process.exit(run.status ?? 1)

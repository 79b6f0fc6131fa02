// `npm run trees`: 10,000 random trees of delegates under random schedules (contract D1 to D7, A3). A tree has up to five levels and four children of one
// session, with questions, answers, aborts, deadlines, failing and deaf children. In every second tree fibers are delayed at random. Prints figures, and
// exits with 1 if a law is broken. `-- --trees N` runs N trees, `--first SEED` other ones. A sample of it is a test of packages/delegate.
import { spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { simulate } from "../packages/delegate/test/trees/simulate.ts"

const { values } = parseArgs({
  options: {
    trees: { type: "string", default: "10000" },
    first: { type: "string", default: "1" },
    // one part, in this process, as a line of JSON
    only: { type: "boolean", default: false }
  }
})
const first = Number(values.first)
const trees = Number(values.trees)

/** Runs one part in a separate process. */
const part = (from, count) =>
  new Promise((resolve, reject) => {
    const own = [...process.execArgv, fileURLToPath(import.meta.url), "--only"]
    const child = spawn(process.execPath, [...own, "--first", `${from}`, "--trees", `${count}`], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let output = ""
    child.stdout.on("data", (data) => (output += data))
    child.on("close", (code) =>
      code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`the trees from seed ${from} ended with ${code}`))
    )
  })

if (values.only) console.log(JSON.stringify(simulate(first, trees)))
else {
  const startedAt = performance.now()
  const size = 500
  const waiting = Array.from({ length: Math.ceil(trees / size) }, (_, index) => first + index * size)
  const done = []
  const worker = async () => {
    for (let from = waiting.shift(); from !== undefined; from = waiting.shift()) {
      done.push(await part(from, Math.min(size, first + trees - from)))
    }
  }
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), waiting.length) }, worker))
  const sum = (name) => done.reduce((total, one) => total + one[name], 0)
  const violations = done.flatMap((one) => one.violations)
  for (const { law, seed } of violations) console.log(`tree ${seed}: ${law}`)
  const seconds = (performance.now() - startedAt) / 1_000
  const deepest = Math.max(...done.map((one) => one.deepest))
  console.log(
    `${sum("trees")} trees, ${sum("delegates")} delegates, ${deepest} levels, ${sum("requests")} questions shown, ` +
      `${sum("decided")} decided, ${sum("aborts")} turns aborted, ${sum("refused")} starts refused or failed`
  )
  console.log(`${sum("steps")} steps, ${violations.length} violations, ${seconds.toFixed(1)} s`)
  process.exit(violations.length === 0 ? 0 : 1)
}

// `npm run explore`: the long exploration (contract I10), with each action at every step of each kind of task, and pairs of actions at drawn steps. Prints
// a table, and exits with 1 if a law is broken. `-- --runs N` bounds the runs of an action in each mode (default: every step), `--pairs N` those of a pair
// (default 100), `--kind NAME` chooses kinds by a part of their names, `--trace` prints the steps before the first action of each case. A sample of it is
// a test of core.
import { spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Interrupts from "../packages/testing/src/Interrupts.ts"
import { actions, explorations, pairs } from "../packages/core/test/explore/kinds.ts"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "Infinity" },
    pairs: { type: "string", default: "100" },
    kind: { type: "string", default: "" },
    trace: { type: "boolean", default: false },
    // one kind, in this process, as lines of JSON
    only: { type: "string" }
  }
})

/** Explores one kind. Prints the figures of each action and pair. */
const exploreHere = (kind) => {
  for (const names of [...actions.map((action) => [action]), ...pairs]) {
    const maxRuns = Number(names.length === 1 ? values.runs : values.pairs)
    const report = Interrupts.explore({ ...explorations[kind], actions: [names], maxRuns })
    const { durationMillis, points, runs, violations } = report
    const found = violations.length === 0 ? undefined : Interrupts.format(report, { trace: values.trace })
    console.log(JSON.stringify({ names, points, runs, durationMillis, violations: violations.length, found }))
  }
}

const columns = [9, 9, 12, 9, 10, 10]
const row = (name, ...cells) =>
  `  ${name.padEnd(24)}${cells.map((cell, index) => `${cell}`.padStart(columns[index])).join("")}`
const figures = ({ durationMillis, points, runs, violations }) => [
  points,
  runs,
  violations,
  Math.round((runs / durationMillis) * 1_000),
  Math.round((points / durationMillis) * 1_000),
  `${(durationMillis / 1_000).toFixed(1)} s`
]
const sum = (all) =>
  all.reduce(
    (total, one) => ({
      points: total.points + one.points,
      runs: total.runs + one.runs,
      violations: total.violations + one.violations,
      durationMillis: total.durationMillis + one.durationMillis
    }),
    { points: 0, runs: 0, violations: 0, durationMillis: 0 }
  )

/** Explores one kind in a separate process. Prints its table at the end. */
const exploreThere = (kind) =>
  new Promise((resolve) => {
    const own = [...process.execArgv, fileURLToPath(import.meta.url), "--only", kind]
    const trace = values.trace ? ["--trace"] : []
    const child = spawn(process.execPath, [...own, "--runs", values.runs, "--pairs", values.pairs, ...trace], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let output = ""
    child.stdout.on("data", (data) => (output += data))
    child.on("close", (code) => {
      const all = output
        .trim()
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
      console.log(`${kind}${code === 0 ? "" : `: ENDED WITH ${code}`}`)
      console.log(row("", "points", "runs", "violations", "runs/s", "points/s", "time"))
      for (const one of all) {
        console.log(row(one.names.join(", then "), ...figures(one)))
        if (one.found !== undefined) console.log(one.found)
      }
      resolve({ ...sum(all), failed: code === 0 ? 0 : 1 })
    })
  })

if (values.only !== undefined) exploreHere(values.only)
else {
  const startedAt = performance.now()
  const waiting = Object.keys(explorations).filter((kind) => kind.includes(values.kind))
  const done = []
  const worker = async () => {
    for (let kind = waiting.shift(); kind !== undefined; kind = waiting.shift()) done.push(await exploreThere(kind))
  }
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), waiting.length) }, worker))
  const total = sum(done)
  const wall = (performance.now() - startedAt) / 1_000
  console.log(`${done.length} kinds of task, each with ${actions.length} actions and ${pairs.length} pairs`)
  console.log(
    `${total.points} points, ${total.runs} runs, ${total.violations} violations, ` +
      `${Math.round(total.runs / wall)} runs/s, ${Math.round(total.points / wall)} points/s, ${wall.toFixed(1)} s`
  )
  process.exit(total.violations === 0 && total.points > 0 && done.every(({ failed }) => failed === 0) ? 0 : 1)
}

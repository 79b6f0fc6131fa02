// node bench/run.mjs [--peers own | all | a,b:v,...] [--workloads w1,w2,...] [--reps 5] [--out FILE.json]
// In-process measurements. Each runs in a separate process, and the peers alternate (A B C A B C ...). Results are merged into --out.
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { copyApart, here, otherPeers, otherStores, ownPeers, ownStores, placeOf, versionsOf } from "./places.mjs"
import { report } from "./report.mjs"

const { values: options } = parseArgs({
  options: {
    peers: { type: "string", default: "own" },
    workloads: { type: "string", default: "w1,w1alloc,w2,w3,w4,idle,w5drip,w5hang,w5addhang,w5deaf,w7,w8" },
    reps: { type: "string" },
    out: { type: "string", default: join(here, "results.json") }
  }
})
const timeLimitMillis = 300_000
const defaultReps = 5
// one process is enough where it repeats what it measures; a cold start is one sample
const repsOf = { w7: 15, w1alloc: 3, w3: 3, w4: 3, idle: 3, w5drip: 1, w5hang: 1, w5addhang: 1, w5deaf: 1, w8: 3 }
// with a new space this large nothing is collected while the bytes of one turn are counted
const flagsOf = { w1alloc: ["--min-semi-space-size=2048", "--max-semi-space-size=2048"] }

const peersOf = (workload) => {
  const isStore = workload === "w8"
  if (options.peers === "own") return isStore ? ownStores : ownPeers
  if (options.peers === "all") return isStore ? [...ownStores, ...otherStores] : [...ownPeers, ...otherPeers]
  return options.peers.split(",")
}

/** Runs one measurement in a separate process. Returns its numbers, or `{ error }`. */
const measure = (id, workload) =>
  new Promise((resolve) => {
    const place = placeOf(id)
    const directory = mkdtempSync(join(here, ".tmp-"))
    const file = join(directory, "db")
    const args =
      workload === "w7"
        ? [join(place, "cold.mjs"), id, file]
        : ["--expose-gc", ...(flagsOf[workload] ?? []), join(place, "worker.mjs"), id, workload, file]
    const started = performance.now()
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_ENV: "production", MASTRA_TELEMETRY_DISABLED: "1" }
    })
    let stdout = ""
    let stderr = ""
    let wall
    const timer = setTimeout(() => child.kill("SIGKILL"), timeLimitMillis)
    child.stdout.on("data", (data) => {
      stdout += data
      if (stdout.includes("@@")) wall ??= performance.now() - started
    })
    child.stderr.on("data", (data) => (stderr += data))
    child.on("close", () => {
      clearTimeout(timer)
      rmSync(directory, { recursive: true, force: true })
      const line = /@@(.*)/.exec(stdout)
      if (line === null) resolve({ error: (stderr || stdout || "killed").slice(-600) })
      else resolve({ ...JSON.parse(line[1]), ...(workload === "w7" ? { wall_ms: wall } : {}) })
    })
  })

const workloads = options.workloads.split(",")
const peers = [...new Set(workloads.flatMap(peersOf))]
if (peers.some((id) => placeOf(id) !== here)) copyApart()
const results = existsSync(options.out) ? JSON.parse(readFileSync(options.out, "utf8")) : {}
results.meta = { node: process.version, date: new Date().toISOString(), versions: {} }
for (const id of peers) Object.assign(results.meta.versions, await versionsOf(id))
for (const workload of workloads) {
  const ids = peersOf(workload)
  results[workload] = { ...results[workload], ...Object.fromEntries(ids.map((id) => [id, []])) }
  const reps = Number(options.reps ?? repsOf[workload] ?? defaultReps)
  for (let rep = 0; rep < reps; rep++) {
    for (const id of ids) {
      const result = await measure(id, workload)
      results[workload][id].push(result)
      console.error(`${workload} #${rep} ${id} ${JSON.stringify(result).slice(0, 200)}`)
      writeFileSync(options.out, JSON.stringify(results, null, 1))
    }
  }
}
console.log(report(results))
const failures = workloads
  .flatMap((workload) => peersOf(workload).flatMap((id) => results[workload][id]))
  .filter(({ error }) => error)
if (failures.length > 0) {
  console.log(`${failures.length} measurements failed`)
  process.exit(1)
}

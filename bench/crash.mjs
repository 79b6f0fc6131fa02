// node bench/crash.mjs [--peers a:v,b:v] [--trials 100] [--kind text|tools] [--out FILE.json]
// kill -9. In each trial a child runs turns on a new thread of one shared store and is killed 0 to 150 ms after its first acknowledgement. Then
// another process opens the store again and reads it. Exits with 1 if Spindle lost something.
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { copyApart, here, ownStores, placeOf } from "./places.mjs"

const { values: options } = parseArgs({
  options: {
    peers: { type: "string", default: ownStores.join(",") },
    trials: { type: "string", default: "100" },
    kind: { type: "string", default: "text" },
    out: { type: "string", default: join(here, "results.json") }
  }
})
const peers = options.peers.split(",")
const fields = [
  "open_failed",
  "last_ack_missing",
  "earlier_missing",
  "torn_tail",
  "next_turn_failed",
  "next_prompt_invalid"
]
const killWithinMillis = 150

/** Runs a program in the peer's folder. Calls `onData` with everything that it has printed so far. */
const run = (id, args, onData) =>
  new Promise((resolve) => {
    const [script, ...rest] = args
    const child = spawn(process.execPath, [join(placeOf(id), script), id, ...rest], {
      stdio: ["ignore", "pipe", "ignore"]
    })
    let stdout = ""
    child.stdout.on("data", (data) => onData?.(child, (stdout += data)))
    child.on("close", (code, signal) => resolve({ code, signal, stdout }))
  })

/** Runs turns until the kill. Returns the last acknowledged turn. */
const runAndKill = async (id, file, thread) => {
  let timer
  const { signal, stdout } = await run(id, ["crash-child.mjs", file, thread, options.kind], (child) => {
    timer ??= setTimeout(() => child.kill("SIGKILL"), Math.random() * killWithinMillis)
  })
  const last = Number(stdout.slice(0, stdout.lastIndexOf("\n")).split("\n").at(-1) || 0)
  return { wasKilled: signal === "SIGKILL", last }
}

const verify = async (id, file, [thread, last]) => {
  const { code, signal, stdout } = await run(id, ["crash-verify.mjs", file, thread, String(last)], () => {})
  const line = /@@(.*)/.exec(stdout)
  return line === null ? { open_failed: 1, error: `verifier died: ${code ?? signal}` } : JSON.parse(line[1])
}

if (peers.some((id) => placeOf(id) !== here)) copyApart()
const folders = Object.fromEntries(peers.map((id) => [id, mkdtempSync(join(here, ".tmp-"))]))
const results = Object.fromEntries(
  peers.map((id) => [
    id,
    {
      trials: 0,
      turns_acked: 0,
      died_by_itself: 0,
      ...Object.fromEntries(fields.map((field) => [field, 0])),
      errors: {}
    }
  ])
)
const save = () => {
  const all = existsSync(options.out) ? JSON.parse(readFileSync(options.out, "utf8")) : {}
  all[`crash_${options.kind}`] = { ...all[`crash_${options.kind}`], ...results }
  writeFileSync(options.out, JSON.stringify(all, null, 1))
}
for (let trial = 0; trial < Number(options.trials); trial++) {
  for (const id of peers) {
    const result = results[id]
    const file = join(folders[id], "db")
    const thread = `crash-${trial}`
    const { last, wasKilled } = await runAndKill(id, file, thread)
    const found = await verify(id, file, [thread, last])
    result.trials++
    result.turns_acked += last
    if (!wasKilled) result.died_by_itself++
    for (const field of fields) result[field] += found[field] ?? 0
    if (found.error) {
      const error = found.error.replace(/crash-\d+/, "crash-N")
      result.errors[error] = (result.errors[error] ?? 0) + 1
    }
  }
  if (trial % 5 === 4) save()
}
for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true })
save()
console.log(JSON.stringify(results, null, 1))
const lost = [
  "died_by_itself",
  "open_failed",
  "last_ack_missing",
  "earlier_missing",
  "next_turn_failed",
  "next_prompt_invalid"
]
const failures = peers
  .filter((id) => id.startsWith("spindle"))
  .flatMap((id) => lost.filter((field) => results[id][field] > 0))
process.exit(failures.length === 0 ? 0 : 1)

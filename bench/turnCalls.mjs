// node bench/turnCalls.mjs [--peer spindle] [--prompts text,tools] [--turns 60] [--most 20]
// How many functions one turn calls, as V8 counts them: a measure without noise, for comparing two versions on a busy machine. The prompt `hang` is aborted
// in a tool that never ends. `--most` prints the functions that are called most.
import { Session } from "node:inspector/promises"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { live, sleep } from "./workloads/brain.mjs"

const { values } = parseArgs({
  options: {
    peer: { type: "string", default: "spindle" },
    prompts: { type: "string", default: "text,tools" },
    turns: { type: "string", default: "60" },
    most: { type: "string", default: "0" }
  }
})
const [name, variant = ""] = values.peer.split(":")
const turns = Number(values.turns)
const directory = mkdtempSync(join(tmpdir(), "spindle-calls-"))
const peer = await import(`./peers/${name}.mjs`)
const runtime = await peer.load({ ...peer.variants[variant], file: join(directory, "db") })

/** Aborts a turn once its tool has started. */
const abort = async (session, prompt) => {
  const controller = new AbortController()
  const started = live.hangStarted
  const turn = session.turn(prompt, { signal: controller.signal }).catch(() => {})
  while (live.hangStarted === started) await sleep(1)
  controller.abort()
  await turn
}

/** Runs turns, each in a new session. */
const run = async (prompt, count) => {
  for (let made = 0; made < count; made++) {
    const session = await runtime.newSession()
    await (prompt === "hang" ? abort(session, prompt) : session.turn(prompt, { onDelta: () => {} }))
    await session.dispose?.()
  }
}

const inspector = new Session()
inspector.connect()
await inspector.post("Profiler.enable")
for (const prompt of values.prompts.split(",")) {
  await run(prompt, 20)
  await inspector.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false })
  await inspector.post("Profiler.takePreciseCoverage")
  await run(prompt, turns)
  const { result } = await inspector.post("Profiler.takePreciseCoverage")
  await inspector.post("Profiler.stopPreciseCoverage")
  const called = result
    .filter(({ url }) => url.startsWith("file:") && url !== import.meta.url)
    .flatMap(({ functions, url }) =>
      functions.map(({ functionName, ranges }) => ({ count: ranges[0].count, name: functionName, url }))
    )
  const calls = called.reduce((sum, { count }) => sum + count, 0) / turns
  console.log(`${values.peer}, ${prompt}: ${Math.round(calls)} calls of functions a turn`)
  for (const { count, name, url } of called.sort((a, b) => b.count - a.count).slice(0, Number(values.most))) {
    console.log(
      `${(count / turns).toFixed(1).padStart(9)}  ${name || "(anonymous)"}  ${url.split("/").slice(-3).join("/")}`
    )
  }
}
await runtime.close?.()
rmSync(directory, { recursive: true, force: true })

// node bench/turnCalls.mjs [--peer spindle] [--prompts text,tools] [--turns 60]
// How many functions one turn calls, as V8 counts them: a measure without noise, for comparing two versions on a busy machine.
import { Session } from "node:inspector/promises"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    peer: { type: "string", default: "spindle" },
    prompts: { type: "string", default: "text,tools" },
    turns: { type: "string", default: "60" }
  }
})
const [name, variant = ""] = values.peer.split(":")
const turns = Number(values.turns)
const directory = mkdtempSync(join(tmpdir(), "spindle-calls-"))
const peer = await import(`./peers/${name}.mjs`)
const runtime = await peer.load({ ...peer.variants[variant], file: join(directory, "db") })

/** Runs turns, each in a new session. */
const run = async (prompt, count) => {
  for (let made = 0; made < count; made++) {
    const session = await runtime.newSession()
    await session.turn(prompt, { onDelta: () => {} })
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
  const counts = result
    .filter(({ url }) => url.startsWith("file:"))
    .flatMap(({ functions }) => functions.map(({ ranges }) => ranges[0].count))
  const calls = counts.reduce((sum, count) => sum + count, 0) / turns
  console.log(`${values.peer}, ${prompt}: ${Math.round(calls)} calls of functions a turn`)
}
await runtime.close?.()
rmSync(directory, { recursive: true, force: true })

// node bench/exec.mjs [--codex PATH] [--bin PATH] [--runs 20] [--fresh] [--out FILE.json]
// Measures whole programs: `exec --json` with a one-line answer from a scripted model server on loopback, alternating. `--codex` is the program to
// compare with. Pass the native binary in the npm package (`vendor/<triple>/bin/codex`), or its Node wrapper is measured too. `--fresh` gives each run
// an empty home.
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { here } from "./places.mjs"
import { measure } from "./processTree.mjs"
import { makePlace, programsOf } from "./programs.mjs"

const { values: options } = parseArgs({
  options: {
    bin: { type: "string", default: join(here, "../packages/cli/bin/spindle.js") },
    codex: { type: "string" },
    runs: { type: "string", default: "20" },
    fresh: { type: "boolean", default: false },
    out: { type: "string", default: join(here, "results-exec.json") }
  }
})
if (process.platform !== "linux") {
  console.error("exec.mjs reads /proc to measure memory: Linux only")
  process.exit(2)
}
const answer = "All is well."
const script = { fallback: { events: [{ text: answer, chunks: 3 }] } }

const startServer = async () => {
  const child = spawn(process.execPath, [join(here, "responsesServer.mjs"), JSON.stringify(script)], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const baseUrl = await new Promise((answered, failed) => {
    child.stdout.once("data", (data) => answered(String(data).trim()))
    child.once("exit", (code) => failed(new Error(`the model server ended with ${code}; run npm run build first`)))
  })
  return { baseUrl, stop: () => child.stdin.end() }
}

const programs = programsOf(options)

const root = mkdtempSync(join(tmpdir(), "spindle-exec-"))
const runOnce = async (program, place) => {
  const result = await measure([...program.argv, "say something"], place)
  if (result.code !== 0 || !result.stdout.includes("turn.completed") || !result.stdout.includes(answer)) {
    throw new Error(`${program.name} ended with ${result.code}\n${result.stdout}${result.stderr}`)
  }
  return {
    wallMs: result.wallMs,
    firstLineMs: result.firstLineMs,
    peakMb: result.peakKb / 1024,
    processes: result.processes
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const table = (samples) => {
  const columns = ["wallMs", "firstLineMs", "peakMb", "processes"]
  const head = ["program", "wall ms", "first line ms", "peak RSS MB", "processes"]
  const rows = Object.entries(samples).map(([name, runs]) => {
    const cells = columns.map((column) => {
      const values = runs.map((run) => run[column])
      const range = `[${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}]`
      const other = samples.codex?.map((run) => run[column])
      const ratio = other === undefined || name === "codex" ? "" : ` x${(median(values) / median(other)).toFixed(2)}`
      return `${median(values).toFixed(0)} ${range}${ratio}`
    })
    return `| ${name} | ${cells.join(" | ")} |`
  })
  return [`| ${head.join(" | ")} |`, `|${head.map(() => "---").join("|")}|`, ...rows].join("\n")
}

const server = await startServer()
try {
  const places = Object.fromEntries(programs.map((program) => [program.name, makePlace(root, program, server.baseUrl)]))
  const samples = Object.fromEntries(programs.map(({ name }) => [name, []]))
  for (const program of programs) await runOnce(program, places[program.name])
  for (let run = 0; run < Number(options.runs); run++) {
    for (const program of programs) {
      const place = options.fresh ? makePlace(root, program, server.baseUrl) : places[program.name]
      samples[program.name].push(await runOnce(program, place))
    }
  }
  writeFileSync(
    options.out,
    JSON.stringify({ node: process.version, date: new Date().toISOString(), samples }, null, 1)
  )
  console.log(table(samples))
  const { version } = JSON.parse(readFileSync(join(here, "../packages/cli/package.json"), "utf8"))
  console.log(
    `\nspindle ${version}, Node ${process.version}, ${options.runs} runs each, alternating; median [min-max], ratio to codex`
  )
} finally {
  server.stop()
  rmSync(root, { recursive: true, force: true })
}

// node bench/tools/calls.mjs --codex PATH [--bin PATH] [--runs 5]
// Calls of tools in whole programs, as the model sees them: the time from its response with a call of exec_command until the request with the result
// arrives. Spindle and Codex get the same responses from one server, alternating. For `--codex` see exec.mjs. Linux only.
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import * as Effect from "effect/Effect"
import { here } from "../places.mjs"
import { makePlace, programsOf } from "../programs.mjs"

const { values: options } = parseArgs({
  options: {
    bin: { type: "string", default: join(here, "../packages/cli/bin/spindle.js") },
    codex: { type: "string" },
    runs: { type: "string", default: "5" }
  }
})
if (options.codex === undefined) {
  console.error("calls.mjs compares with Codex: pass its native binary with --codex")
  process.exit(2)
}

/** How often a program calls each command in one run. The first calls load what they need, and are left out. */
const callsInRun = 8
const commands = ["true", "echo x"]
const count = callsInRun * commands.length
const modes = ["danger-full-access", "workspace-write"]

const outputsOf = ({ input }) => input.filter(({ type }) => type === "function_call_output").map(({ output }) => output)
const textOf = (output) => (typeof output === "string" ? output : JSON.stringify(output))

/** The times of the run that is measured, by command. */
let times
let sentAt
/** Takes the result of the call before, and returns the next one. */
const respond = (body) => {
  const arrivedAt = performance.now()
  const outputs = outputsOf(body)
  const step = outputs.length
  if (step > 0) {
    const command = commands[(step - 1) % commands.length]
    const output = textOf(outputs.at(-1))
    if (!/exited with code 0/.test(output)) throw new Error(`${command} failed:\n${output}`)
    if (step > commands.length) times[command].push(arrivedAt - sentAt)
  }
  sentAt = performance.now()
  if (step === count) return { events: [{ text: "done" }] }
  return { events: [{ call: "exec_command", args: { cmd: commands[step % commands.length] }, callId: `call_${step}` }] }
}

const runOnce = (program, { cwd, env }) =>
  new Promise((resolve, reject) => {
    times = Object.fromEntries(commands.map((command) => [command, []]))
    const [file, ...args] = program.argv
    const child = spawn(file, [...args, "go"], { cwd, env, stdio: ["ignore", "ignore", "pipe"] })
    let stderr = ""
    child.stderr.on("data", (data) => (stderr += data))
    child.once("error", reject)
    child.once("close", (code) => {
      const isComplete = commands.every((command) => times[command].length === callsInRun - 1)
      if (code === 0 && isComplete) resolve(times)
      else reject(new Error(`${program.name} ended with ${code}\n${stderr}`))
    })
  })

const root = mkdtempSync(join(tmpdir(), "spindle-calls-"))
const percentile = (values, share) => values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))]

const measured = Effect.gen(function* () {
  const { baseUrl } = yield* ResponsesServer.fromFunction(respond)
  for (const mode of modes) {
    const programs = programsOf(options, mode)
    const all = Object.fromEntries(programs.map(({ name }) => [name, {}]))
    for (let run = 0; run < Number(options.runs); run++) {
      for (const program of programs) {
        const place = makePlace(root, program, baseUrl)
        mkdirSync(join(place.cwd, ".git"))
        const found = yield* Effect.promise(() => runOnce(program, place))
        for (const command of commands) (all[program.name][command] ??= []).push(...found[command])
      }
    }
    for (const command of commands) {
      for (const { name } of programs) {
        const values = all[name][command]
        const ratio = percentile(values, 0.5) / percentile(all.codex[command], 0.5)
        console.log(
          `${mode}, ${command}: ${name} p50 ${percentile(values, 0.5).toFixed(1)} ms, p95 ${percentile(values, 0.95).toFixed(1)} ms; x${ratio.toFixed(2)}`
        )
      }
    }
  }
})

try {
  await Effect.runPromise(Effect.scoped(measured))
} finally {
  rmSync(root, { recursive: true, force: true })
}

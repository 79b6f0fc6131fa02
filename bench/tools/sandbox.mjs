// Start to exit of `true`: plain, in a process group of Spindle, and in its sandbox. The three alternate in one run.
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ProcessId } from "@spindle/core/Ids"
import { Processes } from "@spindle/core/Processes"
import * as ProcessGroups from "@spindle/tools/ProcessGroups"
import * as ProcessStat from "@spindle/tools/ProcessStat"
import * as Sandbox from "@spindle/tools/Sandbox"
import * as SandboxPolicy from "@spindle/tools/SandboxPolicy"
import * as Signals from "@spindle/tools/Signals"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeWorkspace } from "../workspace.mjs"

const repeats = Number(process.argv[2] ?? 30)
const { cwd, remove } = makeWorkspace()

const host = Sandbox.layer({ platform: process.platform, architecture: process.arch }).pipe(
  Layer.provideMerge(ProcessGroups.layer),
  Layer.provide(ProcessStat.layerRead((pid) => readFileSync(`/proc/${pid}/stat`, "utf8"))),
  Layer.provideMerge(Layer.merge(NodeServices.layer, Signals.layerKill(process.kill)))
)

const workspace = { _tag: "WorkspaceWrite", roots: [cwd], scratch: [], protectedPaths: [], network: false }

let count = 0
const group = Effect.gen(function* () {
  const { start } = yield* Processes
  const processId = ProcessId.make(`bench-${process.pid}-${++count}`)
  const started = yield* start({ processId, command: ["true"], cwd })
  yield* started.exit
  return started.gone
})

const plain = Effect.callback((resume) => {
  spawn("true", { cwd, stdio: ["ignore", "pipe", "pipe"] }).on("exit", () => resume(Effect.succeed(Effect.void)))
})

const ways = {
  plain,
  "process group": group,
  "sandbox, read-only": SandboxPolicy.confine(group, SandboxPolicy.readOnly),
  "sandbox, workspace-write": SandboxPolicy.confine(group, workspace)
}

const times = Object.fromEntries(Object.keys(ways).map((name) => [name, []]))
const measured = Effect.gen(function* () {
  for (let i = 0; i < repeats + 3; i++) {
    for (const [name, way] of Object.entries(ways)) {
      const begin = performance.now()
      const gone = yield* way
      // the first ones load and probe
      if (i >= 3) times[name].push(performance.now() - begin)
      yield* gone
    }
  }
})

await Effect.runPromise(measured.pipe(Effect.provide(host), Effect.scoped))
remove()
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const base = median(times.plain)
for (const [name, values] of Object.entries(times)) {
  const middle = median(values)
  const least = Math.min(...values)
  console.log(
    `${name.padEnd(26)} median ${middle.toFixed(1)} ms, least ${least.toFixed(1)} ms, ${(middle / base).toFixed(1)} x plain`
  )
}

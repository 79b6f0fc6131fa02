// npm exec -- node bench/tools.mjs [--runs 20] [--codex PATH]     everything that is measured of commands and patches, in one run. Linux only.
// Without `--codex` (see exec.mjs), nothing is compared with Codex.
import { spawnSync } from "node:child_process"
import { loadavg } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { here } from "./places.mjs"

const { values: options } = parseArgs({
  options: { runs: { type: "string", default: "20" }, codex: { type: "string" } }
})
const run = (...args) => {
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

console.log(`load ${loadavg()[0].toFixed(1)}`)
run("--expose-gc", join(here, "tools", "processes.mjs"), "--runs", options.runs)
run(join(here, "tools", "patch.mjs"))
if (options.codex !== undefined) run(join(here, "tools", "calls.mjs"), "--codex", options.codex)
console.log(`load ${loadavg()[0].toFixed(1)}`)

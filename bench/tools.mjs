// npm exec -- node bench/tools.mjs [--runs 20]     everything that is measured of commands and patches, in one run. Linux only.
import { spawnSync } from "node:child_process"
import { loadavg } from "node:os"
import { join } from "node:path"
import { here } from "./places.mjs"

const run = (...args) => {
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

console.log(`load ${loadavg()[0].toFixed(1)}`)
run("--expose-gc", join(here, "processes.mjs"), ...process.argv.slice(2))
run(join(here, "patch.mjs"))
console.log(`load ${loadavg()[0].toFixed(1)}`)

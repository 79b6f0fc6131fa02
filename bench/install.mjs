// Installs the other peers into bench/.peers, which is not part of the workspace. Does nothing if the pins have not changed.
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { apart, copyApart, here } from "./places.mjs"

const pins = join(here, "peers/package.json")
const installed = join(apart, "package.json")
const isCurrent =
  existsSync(join(apart, "node_modules")) && readFileSync(pins, "utf8") === readFileSync(installed, "utf8")
if (!isCurrent) {
  rmSync(apart, { recursive: true, force: true })
  mkdirSync(apart)
  cpSync(pins, installed)
  const { status } = spawnSync("npm", ["install", "--legacy-peer-deps", "--no-audit", "--no-fund"], {
    cwd: apart,
    stdio: "inherit",
    shell: process.platform === "win32"
  })
  if (status !== 0) {
    rmSync(join(apart, "node_modules"), { recursive: true, force: true })
    process.exit(1)
  }
}
copyApart()

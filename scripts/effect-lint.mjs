// Prints Effect diagnostics (floating effects, missing `return yield*`, leaking requirements ...) with the compiler of @effect/tsgo. Reads the built
// declarations of the other packages: run it after `tsc -b`.
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync } from "node:fs"
import { join } from "node:path"
import { packages, read, root } from "./workspace.mjs"

const { version } = JSON.parse(read("node_modules/typescript/package.json"))
const artifacts = `node_modules/@effect/tsgo-${process.platform}-${process.arch}/artifacts`
const compiler = join(root, artifacts, "typescript", version, process.platform === "win32" ? "tsc.exe" : "tsc")
if (!existsSync(compiler)) {
  console.log("skipped: no Effect diagnostics for this platform")
  process.exit(0)
}
if (process.platform !== "win32") chmodSync(compiler, 0o755)
let status = 0
for (const project of [...packages.map(({ name }) => `packages/${name}/tsconfig.json`), "tsconfig.test.json"]) {
  const run = spawnSync(compiler, ["--noEmit", "-p", project], { cwd: root, stdio: "inherit" })
  status = (run.status ?? 1) || status
}
process.exit(status)

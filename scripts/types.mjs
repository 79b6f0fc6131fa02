// Builds the packages and the types of the tests, as `tsc -b` does, with the compiler of @effect/tsgo: it also finds what is wrong with effects (floating
// effects, missing `return yield*`, leaking requirements ...). Prints errors and warnings; tsconfig.base.json leaves suggestions to editors, since finding
// them takes a fifth of the build. It builds again what `tsc -b` has built, and the other way round.
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync } from "node:fs"
import { join } from "node:path"
import { read, root } from "./workspace.mjs"

const { version } = JSON.parse(read("node_modules/typescript/package.json"))
const artifacts = `node_modules/@effect/tsgo-${process.platform}-${process.arch}/artifacts`
const ofEffect = join(root, artifacts, "typescript", version, process.platform === "win32" ? "tsc.exe" : "tsc")
const hasDiagnostics = existsSync(ofEffect)
if (hasDiagnostics && process.platform !== "win32") chmodSync(ofEffect, 0o755)

const command = hasDiagnostics ? [ofEffect] : [process.execPath, join(root, "node_modules/typescript/bin/tsc")]
const [program, ...args] = [...command, "-b", "--pretty", "false"]
const { error, status } = spawnSync(program, args, { cwd: root, stdio: "inherit" })
if (error !== undefined) throw error
if (status === 0 && !hasDiagnostics) console.log("no Effect diagnostics for this platform")
process.exitCode = status ?? 1

// npm run mcp:conformance [-- SCENARIO...]
// Runs the client scenarios that the MCP conformance suite requires for both revisions, one after the other, and prints a line for each. The suite is
// installed below the temporary directory: it is large, and nothing else needs it. The packages must be built.
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const version = "0.2.0-alpha.12"
const revisions = ["2025-11-25", "2026-07-28"]
const directory = join(tmpdir(), `spindle-mcp-conformance-${version}`)
const suite = join(directory, "node_modules/@modelcontextprotocol/conformance/dist/index.js")
const client = fileURLToPath(new URL("client.mjs", import.meta.url))

if (!existsSync(suite)) {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, "package.json"), "{}")
  const install = [
    "install",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    `@modelcontextprotocol/conformance@${version}`
  ]
  execFileSync("npm", install, { cwd: directory, stdio: "inherit" })
}

/** Returns the scenarios that a revision requires of a client. */
const scenariosOf = (revision) => {
  const text = execFileSync(process.execPath, [suite, "list", "--client", "--requirements", revision], {
    encoding: "utf8"
  })
  const [, required = ""] = /Client scenarios[^\n]*\n([^]*?)\n\n/.exec(text) ?? []
  return required.split("\n").map((line) => line.replace(/^\s*-\s*/, "").trim())
}

/** Runs a scenario. Returns what failed; undefined if nothing did. */
const run = (scenario, revision) =>
  new Promise((resolve) => {
    const args = ["client", "--command", `${process.execPath} ${client}`, "--scenario", scenario]
    const child = spawn(process.execPath, [suite, ...args, "--spec-version", revision, "--timeout", "60000"], {
      cwd: directory
    })
    let text = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += chunk))
    child.once("close", (code) => resolve(code === 0 ? undefined : reasonOf(text)))
  })

const reasonOf = (text) => {
  if (process.env.VERBOSE !== undefined) console.log(text)
  const failed = text.split("\n").filter((line) => /FAILURE|\bFAIL\b|timed out|exited with/.test(line))
  return (
    failed
      .slice(0, 3)
      .map((line) => line.trim())
      .join("; ") || text.trim().split("\n").at(-1)
  )
}

const only = process.argv.slice(2)
let failedCount = 0
for (const revision of revisions) {
  const scenarios = scenariosOf(revision).filter((name) => only.length === 0 || only.includes(name))
  let passedCount = 0
  for (const scenario of scenarios) {
    const reason = await run(scenario, revision)
    if (reason === undefined) passedCount++
    console.log(`${revision} ${scenario}: ${reason === undefined ? "passed" : `failed: ${reason}`}`)
  }
  console.log(`${revision}: ${passedCount} of ${scenarios.length} passed`)
  failedCount += scenarios.length - passedCount
}
process.exitCode = failedCount === 0 ? 0 : 1

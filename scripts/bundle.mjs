// Bundles packages/cli into packages/cli/dist/spindle.cjs, for its start-up time (docs/decisions/0028-code-cache.md). It is one script, whose compiled
// code can be kept with all functions that have run; what is imported only when it is needed (exporters, the page of a session, the demo's server)
// stands in functions of its own there, and is not evaluated until then.
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const cli = fileURLToPath(new URL("../packages/cli/", import.meta.url))
const { version } = JSON.parse(readFileSync(`${cli}package.json`, "utf8"))

for (const name of readdirSync(`${cli}dist`)) if (/^spindle.*\.cache$/.test(name)) rmSync(`${cli}dist/${name}`)
await build({
  entryPoints: [`${cli}src/main.ts`],
  outfile: `${cli}dist/spindle.cjs`,
  bundle: true,
  platform: "node",
  target: "node22",
  format: "cjs",
  // the names stay, for whoever reads where something went wrong
  minifyWhitespace: true,
  minifySyntax: true,
  // read as such by bin/spindle.js
  charset: "ascii",
  // packages are taken from their sources, so that a bundle is never older than they are
  conditions: ["spindle-source"],
  define: { __SPINDLE_VERSION__: JSON.stringify(version), "import.meta.url": "__moduleUrl" },
  banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  // behind an import() that no layer of the program reaches
  external: ["undici"],
  logLevel: "warning"
})
const codeCache = fileURLToPath(new URL("codeCache.mjs", import.meta.url))
execFileSync(process.execPath, ["--conditions=spindle-source", codeCache], { stdio: "inherit" })

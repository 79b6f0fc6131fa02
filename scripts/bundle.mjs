// Bundles packages/cli into packages/cli/dist/spindle.cjs, for its start-up time (docs/decisions/0028-code-cache.md). The bundle is one script, so that
// the compiled code of all functions that have run can be kept. Lazy imports (exporters, the page of a session, the demo's server) are functions in
// it, and are not evaluated until they are needed.
import { execFileSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const cli = fileURLToPath(new URL("../packages/cli/", import.meta.url))
const { version } = JSON.parse(readFileSync(`${cli}package.json`, "utf8"))

mkdirSync(`${cli}dist`, { recursive: true })
for (const name of readdirSync(`${cli}dist`)) if (/^spindle.*\.cache$/.test(name)) rmSync(`${cli}dist/${name}`)
await build({
  entryPoints: [`${cli}src/main.ts`],
  outfile: `${cli}dist/spindle.cjs`,
  bundle: true,
  platform: "node",
  target: "node22",
  format: "cjs",
  // lazy imports are calls of require: Node writes a warning to standard error for an import in a script of `node:vm`
  supported: { "dynamic-import": false },
  // names are kept, for stack traces
  minifyWhitespace: true,
  minifySyntax: true,
  // bin/spindle.js reads it as latin1
  charset: "ascii",
  // packages are bundled from their sources, so that the bundle is never older than they are
  conditions: ["spindle-source"],
  define: { __SPINDLE_VERSION__: JSON.stringify(version), "import.meta.url": "__moduleUrl" },
  banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  // imported lazily: by code that no layer of the program runs, and if it is installed
  external: ["undici", "@lydell/node-pty"],
  logLevel: "warning"
})
const codeCache = fileURLToPath(new URL("codeCache.mjs", import.meta.url))
execFileSync(process.execPath, ["--conditions=spindle-source", codeCache], { stdio: "inherit" })

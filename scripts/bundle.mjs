// Bundles packages/cli into packages/cli/dist/spindle.js, for its start-up time (docs/decisions/0005-argument-parsing.md). What is imported only
// when it is needed (exporters, the page of a session, the demo's server) stands in files of its own in dist/chunks, so that nobody else reads it.
import { readFileSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const cli = fileURLToPath(new URL("../packages/cli/", import.meta.url))
const { version } = JSON.parse(readFileSync(`${cli}package.json`, "utf8"))

rmSync(`${cli}dist/chunks`, { recursive: true, force: true })
await build({
  entryPoints: [`${cli}src/main.ts`],
  outdir: `${cli}dist`,
  entryNames: "spindle",
  chunkNames: "chunks/[name]-[hash]",
  splitting: true,
  bundle: true,
  platform: "node",
  target: "node22",
  format: "esm",
  // packages are taken from their sources, so that a bundle is never older than they are
  conditions: ["spindle-source"],
  define: { __SPINDLE_VERSION__: JSON.stringify(version) },
  // behind an import() that no layer of the program reaches
  external: ["undici"],
  // some dependencies are CommonJS and call require
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);'
  },
  logLevel: "warning"
})

// node scripts/compiled.mjs ARGS...
// Runs the bundle as bin/spindle.js does, and at the end writes what V8 has compiled of it, for bin/spindle.js to use.
import { readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { Script } from "node:vm"

const dist = join(import.meta.dirname, "../packages/cli/dist")
const bundle = join(dist, "spindle.cjs")
const script = new Script(`(function (require, __filename) {${readFileSync(bundle, "latin1")}\n})`, {
  filename: bundle
})
process.on("exit", () => {
  const cache = join(dist, `spindle-${process.versions.v8}-${process.arch}.cache`)
  writeFileSync(cache, script.createCachedData())
})
script.runInThisContext()(createRequire(bundle), bundle)

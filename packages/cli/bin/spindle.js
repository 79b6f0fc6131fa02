#!/usr/bin/env node
// Runs on any Node.js, so that an old one gets a message instead of a syntax error.
const wanted = [22, 19]
const [major, minor] = process.versions.node.split(".").map(Number)
if (major < wanted[0] || (major === wanted[0] && minor < wanted[1])) {
  process.stderr.write(
    `spindle needs Node.js ${wanted.join(".")} or newer, this is ${process.version} (${process.execPath})\n` +
      "Install a newer one, or start spindle through npm (npx spindle), which uses the Node.js of this project.\n"
  )
  process.exit(78)
}
// Without imports: importing a built-in module loads everything that it could need.
const fs = process.getBuiltinModule("node:fs")
const { createRequire, enableCompileCache } = process.getBuiltinModule("node:module")
const { join } = process.getBuiltinModule("node:path")

// The build stores the code that V8 has compiled for a turn (scripts/codeCache.mjs), so that the same V8 need not parse the bundle again. Another V8
// uses the compile cache of Node.
const dist = join(import.meta.dirname, "../dist")
const bundle = join(dist, "spindle.cjs")
const cache = join(dist, `spindle-${process.versions.v8}-${process.arch}.cache`)
const load = createRequire(bundle)
if (fs.existsSync(cache)) {
  const vm = process.getBuiltinModule("node:vm")
  const script = new vm.Script(`(function (require, __filename) {${fs.readFileSync(bundle, "latin1")}\n})`, {
    filename: bundle,
    cachedData: fs.readFileSync(cache)
  })
  script.runInThisContext()(load, bundle)
} else {
  enableCompileCache()
  load(bundle)
}

#!/usr/bin/env node
// Runs on any Node.js, so that an old one gets a message instead of a syntax error.
const wanted = [22, 19]
const [major, minor] = process.versions.node.split(".").map(Number)
if (major < wanted[0] || (major === wanted[0] && minor < wanted[1])) {
  process.stderr.write(
    `spindle needs Node.js ${wanted.join(".")} or newer, this is ${process.version} (${process.execPath})\n` +
      "Install a newer one, or start it through npm (npx spindle), which takes the one of this project.\n"
  )
  process.exit(78)
}
// Taken without an import, as importing a module of Node's loads all that it could be asked for.
const fs = process.getBuiltinModule("node:fs")
const { createRequire, enableCompileCache } = process.getBuiltinModule("node:module")
const { join } = process.getBuiltinModule("node:path")

// The build leaves what its V8 has compiled when a turn has run (scripts/codeCache.mjs): this V8 then parses nothing again. Another V8 keeps what it
// has compiled at the start, in Node's own cache.
const dist = join(import.meta.dirname, "../dist")
const bundle = join(dist, "spindle.cjs")
const cache = join(dist, `spindle-${process.versions.v8}-${process.arch}.cache`)
const load = createRequire(bundle)
if (fs.existsSync(cache)) {
  const vm = process.getBuiltinModule("node:vm")
  const script = new vm.Script(`(function (require, __filename) {${fs.readFileSync(bundle, "latin1")}\n})`, {
    filename: bundle,
    cachedData: fs.readFileSync(cache),
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
  })
  script.runInThisContext()(load, bundle)
} else {
  enableCompileCache()
  load(bundle)
}

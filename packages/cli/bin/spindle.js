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
const { enableCompileCache } = await import("node:module")
enableCompileCache()
await import("../dist/spindle.js")

/**
 * The program of a kernel, for `node -e`. It reads cells as JSON lines from its standard input and runs them one at a time
 * in one context. It writes messages as lines that begin with the mark in its first argument; whatever else appears on its
 * output was written by what a cell has started.
 */
export const kernelScript = `
const fs = require("node:fs")
const vm = require("node:vm")
const { inspect } = require("node:util")
const { createRequire } = require("node:module")
const mark = process.argv[1]
const maxImageBytes = 4194304
const write = (bytes) => {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += fs.writeSync(1, bytes, at)
    } catch (error) {
      if (error.code !== "EAGAIN") throw error
    }
  }
}
const send = (message) => write(Buffer.from("\\n" + mark + JSON.stringify(message) + "\\n"))
const show = (value) => typeof value === "string" ? value : inspect(value, { depth: 4, maxArrayLength: 100, breakLength: 100 })
const print = (...values) => send({ type: "output", text: values.map(show).join(" ") + "\\n" })
const image = (data) => {
  const bytes = typeof data === "string" ? fs.readFileSync(data) : Buffer.from(data)
  if (bytes.length > maxImageBytes) throw new RangeError("an image has at most " + maxImageBytes + " bytes")
  send({ type: "image", data: bytes.toString("base64") })
}
const context = vm.createContext({
  console: { log: print, info: print, warn: print, error: print, debug: print, dir: print },
  image, require: createRequire(process.cwd() + "/cell.js"),
  process: { argv: [], env: process.env, cwd: () => process.cwd(), platform: process.platform, arch: process.arch, version: process.version },
  setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate, queueMicrotask, structuredClone,
  URL, URLSearchParams, TextEncoder, TextDecoder, AbortController, AbortSignal, Buffer, performance, fetch, crypto, atob, btoa
})
vm.runInContext("globalThis.globalThis = globalThis", context)
const stackOf = (error) =>
  String((error && error.stack) || error).split("\\n").filter((line) => !/\\[eval\\]|node:/.test(line)).slice(0, 8).join("\\n")
const run = async ({ cell, code, names }) => {
  try {
    for (const name of names) if (!Object.hasOwn(context, name)) context[name] = undefined
    const importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
    const script = new vm.Script(code, { filename: "cell-" + cell + ".js", importModuleDynamically })
    const value = await script.runInContext(context)
    send({ type: "done", cell, ...(value === undefined ? {} : { value: show(value) }) })
  } catch (error) {
    send({ type: "failed", cell, error: stackOf(error) })
  }
}
process.on("unhandledRejection", (error) => print("unhandled rejection: " + stackOf(error)))
process.on("uncaughtException", (error) => print("uncaught exception: " + stackOf(error)))
let queue = Promise.resolve()
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  queue = queue.then(() => run(JSON.parse(line)))
}).on("close", () => process.exit(0))
`

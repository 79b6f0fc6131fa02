/** The most tools that a cell calls. */
export const maxCalls = 1_000
/** The longest arguments of a tool call, in characters of JSON. */
const maxParams = 1_048_576

/**
 * The program of a kernel, for `node -e`. It reads cells, and replies to tool calls, as JSON lines from its standard
 * input, and runs the cells one at a time in one context. A cell ends when its tool calls have. It writes messages as
 * lines that begin with the mark in its first argument; whatever else appears on its output was written by what a cell
 * has started.
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
let current
let callsCount = 0
const calls = new Map()
const tool = (name, args = {}) => {
  if (current === undefined) throw new inner.Error("a tool can be called only while a cell runs")
  if (callsCount >= ${maxCalls}) throw new inner.Error("a cell makes at most ${maxCalls} tool calls")
  const params = JSON.stringify(typeof args === "string" ? { input: args } : args)
  if (params === undefined) throw new inner.TypeError("the arguments of a tool are a JSON value or a text")
  if (params.length > ${maxParams}) throw new inner.RangeError("the arguments of a tool have at most ${maxParams} characters")
  const call = callsCount++
  send({ type: "call", cell: current, call, name: String(name), params: JSON.parse(params) })
  return new inner.Promise((resolve, reject) => calls.set(call, { resolve, reject }))
}
const reply = ({ reply: call, error, output }) => {
  const { resolve, reject } = calls.get(call) ?? {}
  calls.delete(call)
  if (error === undefined) resolve?.(output)
  else reject?.(new inner.Error(error))
  if (calls.size === 0) onCallsEnded()
}
let onCallsEnded = () => {}
// a call whose result makes another one has a microtask to do so
const callsEnded = async () => {
  while (calls.size > 0) {
    await new Promise((resolve) => { onCallsEnded = resolve })
    await new Promise(setImmediate)
  }
}
const context = vm.createContext({
  codex: { tool },
  console: { log: print, info: print, warn: print, error: print, debug: print, dir: print },
  image, require: createRequire(process.cwd() + "/cell.js"),
  process: { argv: [], env: process.env, cwd: () => process.cwd(), platform: process.platform, arch: process.arch, version: process.version },
  setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate, queueMicrotask, structuredClone,
  URL, URLSearchParams, TextEncoder, TextDecoder, AbortController, AbortSignal, Buffer, performance, fetch, crypto, atob, btoa
})
vm.runInContext("globalThis.globalThis = globalThis", context)
// what a cell catches is an error of its own context
const inner = vm.runInContext("({ Error, Promise, RangeError, TypeError })", context)
const stackOf = (error) =>
  String((error && error.stack) || error).split("\\n").filter((line) => !/\\[eval\\]|node:/.test(line)).slice(0, 8).join("\\n")
const run = async ({ cell, code, names }) => {
  current = cell
  callsCount = 0
  const end = async (message) => {
    await callsEnded()
    current = undefined
    send(message)
  }
  try {
    for (const name of names) if (!Object.hasOwn(context, name)) context[name] = undefined
    const importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
    const script = new vm.Script(code, { filename: "cell-" + cell + ".js", importModuleDynamically })
    const value = await script.runInContext(context)
    await end({ type: "done", cell, ...(value === undefined ? {} : { value: show(value) }) })
  } catch (error) {
    await end({ type: "failed", cell, error: stackOf(error) })
  }
}
process.on("unhandledRejection", (error) => print("unhandled rejection: " + stackOf(error)))
process.on("uncaughtException", (error) => print("uncaught exception: " + stackOf(error)))
let queue = Promise.resolve()
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const message = JSON.parse(line)
  if (message.reply === undefined) queue = queue.then(() => run(message))
  else reply(message)
}).on("close", () => process.exit(0))
`

/**
 * The program for Node that passes the connections of a confined command to the socket of its proxy. Its arguments are
 * the socket, the port to listen on, a descriptor to pass on, and the command, with whose exit code it exits. It
 * ignores the signals that end a group, like `bwrap`: the command decides about them.
 */
export const bridge = `
const { connect, createServer } = require("node:net")
const { spawn } = require("node:child_process")
const { constants } = require("node:os")
const [path, port, descriptor, program, ...args] = process.argv.slice(1)
for (const signal of ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGTSTP"]) process.on(signal, () => {})
const fail = (error) => {
  console.error("the network proxy cannot be reached: " + error.message)
  process.exit(125)
}
const pass = (client) => {
  const proxy = connect({ path, allowHalfOpen: true })
  client.pipe(proxy).pipe(client)
  client.on("error", () => proxy.destroy())
  proxy.on("error", () => client.destroy())
  client.on("close", () => proxy.destroy())
  proxy.on("close", () => client.destroy())
}
const start = () => {
  const child = spawn(program, args, { stdio: ["inherit", "inherit", "inherit", Number(descriptor)] })
  child.on("error", fail)
  child.on("exit", (code, signal) => process.exit(code === null ? 128 + constants.signals[signal] : code))
}
createServer({ allowHalfOpen: true }, pass).on("error", fail).listen(Number(port), "127.0.0.1", start)
`

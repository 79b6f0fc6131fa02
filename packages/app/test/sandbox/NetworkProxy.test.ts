/** The network proxy: its decisions over real sockets, and confined commands that reach nothing else. */
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ProcessId } from "@spindle/core/Ids"
import { Processes } from "@spindle/core/Processes"
import type { Hosts } from "@spindle/tools/NetworkPolicy"
import * as ProcessGroups from "@spindle/tools/ProcessGroups"
import * as ProcessStat from "@spindle/tools/ProcessStat"
import * as Sandbox from "@spindle/tools/Sandbox"
import * as SandboxEscapes from "@spindle/tools/SandboxEscapes"
import * as SandboxPolicy from "@spindle/tools/SandboxPolicy"
import * as Signals from "@spindle/tools/Signals"
import { Effect, Layer, Stream } from "effect"
import * as NetworkProxy from "../../src/sandbox/NetworkProxy.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "spindle-")))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A server of this host that repeats what it gets, and closes with its scope. */
const server = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly server: Http.Server; readonly seen: Array<Http.IncomingMessage> }>(
    (resume) => {
      const seen: Array<Http.IncomingMessage> = []
      const made = Http.createServer((request, response) => {
        seen.push(request)
        response.setHeader("x-from", "server")
        request.pipe(response)
      })
      made.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({ port: (made.address() as Net.AddressInfo).port, server: made, seen }))
      )
    }
  ),
  ({ server }) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
)

const list = (allowed: ReadonlyArray<string>, denied: ReadonlyArray<string> = []): Hosts => ({
  _tag: "Hosts",
  allowed,
  denied
})

const addresses: { readonly [host: string]: ReadonlyArray<string> } = {
  localhost: ["127.0.0.1"],
  "inside.example": ["127.0.0.1"],
  "both.example": ["10.0.0.1", "127.0.0.1"],
  "empty.example": []
}

const lookup = async (host: string) => {
  const found = addresses[host]
  if (found === undefined) throw new Error(`getaddrinfo ENOTFOUND ${host}`)
  return found.map((address) => ({ address, family: 4 }))
}

const proxyIn = (path: string) => NetworkProxy.make({ directory: path, node: process.execPath, lookup })

/** Opens a proxy on a port. */
const open = Effect.fnUntraced(function* (hosts: Hosts) {
  const endpoint = yield* proxyIn("/nowhere").open(hosts, "Port")
  assert(endpoint.place._tag === "Port")
  return { port: endpoint.place.port, denials: endpoint.denials }
})

/** Sends text to a port, and returns everything that comes back until the other side ends. */
const exchange = (port: number, text: string) =>
  Effect.callback<string>((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    let all = ""
    socket.setEncoding("utf8")
    socket.on("data", (piece: string) => (all += piece))
    socket.on("error", (error) => (all += error.message))
    socket.on("close", () => resume(Effect.succeed(all)))
    socket.write(text)
    return Effect.sync(() => socket.destroy())
  })

const statusOf = (text: string) => Number(text.split(" ")[1])
const get = (host: string, port: number) =>
  `GET http://${host}:${port}/a?b=c HTTP/1.1\r\nHost: other.example\r\nProxy-Connection: keep-alive\r\nConnection: close, x-one\r\nx-one: 1\r\nx-two: 2\r\n\r\n`
const connect = (host: string, port: number | string) => `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}\r\n\r\n`

describe("the network proxy", () => {
  it.live("passes on requests with an absolute URL, without what is about one connection", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* server
      const proxy = yield* open(list(["localhost"]))
      const reply = yield* exchange(proxy.port, get("LOCALHOST.", port))
      assert.strictEqual(statusOf(reply), 200, reply)
      assert.include(reply, "x-from: server")
      const [request] = seen
      assert.strictEqual(request?.url, "/a?b=c")
      assert.deepStrictEqual(
        { ...request?.headers, connection: "" },
        { host: `localhost.:${port}`, "x-two": "2", connection: "" }
      )
      assert.deepStrictEqual(proxy.denials(), [])
    })
  )

  it.live("passes on the body of a request and of its response", () =>
    Effect.gen(function* () {
      const { port } = yield* server
      const proxy = yield* open(list(["127.0.0.1"]))
      const head = `POST http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`
      const reply = yield* exchange(proxy.port, `${head}5\r\nhello\r\n0\r\n\r\n`)
      assert.include(reply, "hello")
    })
  )

  it.live("tunnels, and sends the bytes that follow the request at once", () =>
    Effect.gen(function* () {
      const { port } = yield* server
      const proxy = yield* open(list(["localhost"]))
      const inner = "POST /inner HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
      const reply = yield* exchange(proxy.port, `${connect("localhost", port)}${inner}`)
      assert.match(reply, /^HTTP\/1\.1 200 Connection established\r\n\r\nHTTP\/1\.1 200 OK/)
      assert.match(reply, /hi/)
    })
  )

  it.live("denies hosts, as data and in words", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* server
      const hosts = list(
        ["localhost", "inside.example", "both.example", "*.evil.example", "127.0.0.2"],
        ["*.evil.example"]
      )
      const proxy = yield* open(hosts)
      const rows: ReadonlyArray<readonly [host: string, reason: string]> = [
        ["other.example", "NotListed"],
        ["127.0.0.1", "NotListed"],
        ["a.evil.example", "Denied"],
        // names that resolve to an address of this host
        ["inside.example", "NotPublic"],
        ["both.example", "NotPublic"]
      ]
      for (const [host, reason] of rows) {
        const tunnelled = yield* exchange(proxy.port, connect(host, port))
        assert.strictEqual(statusOf(tunnelled), 403, tunnelled)
        assert.include(tunnelled, `${host}:${port} was denied: `)
        assert.strictEqual(statusOf(yield* exchange(proxy.port, get(host, port))), 403)
        assert.deepInclude(proxy.denials(), { _tag: "Denial", host, port, reason })
      }
      assert.strictEqual(proxy.denials().length, rows.length)
      assert.deepStrictEqual(seen, [])
    })
  )

  it.live("connects to the address that it has checked, whatever the name resolves to later", () =>
    Effect.gen(function* () {
      const { port } = yield* server
      let count = 0
      const rebinding = async () => [{ address: count++ === 0 ? "127.0.0.2" : "127.0.0.1", family: 4 }]
      const proxy = NetworkProxy.make({ directory: "/nowhere", node: process.execPath, lookup: rebinding })
      const { place } = yield* proxy.open(list(["name.example", "127.0.0.2"]), "Port")
      assert(place._tag === "Port")
      // nothing listens at the address that was checked
      assert.strictEqual(statusOf(yield* exchange(place.port, connect("name.example", port))), 502)
      assert.strictEqual(count, 1)
    })
  )

  it.live("replies to what it cannot read or resolve, and keeps running", () =>
    Effect.gen(function* () {
      const { port, server: made } = yield* server
      const proxy = yield* open(list(["*"]))
      const rows: ReadonlyArray<readonly [request: string, status: number]> = [
        ["GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400],
        ["GET https://localhost/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400],
        [connect("localhost", ""), 400],
        [connect("localhost", 99_999), 400],
        [connect("*.example", 80), 400],
        [connect("user@localhost", 80), 400],
        [connect("unknown.example", 80), 502],
        [connect("empty.example", 80), 502]
      ]
      for (const [request, status] of rows) {
        const reply = yield* exchange(proxy.port, request)
        assert.strictEqual(statusOf(reply), status, `${request}${reply}`)
      }
      made.close()
      made.closeAllConnections()
      const local = yield* open(list(["localhost"]))
      assert.strictEqual(statusOf(yield* exchange(local.port, get("localhost", port))), 502)
      assert.strictEqual(statusOf(yield* exchange(local.port, connect("localhost", port))), 502)
    })
  )

  it.live("slows down a sender that is faster than its receiver", () =>
    Effect.gen(function* () {
      const { port } = yield* server
      const receiver = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const made = Net.createServer({ pauseOnConnect: true })
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) => Effect.sync(() => void made.close())
      )
      const proxy = yield* open(list(["localhost"]))
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => Net.connect(proxy.port, "127.0.0.1").on("error", () => undefined)),
        (made) => Effect.sync(() => made.destroy())
      )
      yield* Effect.callback<void>((resume) => {
        socket.once("data", () => resume(Effect.void))
        socket.write(connect("localhost", (receiver.address() as Net.AddressInfo).port))
      })
      const most = 256
      let sent = 0
      const piece = Buffer.alloc(1 << 20)
      const write = () => {
        while (sent < most) {
          sent++
          if (!socket.write(piece)) return
        }
      }
      socket.on("drain", write)
      write()
      // other connections of the same proxy show that it had every chance to read more
      let [before, unchanged] = [0, 0]
      while (sent < most && unchanged < 50) {
        yield* exchange(proxy.port, get("localhost", port))
        unchanged = before === sent ? unchanged + 1 : 0
        before = sent
      }
      assert.isBelow(sent, most)
    })
  )

  it.live("closes its connections and removes its socket with its scope", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const { port } = yield* server
      const closed = yield* Effect.scoped(
        Effect.gen(function* () {
          const { place } = yield* proxyIn(path).open(list(["localhost"]), "Socket")
          assert(place._tag === "Socket")
          const socket = Net.connect(place.path).on("error", () => undefined)
          const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()))
          yield* Effect.callback<void>((resume) => {
            socket.once("data", () => resume(Effect.void))
            socket.write(connect("localhost", port))
          })
          return { ended }
        })
      )
      yield* Effect.promise(() => closed.ended)
      assert.deepStrictEqual(readdirSync(join(path, "proxy")), [])
    })
  )

  it.live("removes the sockets of programs that were killed, and fails where it cannot listen", () =>
    Effect.gen(function* () {
      const path = yield* directory
      yield* Effect.scoped(proxyIn(path).open(list([]), "Socket"))
      writeFileSync(join(path, "proxy", "99999999-1.sock"), "")
      writeFileSync(join(path, "proxy", "notes"), "")
      yield* proxyIn(path).open(list([]), "Socket")
      const names = readdirSync(join(path, "proxy")).filter((name) => name !== "notes")
      assert.lengthOf(names, 1)
      assert.isTrue(names[0]?.startsWith(`${process.pid}-`))
      const file = join(path, "file")
      writeFileSync(file, "")
      const failed = yield* Effect.flip(proxyIn(file).open(list([]), "Socket"))
      assert.match(failed.message, /^the network proxy cannot listen: /)
    })
  )
})

const machine = Layer.mergeAll(
  NodeServices.layer,
  Signals.layerKill(process.kill),
  ProcessStat.layerRead((pid) => readFileSync(`/proc/${pid}/stat`, "utf8"))
)
const confined = (path: string) =>
  Sandbox.layer({ platform: process.platform, architecture: process.arch, proxy: proxyIn(path) }).pipe(
    Layer.provideMerge(ProcessGroups.layer),
    Layer.provideMerge(machine)
  )

const whySkipped: string | undefined = await Effect.runPromise(
  Effect.flatMap(Sandbox.Sandbox, ({ available }) => available).pipe(
    Effect.match({ onFailure: (error) => error.message, onSuccess: () => undefined }),
    Effect.provide(confined("/nowhere")),
    Effect.scoped
  )
)
const title = "a confined command with a list of hosts"

let last = 0
/** Runs a shell command to its end in a sandbox that lets it reach these hosts. */
const run = Effect.fnUntraced(function* (hosts: Hosts, script: string, cwd: string) {
  const processes = yield* Processes
  const sandbox = yield* Sandbox.Sandbox
  const processId = ProcessId.make(`proxy-${process.pid}-${++last}`)
  const started = yield* processes
    .start({ processId, command: ["/bin/sh", "-c", script], cwd })
    .pipe(
      SandboxPolicy.confine({ _tag: "WorkspaceWrite", roots: [cwd], scratch: [], protectedPaths: [], network: hosts })
    )
  const output = yield* Stream.mkString(Stream.decodeText(started.output))
  const { exitCode } = yield* started.exit
  yield* started.gone
  return { exitCode, output: output.trim(), denials: sandbox.takeDenials(processId) }
})

/** A request through the proxy that the environment names. It prints the status and the body. */
const requesting = (url: string) =>
  `NODE_USE_ENV_PROXY= ${process.execPath} -e 'const { hostname, port } = new URL(process.env.HTTP_PROXY); require("node:http").get({ hostname, port, path: "${url}" }, async (r) => { let text = ""; for await (const piece of r) text += piece; console.log(r.statusCode, text.trim()) })'`

/** A request that uses no proxy. */
const fetching = (url: string) =>
  `NODE_USE_ENV_PROXY= ${process.execPath} -e 'fetch("${url}").then((r) => console.log(r.status), (e) => console.log("failed", e.cause.code))'`

describe.skipIf(whySkipped !== undefined)(
  whySkipped === undefined ? title : `${title} (skipped: ${whySkipped})`,
  () => {
    it.live("reaches a host of the list, and no other", () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        const { port } = yield* server
        yield* Effect.gen(function* () {
          const reached = yield* run(list(["localhost"]), requesting(`http://localhost:${port}/`), cwd)
          assert.deepStrictEqual(reached, { exitCode: 0, output: "200", denials: [] })
          const denied = yield* run(list(["other.example"]), requesting("http://example.com/"), cwd)
          assert.strictEqual(denied.output, "403 example.com:80 was denied: it is not in the list of allowed hosts")
          assert.deepStrictEqual(denied.denials, [
            { _tag: "Denial", host: "example.com", port: 80, reason: "NotListed" }
          ])
        }).pipe(Effect.provide(confined(yield* directory)))
      })
    )

    it.live("reaches nothing without the proxy: its network namespace is closed", () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        const { port, seen } = yield* server
        const direct = `NODE_USE_ENV_PROXY= ${fetching(`http://127.0.0.1:${port}/`)}`
        const { output } = yield* run(list(["127.0.0.1"]), direct, cwd).pipe(Effect.provide(confined(yield* directory)))
        assert.strictEqual(output, "failed ECONNREFUSED")
        assert.deepStrictEqual(seen, [])
      })
    )

    it.live("still cannot open unix sockets, and writes neither the socket of its proxy nor what is outside", () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        const home = join(cwd, "home")
        const script = [
          `${process.execPath} -e 'require("node:net").connect("${cwd}/s").on("error", (e) => console.log(e.code))'`,
          "mv home moved; rm home/proxy/*.sock; echo x > home/proxy/new"
        ].join("\n")
        const { output } = yield* run(list(["localhost"]), script, cwd).pipe(Effect.provide(confined(home)))
        assert.include(output, "EPERM")
        assert.strictEqual(output.match(/busy/g)?.length, 1, output)
        assert.strictEqual(output.match(/Read-only file system/g)?.length, 2, output)
        assert.deepStrictEqual(readdirSync(home), ["proxy"])
      })
    )

    it.live("X1 has its exit code, cleans up when it is asked to end, and leaves no process", () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        yield* Effect.gen(function* () {
          const { exitCode } = yield* run(list([]), "exit 3", cwd)
          assert.strictEqual(exitCode, 3)
          const processes = yield* Processes
          const processId = ProcessId.make(`proxy-${process.pid}-${++last}`)
          const script = 'trap "echo cleaned > made; exit 7" TERM; echo ready; while :; do sleep 0.01; done'
          const started = yield* processes.start({ processId, command: ["/bin/sh", "-c", script], cwd }).pipe(
            SandboxPolicy.confine({
              _tag: "WorkspaceWrite",
              roots: [cwd],
              scratch: [],
              protectedPaths: [],
              network: list([])
            })
          )
          yield* started.output.pipe(Stream.take(1), Stream.runDrain)
          yield* processes.end(processId, 60_000)
          assert.deepStrictEqual(yield* started.exit, { exitCode: 7 })
          assert.include(readdirSync(cwd), "made")
        }).pipe(Effect.provide(confined(yield* directory)))
      })
    )

    it.live(
      "X1 holds against every way out, past the proxy and through it",
      () =>
        Effect.gen(function* () {
          const tag = `spindle-proxy-${process.pid}`
          const escapes = yield* SandboxEscapes.run({ platform: process.platform, tag, hasProxy: true })
          assert.isAbove(escapes.filter(({ name }) => name.includes("network proxy")).length, 2)
          assert.deepStrictEqual(
            escapes.filter(({ held }) => !held),
            []
          )
        }).pipe(Effect.provide(Layer.unwrap(Effect.map(directory, confined)))),
      600_000
    )

    it.live("does not start where there is no proxy", () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        const without = Sandbox.layer({ platform: process.platform, architecture: process.arch }).pipe(
          Layer.provideMerge(ProcessGroups.layer),
          Layer.provideMerge(machine)
        )
        const failed = yield* run(list(["localhost"]), "true", cwd).pipe(Effect.flip, Effect.provide(without))
        assert.strictEqual(failed.detail, "there is no network proxy for the hosts of its sandbox policy")
      })
    )
  }
)

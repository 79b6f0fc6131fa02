/**
 * The proxy through which confined commands reach the hosts of a list: HTTP `CONNECT`, and requests with an absolute
 * URL.
 *
 * Each command has its own proxy, so that a denial belongs to a command. The proxy resolves a name once and connects to
 * an address that it has checked, so a name that later resolves to another address gains nothing. Both directions are
 * piped, so that the slower side slows the other one down.
 */
import * as Dns from "node:dns/promises"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Path from "node:path"
import type { Duplex } from "node:stream"
import * as NetworkPolicy from "@spindle/tools/NetworkPolicy"
import { type Endpoint, type NetworkProxy, type Place, ProxyFailed } from "@spindle/tools/NetworkProxy"
import * as Effect from "effect/Effect"
import * as Sockets from "../storage/sockets.ts"

/** An address of a host. */
export interface Address {
  readonly address: string
  readonly family: number
}

/** The options of the proxy. */
export interface Options {
  /** A directory that no command writes. The sockets of commands are in `proxy` below it. */
  readonly directory: string
  /** The absolute path of Node. */
  readonly node: string
  /** Resolves a name. Default: the resolver of the system. */
  readonly lookup?: ((host: string) => Promise<ReadonlyArray<Address>>) | undefined
}

/** The number of connections that a command may have at the same time. */
const maxConnections = 256
/** The number of denials of a command that are remembered. */
const maxDenials = 100
/** The time in which a connection to a host must be made. */
const connectMillis = 30_000

/** Makes the proxies of the commands of this program. */
export const make = ({ directory, lookup = lookupAll, node }: Options): NetworkProxy => {
  const sockets = Path.join(directory, "proxy")
  return {
    node,
    protectedPaths: [sockets],
    open: (hosts, at) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.suspend(() => {
            const running = serve(hosts, lookup)
            const path = Path.join(sockets, Sockets.makeName())
            return Effect.as(at === "Port" ? listen(running, 0) : listenAt(running, path), running)
          }),
          close
        ),
        ({ denials, server }): Endpoint => ({ place: placeOf(server), denials: () => Array.from(denials.values()) })
      )
  }
}

const lookupAll = (host: string): Promise<ReadonlyArray<Address>> => Dns.lookup(host, { all: true })

/** A server, its connections, and its denials. */
interface Running {
  readonly server: Http.Server
  readonly clients: Set<Net.Socket>
  readonly denials: Map<string, NetworkPolicy.Denial>
}

const listen = ({ server }: Running, at: string | 0): Effect.Effect<void, ProxyFailed> =>
  Effect.callback((resume) => {
    server.once("error", (error) => resume(Effect.fail(new ProxyFailed({ detail: error.message }))))
    const onListening = () => resume(Effect.void)
    if (at === 0) server.listen(0, "127.0.0.1", onListening)
    else server.listen(at, onListening)
    server.unref()
  })

const listenAt = (running: Running, path: string): Effect.Effect<void, ProxyFailed> =>
  Effect.andThen(
    Effect.mapError(Sockets.makeRoom(Path.dirname(path)), ({ message }) => new ProxyFailed({ detail: message })),
    listen(running, path)
  )

const placeOf = (server: Http.Server): Place => {
  const address = server.address() as string | Net.AddressInfo
  return typeof address === "string" ? { _tag: "Socket", path: address } : { _tag: "Port", port: address.port }
}

const close = ({ clients, server }: Running): Effect.Effect<void> =>
  Effect.sync(() => {
    server.close()
    for (const client of clients) client.destroy()
  })

const serve = (hosts: NetworkPolicy.Hosts, lookup: NonNullable<Options["lookup"]>): Running => {
  const running: Running = { server: Http.createServer(), clients: new Set(), denials: new Map() }
  const { clients, denials, server } = running
  const decide = async ({ host, port }: Target): Promise<Decision> => {
    const decision = await decideAbout(hosts, host, lookup)
    if (decision._tag !== "Refused") return decision
    const denial: NetworkPolicy.Denial = { _tag: "Denial", host, port, reason: decision.reason }
    if (denials.size < maxDenials) denials.set(NetworkPolicy.describe(denial), denial)
    return { ...decision, detail: NetworkPolicy.describe(denial) }
  }
  server.maxConnections = maxConnections
  server.on("connection", (client) => {
    client.unref()
    clients.add(client)
    client.on("close", () => clients.delete(client))
  })
  server.on("clientError", (_, client) => client.destroy())
  server.on("connect", (request, client, head) => void tunnel(request, { client, head }, decide))
  server.on("request", (request, response) => void forward(request, response, decide))
  return running
}

interface Target {
  readonly host: string
  readonly port: number
}

/** The decision about a target: checked addresses, a refusal by the list, or no address. */
type Decision =
  | { readonly _tag: "Allowed"; readonly addresses: ReadonlyArray<Address> }
  | { readonly _tag: "Refused"; readonly reason: NetworkPolicy.Reason; readonly detail: string }
  | { readonly _tag: "Unknown"; readonly detail: string }

const decideAbout = async (
  hosts: NetworkPolicy.Hosts,
  host: string,
  lookup: NonNullable<Options["lookup"]>
): Promise<Decision> => {
  const byName = NetworkPolicy.refusalOfHost(hosts, host)
  if (byName !== undefined) return { _tag: "Refused", reason: byName, detail: "" }
  const family = Net.isIP(host)
  const found = family === 0 ? await lookup(host).catch((error: Error) => error) : [{ address: host, family }]
  if (found instanceof Error) return { _tag: "Unknown", detail: found.message }
  const refusals = found.map(({ address }) => NetworkPolicy.refusalOfAddress(hosts, host, address))
  const addresses = found.filter((_, index) => refusals[index] === undefined)
  if (addresses.length > 0) return { _tag: "Allowed", addresses }
  return refusals[0] === undefined
    ? { _tag: "Unknown", detail: `${host} has no address` }
    : { _tag: "Refused", reason: refusals[0], detail: "" }
}

type Decide = (target: Target) => Promise<Decision>

/** Returns the options of a connection to checked addresses. Node calls `lookup` instead of the resolver. */
const connectionTo = ({ host, port }: Target, addresses: ReadonlyArray<Address>): Net.TcpNetConnectOpts => ({
  host,
  port,
  autoSelectFamily: true,
  lookup: (_host, _options, callback) => callback(null, [...addresses])
})

/** Ends a connection that is not made in time. */
const limit = (socket: Net.Socket): void => {
  socket.unref()
  socket.setTimeout(connectMillis, () => socket.destroy(new Error("the host does not reply")))
  socket.once("connect", () => socket.setTimeout(0))
}

/** The connection of a `CONNECT` request, and the bytes that followed the request. */
interface Opened {
  readonly client: Duplex
  readonly head: Buffer
}

const tunnel = async (request: Http.IncomingMessage, { client, head }: Opened, decide: Decide): Promise<void> => {
  const refuse = (status: number, detail: string) => client.end(rawResponse(status, detail))
  client.on("error", () => client.destroy())
  const target = targetOf(request.url ?? "")
  if (target === undefined) return void refuse(400, "the host and port cannot be read")
  const decision = await decide(target)
  if (decision._tag !== "Allowed") return void refuse(statusOf(decision), decision.detail)
  if (client.destroyed) return
  const upstream = Net.connect({ ...connectionTo(target, decision.addresses), allowHalfOpen: true })
  let isConnected = false
  limit(upstream)
  upstream.on("connect", () => {
    isConnected = true
    client.write("HTTP/1.1 200 Connection established\r\n\r\n")
    upstream.write(head)
    client.pipe(upstream)
    upstream.pipe(client)
  })
  upstream.on("error", (error) => {
    if (isConnected) client.destroy()
    else refuse(502, error.message)
  })
  upstream.on("close", () => {
    if (isConnected) client.destroy()
  })
  client.on("close", () => upstream.destroy())
}

const statusOf = (decision: Decision): number => (decision._tag === "Refused" ? 403 : 502)

const rawResponse = (status: number, detail: string): string => {
  const body = `${detail}\n`
  return [
    `HTTP/1.1 ${status} ${Http.STATUS_CODES[status]}`,
    "content-type: text/plain; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
    "",
    body
  ].join("\r\n")
}

/** Reads the target of `CONNECT`. */
const targetOf = (text: string): Target | undefined => {
  const [, host = "", port = ""] = /^(\[[\da-f:.]+\]|[^:@/?#[\]]+):(\d{1,5})$/i.exec(text) ?? []
  const normal = NetworkPolicy.normalize(host)
  const isValid =
    !normal.startsWith("*") && NetworkPolicy.isPattern(normal) && Number(port) > 0 && Number(port) < 65_536
  return isValid ? { host: normal, port: Number(port) } : undefined
}

const forward = async (request: Http.IncomingMessage, response: Http.ServerResponse, decide: Decide): Promise<void> => {
  const refuse = (status: number, detail: string) =>
    response.writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close" }).end(`${detail}\n`)
  const url = URL.parse(request.url ?? "")
  const target = url?.protocol === "http:" ? targetOf(`${url.hostname}:${url.port || 80}`) : undefined
  if (url === null || target === undefined) return void refuse(400, "this is a proxy: the URL must begin with http://")
  const decision = await decide(target)
  if (decision._tag !== "Allowed") return void refuse(statusOf(decision), decision.detail)
  if (response.destroyed) return
  const upstream = Http.request({
    ...connectionTo(target, decision.addresses),
    agent: false,
    method: request.method,
    path: `${url.pathname}${url.search}`,
    headers: [...endToEnd(request.rawHeaders, ["host", "expect"]), "Host", url.host]
  })
  upstream.on("socket", limit)
  upstream.on("response", (incoming) => {
    response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, endToEnd(incoming.rawHeaders))
    incoming.on("error", () => response.destroy())
    incoming.pipe(response)
  })
  upstream.on("error", (error) => {
    if (response.headersSent) response.destroy()
    else refuse(502, error.message)
  })
  response.on("close", () => upstream.destroy())
  request.on("error", () => upstream.destroy())
  request.pipe(upstream)
}

/** The headers of one connection (RFC 9110). `transfer-encoding` is kept, because Node frames the message again. */
const hopByHop = ["connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade"]

/** Returns the names and values of the headers that belong to the message and not to one connection, in one list. */
const endToEnd = (raw: ReadonlyArray<string>, without: ReadonlyArray<string> = []): Array<string> => {
  const pairs = raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? ""] as const] : []))
  const named = pairs.flatMap(([name, value]) => (name.toLowerCase() === "connection" ? value.split(",") : []))
  const dropped = new Set([...hopByHop, ...without, ...named.map((one) => one.trim().toLowerCase())])
  return pairs.filter(([name]) => !dropped.has(name.toLowerCase())).flat()
}

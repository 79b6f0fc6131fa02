/**
 * The port to the proxy through which confined commands reach the hosts of a list. The application provides it to
 * `Sandbox.layer`, because it opens sockets of the host.
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as NetworkPolicy from "./NetworkPolicy.ts"

/** The proxy could not listen. */
export class ProxyFailed extends Data.TaggedError("ProxyFailed")<{ readonly detail: string }> {
  override get message() {
    return `the network proxy cannot listen: ${this.detail}`
  }
}

/** The address of the proxy: a unix socket, or a port of 127.0.0.1. */
export type Place =
  | { readonly _tag: "Socket"; readonly path: string }
  | { readonly _tag: "Port"; readonly port: number }

/** The proxy of one command. */
export interface Endpoint {
  readonly place: Place
  /** Returns the denials so far, each host and port once. */
  readonly denials: () => ReadonlyArray<NetworkPolicy.Denial>
}

/** Makes the proxies of commands. */
export interface NetworkProxy {
  /**
   * Listens for HTTP `CONNECT` and for requests with an absolute URL, and passes them on to the hosts of the list.
   * Closing the scope closes every connection. The sockets do not keep the process alive. **Errors**: `ProxyFailed`.
   */
  readonly open: (hosts: NetworkPolicy.Hosts, at: Place["_tag"]) => Effect.Effect<Endpoint, ProxyFailed, Scope.Scope>
  /** The absolute path of Node, which passes connections from the namespace of a command to a socket. */
  readonly node: string
  /** The directories of the sockets, which no command may write. */
  readonly protectedPaths: ReadonlyArray<string>
}

/** The port on which a command with its own network namespace finds the proxy. */
export const port = 43_128

/**
 * Returns the variables that make programs use a proxy on a port of 127.0.0.1. Programs reach the loopback addresses
 * themselves, unless the list allows those of the host.
 */
export const variablesOf = (port: number, hosts: NetworkPolicy.Hosts): { readonly [name: string]: string } => {
  const proxy = `http://127.0.0.1:${port}`
  const direct = ["localhost", "127.0.0.1", "::1"].filter((host) => NetworkPolicy.refusalOfHost(hosts, host)).join(",")
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    ALL_PROXY: proxy,
    NO_PROXY: direct,
    http_proxy: proxy,
    https_proxy: proxy,
    all_proxy: proxy,
    no_proxy: direct,
    // Node ignores the others without it
    NODE_USE_ENV_PROXY: "1"
  }
}

/**
 * The HTTP client of the program. It uses the proxy and the certificates that the environment names, as other programs
 * of the machine do.
 *
 * `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are read in lower case first. A domain in `NO_PROXY` includes
 * its subdomains; IPv4 networks such as `10.0.0.0/8` are understood. `CODEX_CA_CERTIFICATE` and `SSL_CERT_FILE` name a
 * file of certificates to trust in addition; Node itself reads `NODE_EXTRA_CA_CERTS`.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { getCACertificates } from "node:tls"
import * as RegularFile from "@spindle/app/RegularFile"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as HttpClient from "effect/http/HttpClient"
import * as Help from "../args/Help.ts"
import { reasonOf } from "../output/failures.ts"
import { CliError } from "./CliError.ts"

/** The variables of an environment. */
export type Env = { readonly [name: string]: string | undefined }

/**
 * Makes the client. **Errors**: `CliError` when the environment names a proxy or a file that cannot be used. The
 * message has the name of the variable, and no password.
 */
export const layer = (env: Env): Layer.Layer<HttpClient.HttpClient, CliError> =>
  Layer.unwrap(
    Effect.map(agentOptions(env), (options): Layer.Layer<HttpClient.HttpClient> =>
      Layer.provide(NodeHttpClient.layerNodeHttpNoAgent, NodeHttpClient.layerAgentOptions(options))
    )
  )

/** Reads the options of the agents of `node:http` from an environment. */
export const agentOptions = Effect.fnUntraced(function* (env: Env) {
  const proxies = { ...(yield* proxyOf(env, "HTTP_PROXY")), ...(yield* proxyOf(env, "HTTPS_PROXY")) }
  const extra = yield* certificatesOf(env)
  const options: NodeHttpClient.HttpAgentOptions = {
    ...(Object.keys(proxies).length === 0 ? {} : { proxyEnv: { ...proxies, NO_PROXY: noProxyOf(env) } }),
    ...(extra === undefined ? {} : { ca: [...getCACertificates("default"), extra] })
  }
  return options
})

const refuse = (detail: string): Effect.Effect<never, CliError> =>
  Effect.fail(new CliError({ detail, exitCode: Help.exitCodes.configuration }))

/** Returns the value of a variable and its name as it is set. An empty variable counts as not set. */
const findVariable = (
  env: Env,
  ...names: ReadonlyArray<string>
): readonly [name: string, value: string] | undefined => {
  for (const name of names.flatMap((upper) => [upper.toLowerCase(), upper])) {
    const value = env[name]?.trim()
    if (value !== undefined && value !== "") return [name, value]
  }
  return undefined
}

type Proxies = { readonly [name: string]: string }

const proxyOf = (env: Env, variable: "HTTP_PROXY" | "HTTPS_PROXY"): Effect.Effect<Proxies, CliError> => {
  const found = findVariable(env, variable, "ALL_PROXY")
  if (found === undefined) return Effect.succeed({})
  const [name, value] = found
  const address = /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`
  if (!URL.canParse(address)) return refuse(`${name} is not the address of a proxy`)
  const { protocol } = new URL(address)
  if (protocol !== "http:" && protocol !== "https:") {
    return refuse(`${name} names a proxy of the kind ${protocol.slice(0, -1)}; only http and https proxies can be used`)
  }
  if (!process.allowedNodeEnvironmentFlags.has("--use-env-proxy")) {
    return refuse(`${name} names a proxy, which needs Node.js 22.21 or newer; this is ${process.version}`)
  }
  return Effect.succeed({ [variable]: address })
}

const noProxyOf = (env: Env): string =>
  (findVariable(env, "NO_PROXY")?.[1] ?? "")
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .flatMap(
      (entry) => rangeOf(entry) ?? (/^[a-z][a-z\d-]*(\.[a-z\d-]+)*$/i.test(entry) ? [entry, `.${entry}`] : [entry])
    )
    .join(",")

/** Converts an IPv4 network to the range of addresses that Node understands. */
const rangeOf = (entry: string): ReadonlyArray<string> | undefined => {
  const [, address = "", bits] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(entry) ?? []
  if (bits === undefined || Number(bits) > 32) return undefined
  const size = 2 ** (32 - Number(bits))
  const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)
  const first = Math.floor(number / size) * size
  return [`${addressOf(first)}-${addressOf(first + size - 1)}`]
}

const addressOf = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".")

const certificatesOf = (env: Env): Effect.Effect<string | undefined, CliError> => {
  const found = findVariable(env, "CODEX_CA_CERTIFICATE", "SSL_CERT_FILE")
  if (found === undefined) return Effect.undefined
  const [name, file] = found
  return Effect.catch(Effect.try({ try: () => RegularFile.readTextUnsafe(file), catch: reasonOf }), (reason) =>
    refuse(`cannot read the certificates in ${file}, which ${name} names: ${reason}`)
  )
}

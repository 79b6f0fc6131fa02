/**
 * The network policy of a command: everything, nothing, or the hosts of a list. It is data, with the decisions about a
 * host and about the address that its name resolves to. Policies form a lattice, like those of the sandbox.
 */
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"

/**
 * The hosts of a list. A pattern is a host name or an address, `*.example.com` for each name below `example.com`, or
 * `*`. A denied host is denied even if it is allowed, too. An address that is not public (loopback, private, link-local
 * ...) must be in the list itself, whatever name resolves to it; `localhost` means the loopback addresses.
 */
export class Hosts extends Schema.Opaque<Hosts>()(
  Schema.TaggedStruct("Hosts", {
    allowed: Schema.Array(Schema.String),
    denied: Schema.Array(Schema.String)
  }).annotate({ identifier: "Hosts" })
) {}

const policies = Schema.Union([Schema.Boolean, Hosts]).annotate({ identifier: "NetworkPolicy" })
/** The network that a command reaches: true for that of the host, false for none, or the hosts of a list. */
export type NetworkPolicy = boolean | Hosts
/** The schema of {@link NetworkPolicy}. */
export interface NetworkPolicySchema extends Schema.Union<typeof policies.members> {
  readonly Type: NetworkPolicy
}
/** @see {@link NetworkPolicy} */
export const NetworkPolicy: NetworkPolicySchema = policies

/**
 * The reason why a host is denied. `Denied`: the list denies it. `NotListed`: the list does not allow it. `NotPublic`:
 * its name resolves to an address that is not public and that the list does not name.
 */
export const Reason = Schema.Literals(["Denied", "NotListed", "NotPublic"])
/** @see {@link Reason} */
export type Reason = typeof Reason.Type

/** A host that a command did not reach because the list does not allow it. */
export class Denial extends Schema.Opaque<Denial>()(
  Schema.TaggedStruct("Denial", { host: Schema.String, port: Schema.Finite, reason: Reason }).annotate({
    identifier: "Denial"
  })
) {}

const reasons: { readonly [R in Reason]: string } = {
  Denied: "the list of hosts denies it",
  NotListed: "it is not in the list of allowed hosts",
  NotPublic: "its address is not public and not in the list of allowed hosts"
}

/** Describes a denial: the host, the port and the reason. */
export const describe = ({ host, port, reason }: Denial): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port} was denied: ${reasons[reason]}`

/** Returns the form of a host that is compared: lower case, without a final dot and brackets. */
export const normalize = (host: string): string => {
  const lower = host.toLowerCase()
  return lower.startsWith("[") && lower.endsWith("]") ? lower.slice(1, -1) : lower.replace(/\.$/, "")
}

const label = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
const hostName = new RegExp(`^${label}(?:\\.${label})*$`)

/** True if a text is a pattern of a list. */
export const isPattern = (text: string): boolean => text === "*" || isHost(text.startsWith("*.") ? text.slice(2) : text)

const isHost = (text: string): boolean => {
  const host = normalize(text)
  return bytesOf(host) !== undefined || (host.length <= 253 && hostName.test(host))
}

/** Decides about a host by its name or address. Returns why it is denied; undefined if it is allowed. */
export const refusalOfHost = ({ allowed, denied }: Hosts, host: string): Reason | undefined => {
  if (matches(denied, host)) return "Denied"
  return matches(allowed, host) ? undefined : "NotListed"
}

/** Decides about an address that an allowed host resolved to. Returns why it is denied; undefined if it is allowed. */
export const refusalOfAddress = ({ allowed, denied }: Hosts, host: string, address: string): Reason | undefined => {
  const bytes = bytesOf(normalize(address))
  if (bytes === undefined) return "NotPublic"
  const isNamed = (patterns: ReadonlyArray<string>) => patterns.some((one) => isSame(bytesOf(normalize(one)), bytes))
  if (isNamed(denied)) return "Denied"
  if (isPublic(bytes) || isNamed(allowed)) return undefined
  const isLocalhost = normalize(host) === "localhost" && allowed.some((one) => normalize(one) === "localhost")
  return isLocalhost && isLoopback(bytes) ? undefined : "NotPublic"
}

const matches = (patterns: ReadonlyArray<string>, host: string): boolean =>
  patterns.some((pattern) => covers(pattern, host))

/** True if each host of the second pattern is one of the first. */
const covers = (pattern: string, other: string): boolean => {
  if (pattern === "*") return true
  const [wide, narrow] = [normalize(pattern), normalize(other)]
  if (!wide.startsWith("*.")) return wide === narrow || isSame(bytesOf(wide), bytesOf(narrow))
  return narrow.endsWith(wide.slice(1)) && narrow.length >= wide.length && bytesOf(narrow) === undefined
}

/**
 * Returns the meet of two policies: what both allow. Commutative and associative, with `true` as its unit and `false`
 * as its zero.
 */
export const meet: {
  (that: NetworkPolicy): (self: NetworkPolicy) => NetworkPolicy
  (self: NetworkPolicy, that: NetworkPolicy): NetworkPolicy
} = dual(2, (self: NetworkPolicy, that: NetworkPolicy): NetworkPolicy => {
  if (self === false || that === false) return false
  if (self === true) return that
  if (that === true) return self
  // two patterns have no host in common unless one covers the other
  const both = [
    ...self.allowed.filter((one) => matches(that.allowed, one)),
    ...that.allowed.filter((one) => matches(self.allowed, one))
  ]
  return { _tag: "Hosts", allowed: toSet(both), denied: toSet([...self.denied, ...that.denied]) }
})

/** Allows further hosts. Hosts that a list denies stay denied, and addresses that are not public stay denied by `*`. */
export const allow: {
  (hosts: ReadonlyArray<string>): (self: NetworkPolicy) => NetworkPolicy
  (self: NetworkPolicy, hosts: ReadonlyArray<string>): NetworkPolicy
} = dual(2, (self: NetworkPolicy, hosts: ReadonlyArray<string>): NetworkPolicy => {
  if (self === true || hosts.length === 0) return self
  const { allowed, denied } = self === false ? { allowed: [], denied: [] } : self
  return { _tag: "Hosts", allowed: toSet([...allowed, ...hosts]), denied }
})

const toSet = (patterns: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(new Set(patterns.map(normalize))).sort()

/** The 4 or 16 bytes of an address. */
type Bytes = ReadonlyArray<number>

const isSame = (one: Bytes | undefined, two: Bytes | undefined): boolean =>
  one !== undefined && two !== undefined && one.join() === two.join()

/** Returns the bytes of an address; those of an IPv4 address if an IPv6 address only carries one. */
const bytesOf = (host: string): Bytes | undefined => {
  if (!host.includes(":")) return bytesOfIPv4(host)
  const bytes = bytesOfIPv6(host)
  return bytes !== undefined && carriesIPv4.some((prefix) => hasPrefix(bytes, prefix, 96)) ? bytes.slice(12) : bytes
}

const bytesOfIPv4 = (host: string): Bytes | undefined => {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host)?.slice(1).map(Number)
  return parts?.every((part) => part <= 255) === true ? parts : undefined
}

const bytesOfIPv6 = (host: string): Bytes | undefined => {
  const tail = host.lastIndexOf(":") + 1
  const four = bytesOfIPv4(host.slice(tail))
  const text = four === undefined ? host : `${host.slice(0, tail)}${hex(four[0]!, four[1]!)}:${hex(four[2]!, four[3]!)}`
  const halves = text.split("::")
  if (halves.length > 2) return undefined
  const [head = [], rest = []] = halves.map((half) => (half === "" ? [] : half.split(":")))
  const missing = 8 - head.length - rest.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  const words = [...head, ...Array.from({ length: missing }, () => "0"), ...rest]
  if (!words.every((word) => /^[\da-f]{1,4}$/.test(word))) return undefined
  return words.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 255])
}

const hex = (high: number, low: number): string => (high * 256 + low).toString(16)

const hasPrefix = (bytes: Bytes, prefix: Bytes, bits: number): boolean =>
  bytes.length === prefix.length &&
  bytes.every((byte, index) => {
    const left = Math.min(8, Math.max(0, bits - 8 * index))
    const mask = (0xff00 >> left) & 0xff
    return (byte & mask) === (prefix[index]! & mask)
  })

type Network = readonly [prefix: Bytes, bits: number]

const networks = (...texts: ReadonlyArray<string>): ReadonlyArray<Network> =>
  texts.map((text) => {
    const [address = "", bits] = text.split("/")
    return [(address.includes(":") ? bytesOfIPv6(address) : bytesOfIPv4(address))!, Number(bits)]
  })

/** IPv4 in IPv6: mapped addresses, and those of a translator. */
const carriesIPv4 = networks("::ffff:0:0/96", "64:ff9b::/96").map(([prefix]) => prefix)

const loopback = networks("127.0.0.0/8", "::1/128")

/** The addresses that the registries of special addresses do not call global, and multicast. */
const special = networks(
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
  "2001::/23",
  "2001:db8::/32",
  // carries an IPv4 address
  "2002::/16",
  "3fff::/20"
)

/** The only part of IPv6 that is global. */
const globalIPv6 = networks("2000::/3")

const isIn = (bytes: Bytes, all: ReadonlyArray<Network>): boolean =>
  all.some(([prefix, bits]) => hasPrefix(bytes, prefix, bits))

const isLoopback = (bytes: Bytes): boolean => isIn(bytes, loopback)

const isPublic = (bytes: Bytes): boolean => !isIn(bytes, special) && (bytes.length === 4 || isIn(bytes, globalIPv6))

/**
 * Permissions of commands as data: the request of a model, the grant of a person, and the meet of the two. A person may
 * grant less than was asked, and never more (contract A4).
 */
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as NetworkPolicy from "./NetworkPolicy.ts"
import * as SandboxPolicy from "../SandboxPolicy.ts"

/** The permissions of a request and of a grant. */
export const Permissions = Schema.Struct({
  network: Schema.optionalKey(
    Schema.Struct({
      enabled: Schema.optionalKey(
        Schema.Boolean.annotate({ description: "Whether commands reach the network, all of it." })
      ),
      hosts: Schema.optionalKey(
        Schema.Array(Schema.String).annotate({
          description: "Hosts that commands reach over HTTP and HTTPS, such as example.com or *.example.com."
        })
      )
    })
  ),
  file_system: Schema.optionalKey(
    Schema.Struct({
      write: Schema.Array(Schema.String).annotate({
        description: "Directories that commands write, relative to the working directory or absolute."
      })
    })
  )
})
/** @see {@link Permissions} */
export type Permissions = typeof Permissions.Type

/** Permissions of commands in addition to their policy. The paths are real. */
export interface Grant {
  /** True if they reach the network, all of it. */
  readonly network: boolean
  readonly hosts: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
}

/** The grant of nothing. */
export const none: Grant = { network: false, hosts: [], write: [] }

/** The grant of as much as a policy without a sandbox permits. */
export const everything: Grant = { network: true, hosts: ["*"], write: ["/"] }

/** True if a grant permits nothing. */
export const isEmpty = ({ hosts, network, write }: Grant): boolean =>
  !network && hosts.length === 0 && write.length === 0

/** Returns a grant of everything that either of two grants permits. */
export const both: {
  (that: Grant): (self: Grant) => Grant
  (self: Grant, that: Grant): Grant
} = dual(2, (self: Grant, that: Grant): Grant => ({
  network: self.network || that.network,
  hosts: Array.from(new Set([...self.hosts, ...that.hosts])),
  write: Array.from(new Set([...self.write, ...that.write]))
}))

/** Returns the permissions of a grant, as they are recorded and shown. */
export const of = ({ hosts, network, write }: Grant): Permissions => ({
  ...(network || hosts.length > 0
    ? { network: { ...(network ? { enabled: true } : {}), ...(hosts.length === 0 ? {} : { hosts }) } }
    : {}),
  ...(write.length === 0 ? {} : { file_system: { write } })
})

const decode = Schema.decodeUnknownOption(Permissions)

/** True if a value has the form of permissions. */
export const isPermissions = Schema.is(Permissions)

/** A part of a request that a person may grant alone: its label, and the `permissions` of the answer. */
export interface Less {
  readonly label: string
  readonly permissions: Permissions
}

/** Returns the parts of a request, each by itself; none if there is only one. */
export const partsOf = ({ hosts, network, write }: Grant): ReadonlyArray<Less> => {
  const parts: ReadonlyArray<Less> = [
    ...(network ? [{ label: "only the network", permissions: of({ ...none, network }) }] : []),
    ...hosts.map((host) => ({ label: `only ${host}`, permissions: of({ ...none, hosts: [host] }) })),
    ...write.map((path) => ({ label: `only to write ${path}`, permissions: of({ ...none, write: [path] }) }))
  ]
  return parts.length > 1 ? parts : []
}

/** Returns the part of a request that an answer grants. An answer in another form grants nothing. */
export const meet = (asked: Grant, granted: unknown): Grant =>
  Option.match(decode(granted), {
    onNone: () => none,
    onSome: ({ file_system, network }) => ({
      network: asked.network && network?.enabled === true,
      hosts: (network?.hosts ?? []).filter(
        (host) => NetworkPolicy.isPattern(host) && (asked.network || isAllowed(asked.hosts, host))
      ),
      write: (file_system?.write ?? []).filter((path) => asked.write.some((one) => isBelow(path, one)))
    })
  })

const isAllowed = (hosts: ReadonlyArray<string>, host: string): boolean =>
  NetworkPolicy.refusalOfHost({ _tag: "Hosts", allowed: hosts, denied: [] }, host) === undefined

const isBelow = (path: string, directory: string): boolean =>
  SandboxPolicy.isWithin(path, directory) && !path.split("/").includes("..")

/**
 * Returns a policy with a grant. `protectedPaths` stay read-only whatever was granted, and denied hosts stay denied.
 */
export const widen = (
  policy: SandboxPolicy.SandboxPolicy,
  grant: Grant,
  protectedPaths: ReadonlyArray<string>
): SandboxPolicy.SandboxPolicy => {
  if (policy._tag === "FullAccess" || isEmpty(grant)) return policy
  const { write } = grant
  const network = widenNetwork(policy.network, grant)
  if (policy._tag === "WorkspaceWrite") return { ...policy, network, roots: [...policy.roots, ...write] }
  if (write.length === 0) return { ...policy, network }
  return { ...policy, _tag: "WorkspaceWrite", roots: write, scratch: [], protectedPaths, network }
}

const widenNetwork = (policy: NetworkPolicy.NetworkPolicy, { hosts, network }: Grant): NetworkPolicy.NetworkPolicy => {
  if (!network) return NetworkPolicy.allow(policy, hosts)
  return typeof policy === "boolean" ? true : NetworkPolicy.allow(policy, ["*"])
}

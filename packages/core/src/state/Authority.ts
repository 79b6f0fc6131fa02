/** Grants, and the rule by which authority narrows from parent to child (contract A4). */
import { dual } from "effect/Function"

/** An approval for a turn or a session, of exactly the requests that `key` names. */
export interface Grant {
  readonly scope: "turn" | "session"
  readonly key: string
}

/** Makes the key of a grant: the tool, and the payload of the question as canonical JSON. */
export const keyOf = (tool: string | undefined, payload: unknown): string => `${tool ?? ""}:${canonical(payload)}`

/**
 * Returns whether two JSON values are equal, such as the permissions that were granted and those that were asked for.
 */
export const isEqual = (self: unknown, that: unknown): boolean => canonical(self) === canonical(that)

// object keys in order, so that equal questions have equal keys
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part
  ) ?? "null"

/** Returns whether all of these keys were granted before; false without keys. */
export const isGranted = (grants: ReadonlyArray<Grant>, keys: ReadonlyArray<string>): boolean =>
  keys.length > 0 && keys.every((key) => grants.some((grant) => grant.key === key))

/** Adds a grant, unless it is in the list. */
export const grant = (grants: ReadonlyArray<Grant>, added: Grant): ReadonlyArray<Grant> =>
  grants.some((one) => one.key === added.key && one.scope === added.scope) ? grants : [...grants, added]

/** Returns the grants that outlive the turn. */
export const endTurn = (grants: ReadonlyArray<Grant>): ReadonlyArray<Grant> =>
  grants.some((one) => one.scope === "turn") ? grants.filter((one) => one.scope === "session") : grants

/** A permission: a call runs without a question, asks first, or is refused. */
export type Permission = "allow" | "ask" | "deny"

/**
 * The decision of a policy about a call. `source` is the source in the record of the decision. `reason` is for the
 * model, which reads it after `denied: `.
 */
export interface Ruling {
  readonly permission: Permission
  readonly source: "policy" | "rule"
  readonly reason?: string | undefined
}

/** Narrows a ruling to at most a permission. */
export const atMost: {
  (most: Permission): (self: Permission | Ruling) => Permission | Ruling
  (self: Permission | Ruling, most: Permission): Permission | Ruling
} = dual(2, (self: Permission | Ruling, most: Permission): Permission | Ruling => {
  const permission = permissionOf(self)
  return meet(permission, most) === permission ? self : most
})

/** Returns the permission of a ruling. */
export const permissionOf = (self: Permission | Ruling): Permission =>
  typeof self === "string" ? self : self.permission

const rank: { readonly [P in Permission]: number } = { allow: 2, ask: 1, deny: 0 }

/** Returns the meet of two permissions: the narrower one. Commutative, associative, idempotent, with `allow` as its unit. */
export const meet: {
  (that: Permission): (self: Permission) => Permission
  (self: Permission, that: Permission): Permission
} = dual(2, (self: Permission, that: Permission): Permission => (rank[self] <= rank[that] ? self : that))

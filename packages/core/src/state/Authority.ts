/**
 * What may be done without a question: grants, and how authority narrows from parent to child (contract A4).
 */
import { dual } from "effect/Function"

/** A standing approval for a turn or a session, of exactly what `key` names. */
export interface Grant {
  readonly scope: "turn" | "session"
  readonly key: string
}

/** Makes the key of an approval: the tool and what was asked, as canonical JSON. */
export const keyOf = (tool: string | undefined, payload: unknown): string => `${tool ?? ""}:${canonical(payload)}`

/** Whether two JSON values are the same, such as what was granted and what was asked for. */
export const isEqual = (self: unknown, that: unknown): boolean => canonical(self) === canonical(that)

// object keys in order, so that equal questions have equal keys
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part
  ) ?? "null"

/** Whether all of these keys were granted before. Nothing is granted without a key. */
export const isGranted = (grants: ReadonlyArray<Grant>, keys: ReadonlyArray<string>): boolean =>
  keys.length > 0 && keys.every((key) => grants.some((grant) => grant.key === key))

/** Adds a grant, once. */
export const grant = (grants: ReadonlyArray<Grant>, added: Grant): ReadonlyArray<Grant> =>
  grants.some((one) => one.key === added.key && one.scope === added.scope) ? grants : [...grants, added]

/** Returns the grants that outlive the turn. */
export const endTurn = (grants: ReadonlyArray<Grant>): ReadonlyArray<Grant> =>
  grants.some((one) => one.scope === "turn") ? grants.filter((one) => one.scope === "session") : grants

/** What a tool may do without a question. */
export type Permission = "allow" | "ask" | "deny"

/**
 * What a policy says about a call, and why. `source` is what a record of the decision says; `reason` is for the model, after
 * `denied: `.
 */
export interface Ruling {
  readonly permission: Permission
  readonly source: "policy" | "rule"
  readonly reason?: string | undefined
}

/** Returns a ruling with at most a permission. */
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

/** The permissions that a person has granted to the commands of a session, for one turn or until the session ends. */
import type { TurnId } from "@spindle/core/Ids"
import type { Turn, TurnSession } from "@spindle/core/Turn"
import type { SandboxPolicy } from "../../SandboxPolicy.ts"

/** What commands may do in addition to their policy. The paths are real. */
export interface Grant {
  readonly network: boolean
  readonly write: ReadonlyArray<string>
}

interface Grants {
  session: Grant
  turn: { readonly turnId: TurnId; readonly grant: Grant } | undefined
}

const none: Grant = { network: false, write: [] }

// all turns of a session have the same session value
const bySession = new WeakMap<TurnSession, Grants>()

const both = (one: Grant, two: Grant): Grant => ({
  network: one.network || two.network,
  write: Array.from(new Set([...one.write, ...two.write]))
})

/** Returns what is granted in a turn. */
export const of = ({ session, turnId }: Pick<Turn, "session" | "turnId">): Grant => {
  const grants = bySession.get(session)
  if (grants === undefined) return none
  return grants.turn?.turnId === turnId ? both(grants.session, grants.turn.grant) : grants.session
}

/** Adds a grant. */
export const add = (
  { session, turnId }: Pick<Turn, "session" | "turnId">,
  scope: "turn" | "session",
  grant: Grant
): void => {
  const grants = bySession.get(session) ?? { session: none, turn: undefined }
  bySession.set(session, grants)
  if (scope === "session") grants.session = both(grants.session, grant)
  else grants.turn = { turnId, grant: grants.turn?.turnId === turnId ? both(grants.turn.grant, grant) : grant }
}

/** Returns a policy with a grant. `protectedPaths` stay read-only whatever was granted. */
export const widen = (policy: SandboxPolicy, { network, write }: Grant, protectedPaths: ReadonlyArray<string>) => {
  if (policy._tag === "FullAccess" || (!network && write.length === 0)) return policy
  const wide = { network: policy.network || network }
  if (policy._tag === "WorkspaceWrite") return { ...policy, ...wide, roots: [...policy.roots, ...write] }
  if (write.length === 0) return { ...policy, ...wide }
  return { _tag: "WorkspaceWrite", roots: write, scratch: [], protectedPaths, ...wide } satisfies SandboxPolicy
}

/** The permissions that a person has granted to the commands of a session, for one turn or until the session ends. */
import type { TurnId } from "@spindle/core/Ids"
import type { Turn, TurnSession } from "@spindle/core/Turn"
import { both, type Grant, none } from "../../sandbox/Permissions.ts"

interface Grants {
  session: Grant
  turn: { readonly turnId: TurnId; readonly grant: Grant } | undefined
}

// all turns of a session have the same session value
const bySession = new WeakMap<TurnSession, Grants>()

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

/** The permissions that a person has granted to the commands of a session, for one turn or until the session ends. */
import * as Effect from "effect/Effect"
import type { CallId, TurnId } from "@spindle/core/Ids"
import type { Approved } from "@spindle/core/Op"
import type { Turn, TurnSession } from "@spindle/core/Turn"
import * as Permissions from "../../sandbox/Permissions.ts"

type Grant = Permissions.Grant

interface Grants {
  session: Grant
  turn: { readonly turnId: TurnId; readonly grant: Grant } | undefined
}

// all turns of a session have the same session value
const bySession = new WeakMap<TurnSession, Grants>()

/** Returns the permissions that hold in a turn. */
export const of = ({ session, turnId }: Pick<Turn, "session" | "turnId">): Grant => {
  const grants = bySession.get(session)
  if (grants === undefined) return Permissions.none
  return grants.turn?.turnId === turnId ? Permissions.both(grants.session, grants.turn.grant) : grants.session
}

/** Adds a grant. */
export const add = (
  { session, turnId }: Pick<Turn, "session" | "turnId">,
  scope: "turn" | "session",
  grant: Grant
): void => {
  const grants = bySession.get(session) ?? { session: Permissions.none, turn: undefined }
  bySession.set(session, grants)
  if (scope === "session") grants.session = Permissions.both(grants.session, grant)
  else
    grants.turn = { turnId, grant: grants.turn?.turnId === turnId ? Permissions.both(grants.turn.grant, grant) : grant }
}

/** The call that asked. */
export interface Asker {
  readonly callId: CallId | undefined
  readonly tool: string
}

/** The request of a call, and the answer. */
export interface Answered {
  readonly asked: Grant
  readonly approved: Pick<Approved, "permissions" | "scope">
}

/**
 * Returns the part of a call's request that an answer grants. It holds for the turn or the session if the answer says
 * so. A grant of less than was asked for is recorded.
 */
export const take = Effect.fnUntraced(function* (turn: Turn, { callId, tool }: Asker, { approved, asked }: Answered) {
  const { permissions, scope } = approved
  const grant = permissions === undefined ? asked : Permissions.meet(asked, permissions)
  if (permissions !== undefined && callId !== undefined) {
    const granted = Permissions.of(grant)
    yield* turn.recordDecision({ callId, tool, permission: "allow", source: "policy", permissions: granted })
  }
  if (scope !== "once") add(turn, scope, grant)
  return grant
})

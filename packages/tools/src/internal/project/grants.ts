/** The permissions that a person has granted to the commands of a session, for one turn or until the session ends. */
import * as Effect from "effect/Effect"
import type { CallId } from "@spindle/core/Ids"
import * as Local from "@spindle/core/Local"
import type { Approved } from "@spindle/core/Op"
import type { Turn } from "@spindle/core/Turn"
import * as Permissions from "../../sandbox/Permissions.ts"

type Grant = Permissions.Grant

/** The permissions that were granted to a session, or to one turn. */
const granted = Local.make((): { grant: Grant } => ({ grant: Permissions.none }))

/** Returns the permissions that hold in a turn. */
export const of = (turn: Turn): Grant =>
  Permissions.both(Local.get(granted, turn.session).grant, Local.get(granted, turn).grant)

/** Adds a grant. */
export const add = (turn: Turn, scope: "turn" | "session", grant: Grant): void => {
  const holder = Local.get(granted, scope === "session" ? turn.session : turn)
  holder.grant = Permissions.both(holder.grant, grant)
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

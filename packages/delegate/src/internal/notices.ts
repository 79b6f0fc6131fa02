/** What a parent's inbox is told about a delegate that goes on without it (contract D7). */
import type { SessionId } from "@spindle/core/Ids"
import { noticeFragment } from "@spindle/core/History"
import * as Op from "@spindle/core/Op"
import type { TurnSession } from "@spindle/core/Turn"
import * as Effect from "effect/Effect"
import { type Status, toWire } from "../Status.ts"

/** The notice, in the form that models of the reference know. */
export const textOf = (delegateId: SessionId, status: Status): string =>
  `<${noticeFragment}>\n${JSON.stringify({ agent_id: delegateId, status: toWire(status) })}\n</${noticeFragment}>`

/**
 * Puts a notice into the inbox of the parent. Unless it is to wake, it starts no turn: it joins the one that runs or the
 * next one. With a parent that has ended there is nobody to tell; what one that lives does not take is logged.
 */
export const tell = (
  session: TurnSession,
  about: { readonly delegateId: SessionId; readonly status: Status; readonly wake: boolean }
): Effect.Effect<void> =>
  Effect.flatMap(
    session.submit(
      Op.notice(noticeFragment, textOf(about.delegateId, about.status), {
        // mutant wakes (D7: an idle parent is woken): false
        delivery: about.wake ? "steer" : "wait"
      })
    ),
    (receipt) =>
      receipt._tag !== "Rejected" || receipt.reason._tag === "SessionClosed"
        ? Effect.void
        : lost(session, about.delegateId, receipt.reason._tag)
  ).pipe(Effect.catchTag("JournalFailed", ({ message }) => lost(session, about.delegateId, message)))

const lost = (session: TurnSession, delegateId: SessionId, why: string): Effect.Effect<void> =>
  Effect.logWarning(`session ${session.sessionId} was not told that delegate ${delegateId} has settled: ${why}`)

/** Notices to a parent about a detached delegate (contract D7). */
import { noticeFragment } from "@spindle/core/History"
import type { SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import type { TurnSession } from "@spindle/core/Turn"
import * as Effect from "effect/Effect"
import { type Status, toWire } from "../Status.ts"

/** Returns the text of the notice, in the form that models know. */
export const textOf = (delegateId: SessionId, status: Status): string =>
  `<${noticeFragment}>\n${JSON.stringify({ agent_id: delegateId, status: toWire(status) })}\n</${noticeFragment}>`

/**
 * Puts a notice into the inbox of the parent. With `wake` it starts a turn of an idle parent; without, it joins the
 * running turn or the next one. A notice to a parent that has ended is dropped; one that the parent rejects is logged.
 */
export const send = (
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
        : logLost(session, about.delegateId, receipt.reason._tag)
  ).pipe(Effect.catchTag("JournalFailed", ({ message }) => logLost(session, about.delegateId, message)))

const logLost = (session: TurnSession, delegateId: SessionId, why: string): Effect.Effect<void> =>
  Effect.logWarning(`cannot notify session ${session.sessionId} that delegate ${delegateId} has settled: ${why}`)

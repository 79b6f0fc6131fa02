/**
 * Called with what a session tells, in order, and with what it measures beside that. Telemetry implements it.
 *
 * It is called synchronously on the session's writer and must neither block nor throw; a throw is reported as a
 * `Warning` once and the observer is not called again by that session.
 */
import * as Context from "effect/Context"
import type { SessionId } from "../protocol/Ids.ts"
import type { Op, Receipt, Rejection } from "../protocol/Op.ts"
import type { SessionEvent } from "../protocol/SessionEvent.ts"

/** What is no fact of the session, and in no journal. Times are milliseconds with fractions. */
export type SessionSignal =
  /** An operation got its receipt, so long after it was submitted. */
  | {
      readonly _tag: "Submitted"
      readonly op: Op["_tag"]
      readonly receipt: Receipt["_tag"]
      readonly rejection: Rejection["_tag"] | undefined
      readonly millis: number
    }
  /** A batch of records became durable, so long after it was given to a journal that `coalesces`. */
  | { readonly _tag: "Appended"; readonly recordsCount: number; readonly millis: number }
  /** Somebody had to wait until what was told before was durable (a barrier). */
  | { readonly _tag: "Flushed"; readonly millis: number }
  /**
   * So many more events wait in memory for subscribers, or fewer: told when that has changed, with a record and when a
   * subscriber reads or leaves.
   */
  | { readonly _tag: "Waiting"; readonly eventsChange: number }
  /** The session was closed: the last that is said of it, but for receipts of submissions that came too late. */
  | { readonly _tag: "Closed" }

/** An observer of sessions. */
export interface SessionObserver {
  /** Called with every event, as it is published. */
  readonly onEvent: (sessionId: SessionId, event: SessionEvent) => void
  /** Called with every signal. A session measures nothing for an observer without it. */
  readonly onSignal?: (sessionId: SessionId, signal: SessionSignal) => void
}

/** The observer; by default nobody. */
export const SessionObserver: Context.Reference<SessionObserver | undefined> = Context.Reference<
  SessionObserver | undefined
>("@spindle/core/SessionObserver", { defaultValue: () => undefined })

/** Both observers, one after the other; when one of them throws, neither is called again by that session. */
export const both = (
  first: SessionObserver | undefined,
  second: SessionObserver | undefined
): SessionObserver | undefined => {
  if (first === undefined || second === undefined) return first ?? second
  const signalled = [first, second].filter((one) => one.onSignal !== undefined)
  return {
    onEvent: (sessionId, event) => {
      first.onEvent(sessionId, event)
      second.onEvent(sessionId, event)
    },
    ...(signalled.length === 0
      ? {}
      : {
          onSignal: (sessionId: SessionId, signal: SessionSignal) => {
            for (const one of signalled) one.onSignal!(sessionId, signal)
          }
        })
  }
}

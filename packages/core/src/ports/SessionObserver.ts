/**
 * Observers of sessions: called with the events and the measurements of a session, in order. Telemetry implements the
 * port.
 *
 * An observer is called synchronously while the session writes. It must not block, and should not throw: one that throws
 * loses that event, but none after it. The session emits one `Warning` about it. An observer that waits, fails with typed
 * errors or has a deadline is an `EventObserver`, which runs in its own fiber.
 */
import * as Context from "effect/Context"
import { dual } from "effect/Function"
import type { SessionId } from "../protocol/Ids.ts"
import type { Op, Receipt, Rejection } from "../protocol/Op.ts"
import type { SessionEvent } from "../protocol/SessionEvent.ts"

/** A measurement. It is not a fact of the session, and is in no journal. Times are milliseconds with fractions. */
export type SessionSignal =
  /** An operation got its receipt this long after it was submitted. */
  | {
      readonly _tag: "Submitted"
      readonly op: Op["_tag"]
      readonly receipt: Receipt["_tag"]
      readonly rejection: Rejection["_tag"] | undefined
      readonly millis: number
    }
  /** A batch of records became durable this long after it was given to a journal that `coalesces`. */
  | { readonly _tag: "Appended"; readonly recordsCount: number; readonly millis: number }
  /** A flush waited this long until everything recorded before was durable. */
  | { readonly _tag: "Flushed"; readonly millis: number }
  /**
   * The change in the number of events that wait in memory for subscribers. Emitted if it is not zero, with a record
   * and when a subscriber reads or leaves.
   */
  | { readonly _tag: "Waiting"; readonly eventsChange: number }
  /** The session was closed. Only receipts of submissions that came too late may follow. */
  | { readonly _tag: "Closed" }

/** An observer of sessions. */
export interface SessionObserver {
  /** Called with every event, as it is published. */
  readonly onEvent: (sessionId: SessionId, event: SessionEvent) => void
  /** Called with every signal. A session measures nothing for an observer without it. */
  readonly onSignal?: ((sessionId: SessionId, signal: SessionSignal) => void) | undefined
}

/** The observer of the sessions that are made in this context. By default there is none. */
export const SessionObserver: Context.Reference<SessionObserver | undefined> = Context.Reference<
  SessionObserver | undefined
>("@spindle/core/SessionObserver", { defaultValue: () => undefined })

/** Calls both observers, in order; the second even if the first throws. */
export const both: {
  (second: SessionObserver | undefined): (first: SessionObserver | undefined) => SessionObserver | undefined
  (first: SessionObserver | undefined, second: SessionObserver | undefined): SessionObserver | undefined
} = dual(2, (first: SessionObserver | undefined, second: SessionObserver | undefined): SessionObserver | undefined => {
  if (first === undefined || second === undefined) return first ?? second
  const onEvent: SessionObserver["onEvent"] = (sessionId, event) => {
    try {
      first.onEvent(sessionId, event)
    } finally {
      second.onEvent(sessionId, event)
    }
  }
  if (first.onSignal === undefined && second.onSignal === undefined) return { onEvent }
  return {
    onEvent,
    onSignal: (sessionId, signal) => {
      try {
        first.onSignal?.(sessionId, signal)
      } finally {
        second.onSignal?.(sessionId, signal)
      }
    }
  }
})

/**
 * The port to observers of sessions. An observer is called with the events and the measurements of a session, in order.
 * Telemetry implements the port.
 *
 * An observer is called synchronously while the session writes, so it must not block. It should not throw: an observer
 * that throws loses that event and no other, and the session emits one `Warning`. For an observer that waits, fails
 * with typed errors or has a deadline, use `EventObserver`, which runs in its own fiber.
 */
import * as Context from "effect/Context"
import { dual } from "effect/Function"
import type { SessionId } from "../protocol/Ids.ts"
import type { Op, Receipt, Rejection } from "../protocol/Op.ts"
import type { SessionEvent } from "../protocol/SessionEvent.ts"

/** A measurement of a session. It is not written to the journal. Times are in milliseconds, with fractions. */
export type SessionSignal =
  /** An operation got its receipt `millis` after it was submitted. */
  | {
      readonly _tag: "Submitted"
      readonly op: Op["_tag"]
      readonly receipt: Receipt["_tag"]
      readonly rejection: Rejection["_tag"] | undefined
      readonly millis: number
    }
  /** A batch of records became durable `millis` after it was given to a journal that `coalesces`. */
  | { readonly _tag: "Appended"; readonly recordsCount: number; readonly millis: number }
  /** A flush waited `millis` until everything recorded before was durable. */
  | { readonly _tag: "Flushed"; readonly millis: number }
  /**
   * The number of events that wait in memory for subscribers has changed. It is emitted with a record, and when a
   * subscriber reads or leaves, if the change is not zero.
   */
  | { readonly _tag: "Waiting"; readonly eventsChange: number }
  /** The session was closed. Only `Submitted` signals of late submissions may follow. */
  | { readonly _tag: "Closed" }

/** An observer of sessions. */
export interface SessionObserver {
  /** Called with every event when it is published. */
  readonly onEvent: (sessionId: SessionId, event: SessionEvent) => void
  /** Called with every signal. If no observer has it, the session measures nothing. */
  readonly onSignal?: ((sessionId: SessionId, signal: SessionSignal) => void) | undefined
}

/** The observer of the sessions that are made in this context. By default there is none. */
export const SessionObserver: Context.Reference<SessionObserver | undefined> = Context.Reference<
  SessionObserver | undefined
>("@spindle/core/SessionObserver", { defaultValue: () => undefined })

/** Returns an observer that calls both, in order. It calls the second even if the first throws. */
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

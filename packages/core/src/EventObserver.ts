/**
 * Observers that are effects: they may wait, fail with typed errors, and have a deadline.
 *
 * Such an observer runs in the fiber that reads the events of one session, so the session never waits for it
 * (`docs/decisions/0081-observers-are-functions.md`). A failure stops the observer. With {@link failOpen} it loses only
 * the event for which it failed.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { textOf } from "./internal/foreign.ts"
import { recover } from "./internal/recover.ts"
import type { JournalFailed } from "./protocol/SessionError.ts"
import { isRecord, type SessionEvent } from "./protocol/SessionEvent.ts"
import type { Session } from "./Session.ts"

/** Handles an event of a session. */
export type EventObserver<E = never, R = never> = (event: SessionEvent) => Effect.Effect<void, E, R>

/**
 * The error of an observer that did not return in time. `event` is the tag of the event, `seq` its number if it is a
 * record.
 */
export class ObserverTimedOut extends Schema.TaggedError<ObserverTimedOut>()("ObserverTimedOut", {
  event: Schema.String,
  seq: Schema.optionalKey(Schema.Finite),
  deadlineMillis: Schema.Finite
}) {
  override get message() {
    const { deadlineMillis, event, seq } = this
    const number = seq === undefined ? "" : ` ${seq}`
    return `an observer did not handle ${event}${number} within ${Duration.format(Duration.millis(deadlineMillis))}`
  }
}

/**
 * Runs an observer for each event of a session, one after the other, from a record onwards (by default the first),
 * until the session is closed. A program that stores the number of the last record that it has handled can continue
 * after that record, even in another process. **Interruption** stops the observer and leaves the session as it is.
 * **Errors**: those of the observer; `JournalFailed` if records cannot be read back.
 *
 * @example
 * ```ts
 * import { EventObserver, type Session, type SessionEvent } from "@spindle/core"
 * import { Effect, pipe } from "effect"
 *
 * // an event that is not logged within a second is lost, and the next one is logged
 * const logging = pipe(
 *   (event: SessionEvent.SessionEvent) => Effect.logInfo(event._tag),
 *   EventObserver.withDeadline("1 second"),
 *   EventObserver.failOpen
 * )
 * export const log = (session: Session.Session) => EventObserver.run(session, logging)
 * ```
 */
export const run = <E, R>(
  session: Pick<Session, "events">,
  observer: EventObserver<E, R>,
  options?: { readonly from?: number | undefined }
): Effect.Effect<void, E | JournalFailed, R> =>
  Stream.runForEach(session.events({ from: options?.from }), (event) => Effect.suspend(() => observer(event)))

/**
 * Bounds the time that an observer takes for each event. If it takes longer, it is interrupted and fails with
 * `ObserverTimedOut`.
 */
export const withDeadline: {
  (deadline: Duration.Input): <E, R>(self: EventObserver<E, R>) => EventObserver<E | ObserverTimedOut, R>
  <E, R>(self: EventObserver<E, R>, deadline: Duration.Input): EventObserver<E | ObserverTimedOut, R>
} = dual(2, <E, R>(self: EventObserver<E, R>, deadline: Duration.Input): EventObserver<E | ObserverTimedOut, R> => {
  const deadlineMillis = Duration.toMillis(Duration.fromInputUnsafe(deadline))
  return (event) =>
    Effect.timeoutOrElse(
      Effect.suspend(() => self(event)),
      {
        duration: deadline,
        orElse: () =>
          Effect.fail(
            new ObserverTimedOut({
              event: event._tag,
              ...(isRecord(event) ? { seq: event.seq } : {}),
              deadlineMillis
            })
          )
      }
    )
})

/**
 * Lets an observer continue with the next event after it fails, dies, throws or interrupts itself. The failure is logged
 * as a warning.
 */
export const failOpen =
  <E, R>(self: EventObserver<E, R>): EventObserver<never, R> =>
  (event) =>
    recover(
      Effect.suspend(() => self(event)),
      (error) => Effect.logWarning(`an observer failed for ${event._tag}: ${textOf(error)}`)
    )

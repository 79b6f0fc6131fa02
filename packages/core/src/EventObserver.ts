/**
 * Observers that are effects: they may wait, fail with typed errors, and have a deadline.
 *
 * An observer of this kind runs in the fiber that reads the events of one session, so the session never waits for it
 * (`docs/decisions/0081-observers-are-functions.md`). One that fails stops reading, and {@link failOpen} makes it lose
 * only the event that it failed for.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { textOf } from "./internal/foreign.ts"
import type { JournalFailed } from "./protocol/SessionError.ts"
import { isRecord, type SessionEvent } from "./protocol/SessionEvent.ts"
import type { Session } from "./Session.ts"

/** Handles an event of a session. */
export type EventObserver<E = never, R = never> = (event: SessionEvent) => Effect.Effect<void, E, R>

/** An observer did not return in time. `event` is the tag of the event, `seq` its number if it is a record. */
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
 * Runs an observer for each event of a session, one after the other, from a record onwards (by default the first), until
 * the session is closed. A program that stores the number of the last record that it has handled continues after it, even
 * in another process. **Interruption** stops the observer, and nothing of the session. **Errors**: those of the observer;
 * `JournalFailed`.
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

/** Bounds the time of an observer for each event. One that takes longer is interrupted and fails with `ObserverTimedOut`. */
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

/** Makes an observer that fails, dies or throws lose that event and no later one. The failure is logged as a warning. */
export const failOpen =
  <E, R>(self: EventObserver<E, R>): EventObserver<never, R> =>
  (event) =>
    Effect.catchCause(
      Effect.suspend(() => self(event)),
      (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.logWarning(`an observer failed for ${event._tag}: ${textOf(Cause.squash(cause))}`)
    )

/**
 * The contract of a session as predicates over its {@link History}.
 *
 * Each law has the name of its clause and returns the violation, or undefined. It ignores parts that were not observed,
 * so a journal alone can be checked as well as a run of the explorer. {@link session} combines all laws, and
 * {@link observe} records the history of a session of `SessionHarness`. Explorations (`Interrupts`, `Simulation`) and
 * the suites use them, and so can any other test that drives sessions.
 */
import type { TurnId } from "@spindle/core/Ids"
import type { Journal } from "@spindle/core/Journal"
import type { Op, Receipt, Submission } from "@spindle/core/Op"
import type { Snapshot } from "@spindle/core/Session"
import type { JournalFailed, SessionNotFound } from "@spindle/core/SessionError"
import type * as SessionEvent from "@spindle/core/SessionEvent"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { History, Law } from "./internal/history.ts"
import * as Inputs from "./internal/lawsOfInput.ts"
import * as Records from "./internal/lawsOfRecords.ts"
import * as Streams from "./internal/lawsOfStreams.ts"
import type { SessionHarness } from "./SessionHarness.ts"

export type { History, Law } from "./internal/history.ts"

/** A turn starts while no other is open. */
export const S1: Law = Records.S1
/** Each turn has one terminal record and no events after it, and `SessionFailed` is the last event. */
export const S2: Law = Records.S2
/** The first event of a turn is `TurnStarted`. */
export const S3: Law = Records.S3
/** A turn that is replaced ends before its replacement starts. */
export const S4: Law = Records.S4
/** No fiber is left after a session was closed. */
export const S7: Law = ({ fiberCount }) => {
  const count = fiberCount ?? 0
  return count === 0 ? undefined : `S7 ${count} fibers are left`
}
/** As many turns were aborted as aborts returned true, or as answers aborted. */
export const I1: Law = Records.I1
/** After its abort a turn starts no request, question or process, and at the end nothing streams. */
export const I2: Law = Records.I2
/** A straggler that ends after its turn was named by it, and is reported once. */
export const I3: Law = Records.I3
/** Each registered finalizer started exactly once. */
export const I4: Law = ({ closed, opened }) =>
  opened === undefined || opened === closed ? undefined : `I4 ${opened} finalizers were registered, ${closed} started`
/** The record before the end of an interrupted turn is the marker. */
export const I5: Law = Records.I5
/** Calls and results pair up in each model request, after each turn and at the end. */
export const I6: Law = Records.I6
/** The text that was streamed is a prefix of the recorded text, in pieces without gaps. */
export const I7: Law = Streams.I7
/** Each submission has one receipt, and the same one if it is repeated. */
export const P1: Law = Inputs.P1
/** Acknowledged input is durable, has exactly one fate, and is named while it waits. */
export const P2: Law = Inputs.P2
/** Input that was queued is carried in the order of its acceptance. */
export const P3: Law = Inputs.P3
/** Input that steered a completed turn was carried or blocked by it. */
export const P4: Law = Inputs.P4
/** A submission is accepted once, and carried at most once. */
export const P6: Law = Inputs.P6
/** Each question is opened once and settled once, before its turn ends. */
export const A1: Law = Records.A1
/** A question that was cancelled by an abort belongs to an aborted turn. */
export const A2: Law = Records.A2
/** The answer `Abort` aborts its turn. */
export const A5: Law = Records.A5
/** The journal has exactly the records that were published. */
export const J1: Law = Streams.J1
/** The records break no invariant of the fold, and the fold equals the live state. */
export const J3: Law = Records.J3
/** A model request is recorded before it is sent, and a call before its result. */
export const J8: Law = Records.J8
/** No process of a turn that has ended is alive, except processes that were started with `keep`. */
export const X1: Law = Records.X1
/** A subscriber sees every record. */
export const W2: Law = Streams.W2

/**
 * All laws, by clause.
 *
 * @example
 * ```ts
 * import * as Laws from "@spindle/testing/Laws"
 *
 * console.log(Object.keys(Laws.all).join(" "))
 * // prints: S1 S2 S3 S4 S7 I1 I2 I3 I4 I5 I6 I7 P1 P2 P3 P4 P6 A1 A2 A5 J1 J3 J8 X1 W2
 * ```
 */
export const all: { readonly [clause: string]: Law } = {
  S1,
  S2,
  S3,
  S4,
  S7,
  I1,
  I2,
  I3,
  I4,
  I5,
  I6,
  I7,
  P1,
  P2,
  P3,
  P4,
  P6,
  A1,
  A2,
  A5,
  J1,
  J3,
  J8,
  X1,
  W2
}

/** Returns the violations of a history, in the order of the laws. */
export const violations = (history: History): ReadonlyArray<string> =>
  Object.values(all).flatMap((law) => law(history) ?? [])

/** All laws combined. Returns the first that is broken. */
export const session: Law = (history) => violations(history)[0]

/** The observation of a session. Submit and abort through it, so that receipts and aborts are counted. */
export interface Observation {
  /** Submits, and keeps the receipt. **Interruption**, **Errors**: as `Session.submit`. */
  readonly submit: (submission: Op | Submission) => Effect.Effect<Receipt, JournalFailed>
  /** Aborts, and counts an abort that returned true. **Interruption**: none. */
  readonly abort: Effect.Effect<boolean>
  /** Records the state of the session. Call it while the session is idle. */
  readonly noteIdle: Effect.Effect<Snapshot>
  /**
   * Returns the history until now. It waits for the subscriber, which ends with the session, so the session must be
   * closed. **Interruption** stops only the wait. **Errors**: those of loading the journal.
   */
  readonly history: Effect.Effect<History, SessionNotFound | JournalFailed>
}

/** Observes a session until the scope closes. `journal` is the one that the harness was made with. */
export const observe = (harness: SessionHarness, journal: Journal): Effect.Effect<Observation, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { session: observed } = harness
    const subscribed: Array<SessionEvent.SessionEvent> = []
    const subscription = yield* Effect.forkScoped(
      Stream.runForEach(observed.events(), (event) => Effect.sync(() => void subscribed.push(event)))
    )
    const receipts: Array<Receipt> = []
    let abortCount = 0
    const closing: Array<{ readonly turnId: TurnId; readonly seq: number }> = []
    let idle: Snapshot | undefined
    return {
      submit: (submission) =>
        Effect.tap(observed.submit(submission), (receipt) => Effect.sync(() => receipts.push(receipt))),
      abort: Effect.gen(function* () {
        const { turnId } = yield* observed.snapshot
        const hasAborted = yield* Effect.map(observed.abort(), (result) => {
          if (result) abortCount++
          return result
        })
        const after = yield* observed.snapshot
        // a turn that has ended in the meantime is not closing, and neither is the next one
        if (hasAborted && turnId !== undefined && after.turnId === turnId) closing.push({ turnId, seq: after.seq })
        return hasAborted
      }),
      noteIdle: Effect.map(observed.snapshot, (snapshot) => (idle = snapshot)),
      history: Effect.gen(function* () {
        yield* Fiber.await(subscription)
        const { records } = yield* journal.load(observed.sessionId)
        return {
          events: harness.events.slice(),
          subscribed,
          journal: records,
          requests: harness.requests.slice(),
          receipts,
          abortCount,
          closing,
          idle,
          final: yield* observed.snapshot,
          streaming: harness.model.openCount()
        }
      })
    }
  })

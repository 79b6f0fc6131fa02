/**
 * The contract as predicates over what was recorded of a session.
 *
 * Each law is named by its clause, looks at a {@link History}, and answers what is wrong, or undefined. A law says nothing about parts that were not
 * recorded, so a journal alone can be checked as well as a run under the explorer. {@link session} is all of them; {@link observe} records a session of
 * `SessionHarness`. Used by explorations (`Interrupts`, `Simulation`) and by the suites, and by whoever drives sessions in tests of their own.
 */
import type { Journal } from "@spindle/core/Journal"
import type { ModelRequest } from "@spindle/core/Model"
import type { ProcessId, SubmissionId, TurnId } from "@spindle/core/Ids"
import type { Op, Receipt } from "@spindle/core/Op"
import type { JournalFailed, SessionNotFound } from "@spindle/core/SessionError"
import type * as SessionEvent from "@spindle/core/SessionEvent"
import type { Snapshot } from "@spindle/core/Session"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Inputs from "./internal/lawsOfInput.ts"
import * as Records from "./internal/lawsOfRecords.ts"
import * as Streams from "./internal/lawsOfStreams.ts"
import type { SessionHarness } from "./SessionHarness.ts"

/** What was recorded of a session. Only `events` must be there; the records of a journal are events as well. */
export interface History {
  /** Everything that the session told, in order. */
  readonly events: ReadonlyArray<SessionEvent.SessionEvent>
  /** What a subscriber was told that was there from the first record to the end. */
  readonly subscribed?: ReadonlyArray<SessionEvent.SessionEvent>
  /** What the journal holds at the end. */
  readonly journal?: ReadonlyArray<SessionEvent.JournalRecord>
  /** The requests that the model got. */
  readonly requests?: ReadonlyArray<ModelRequest>
  /** The receipts of all submissions. */
  readonly receipts?: ReadonlyArray<Receipt>
  /** How many calls of `abort`, for the reason `Interrupted`, answered true. */
  readonly abortCount?: number
  /** Turns that were closing when their abort had answered true, each with the number of the record that came next. */
  readonly closing?: ReadonlyArray<{ readonly turnId: TurnId; readonly seq: number }>
  /** The session when nothing ran and nothing was about to. */
  readonly idle?: Snapshot
  /** The session at the end. */
  readonly final?: Snapshot
  /** How many finalizers of tasks and tools were registered. */
  readonly opened?: number
  /** How often one of them started. */
  readonly closed?: number
  /** How many answers of the model are still being streamed. */
  readonly streaming?: number
  /** How many fibers the session left behind after it was closed. */
  readonly fiberCount?: number
  /** The processes that are alive at the end. */
  readonly processes?: ReadonlyArray<ProcessId>
}

/** What is wrong with a history, as a sentence that begins with the clause; undefined if nothing is. */
export type Law = (history: History) => string | undefined

/** A turn begins while none is open. */
export const S1: Law = Records.S1
/** Each turn has one terminal record, nothing of it comes later, and `SessionFailed` is the last event. */
export const S2: Law = Records.S2
/** A turn begins with `TurnStarted`. */
export const S3: Law = Records.S3
/** A turn that is replaced ends before its replacement begins. */
export const S4: Law = Records.S4
/** No fiber is left behind a session that was closed. */
export const S7: Law = ({ fiberCount }) => {
  const count = fiberCount ?? 0
  return count === 0 ? undefined : `S7 ${count} fibers are left`
}
/** As many turns were aborted as aborts answered true, or were decided by an answer. */
export const I1: Law = Records.I1
/** From its abort on a turn starts no request, question or process; afterwards nothing streams. */
export const I2: Law = Records.I2
/** What ends after its turn was named by it, and is reported once. */
export const I3: Law = Records.I3
/** Each registered finalizer started exactly once. */
export const I4: Law = ({ closed, opened }) =>
  opened === undefined || opened === closed ? undefined : `I4 ${opened} finalizers were registered, ${closed} started`
/** The record before the end of an interrupted turn is the marker. */
export const I5: Law = Records.I5
/** Calls and results pair up in each model request, after each turn and at the end. */
export const I6: Law = Records.I6
/** What was streamed is a prefix of what was recorded, in pieces without gaps. */
export const I7: Law = Streams.I7
/** Each submission has one receipt; one that is repeated has the same. */
export const P1: Law = Inputs.P1
/** Acknowledged input is durable, has exactly one fate, and does not wait in silence. */
export const P2: Law = Inputs.P2
/** Input that was queued is carried in the order of its acceptance. */
export const P3: Law = Inputs.P3
/** Input that steered a turn which completed was carried, or blocked, by it. */
export const P4: Law = Inputs.P4
/** A submission is accepted once, and carried at most once. */
export const P6: Law = Inputs.P6
/** Each request is opened once and settled once, before its turn ends. */
export const A1: Law = Records.A1
/** A request that was cancelled by an abort belongs to a turn that was aborted. */
export const A2: Law = Records.A2
/** The answer `Abort` aborts its turn. */
export const A5: Law = Records.A5
/** The journal holds what was told, no more and no less. */
export const J1: Law = Streams.J1
/** The records break no invariant of the fold, and the fold is the live state. */
export const J3: Law = Records.J3
/** A model request was recorded before it was sent, a call before its result. */
export const J8: Law = Records.J8
/** No process of a turn that has ended is alive, unless it was started to be kept. */
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

/** What is wrong with a history by the laws in their order; none if nothing is. */
export const broken = (history: History): ReadonlyArray<string> =>
  Object.values(all).flatMap((law) => law(history) ?? [])

/** All laws as one: the first that is broken. */
export const session: Law = (history) => broken(history)[0]

/** A session that is being observed. Submit and abort through it, so that receipts and answers are counted. */
export interface Observation {
  /** Submits, and keeps the receipt. **Interruption**, **Errors**: as `Session.submit`. */
  readonly submit: (op: Op, options?: { readonly id?: SubmissionId }) => Effect.Effect<Receipt, JournalFailed>
  /** Aborts, and counts it if it hit. **Interruption**: none. */
  readonly abort: Effect.Effect<boolean>
  /** Notes what the session is now: call it while it is idle. */
  readonly noteIdle: Effect.Effect<Snapshot>
  /**
   * The history from the beginning to now. Closed sessions only: it waits for the subscriber, which ends with the session. **Interruption** stops
   * only the wait. **Errors**: those of loading the journal.
   */
  readonly history: Effect.Effect<History, SessionNotFound | JournalFailed>
}

/** Observes a session under test; its subscriber lives as long as the scope. `journal` is the one that the harness was made with. */
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
      submit: (op, options) =>
        Effect.tap(observed.submit(op, options), (receipt) => Effect.sync(() => receipts.push(receipt))),
      abort: Effect.gen(function* () {
        const { turnId } = yield* observed.snapshot
        const hit = yield* Effect.map(observed.abort(), (answer) => {
          if (answer) abortCount++
          return answer
        })
        const after = yield* observed.snapshot
        // a turn that has ended meanwhile is not named: the next one is not closing
        if (hit && turnId !== undefined && after.turnId === turnId) closing.push({ turnId, seq: after.seq })
        return hit
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
          ...(idle === undefined ? {} : { idle }),
          final: yield* observed.snapshot,
          streaming: harness.model.openCount()
        }
      })
    }
  })

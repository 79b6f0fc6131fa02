/** The types of a delegate, for its owner. `Delegate` re-exports these types. */
import type { Agent } from "@spindle/core/Agent"
import type { SessionId, TurnId } from "@spindle/core/Ids"
import type { Op, Receipt, Submission } from "@spindle/core/Op"
import type { AbortReason } from "@spindle/core/Outcome"
import type { Snapshot } from "@spindle/core/Session"
import type { SessionConfig } from "@spindle/core/SessionConfig"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Stream from "effect/Stream"
import type { BridgeInUse, DelegateClosed, DelegateRefused } from "../DelegateError.ts"
import type { Limits } from "../Limits.ts"
import type { Status } from "../Status.ts"
import type { Review } from "./approvals.ts"

/**
 * The history that a delegate begins with: none, a copy of its parent's so far, or that of a session that was closed.
 */
export type Beginning =
  | { readonly _tag: "New" }
  | { readonly _tag: "Forked"; readonly note?: string | undefined }
  | { readonly _tag: "Resumed"; readonly delegateId: SessionId }

/** The options of a delegate. */
export interface DelegateOptions<out R> {
  readonly agent: Agent<R>
  /** The time after which it is ended. `Duration.infinity` has to be written. It never outlives its parent. */
  readonly deadline: Duration.Input
  /** Keeps it running when the turn that starts it ends. Default: false. */
  readonly detached?: boolean | undefined
  /** A name for people. Default: the source. */
  readonly name?: string | undefined
  /** The purpose of the delegate, such as `review`, written into its first record. Default: `subagent`. */
  readonly source?: string | undefined
  /** More metadata for its first record. */
  readonly meta?: { readonly [key: string]: string } | undefined
  /** Default: `New`. */
  readonly begin?: Beginning | undefined
  /** Limits for everything below it. They only narrow those of its parent. */
  readonly limits?: Partial<Limits> | undefined
  /** Settings of its session that differ from its parent's. */
  readonly config?: Partial<SessionConfig> | undefined
  /** Decides its questions before a session above is asked. */
  readonly review?: Review | undefined
  /** Selects the events that its reader gets (D3). */
  readonly forward?: ((event: SessionEvent) => boolean) | undefined
  /** Lets a notice of a detached delegate start a turn of an idle parent. Default: false. */
  readonly wake?: boolean | undefined
}

/** A running delegate. */
export interface Delegate {
  readonly delegateId: SessionId
  /** The sessions from the root to the delegate. */
  readonly path: ReadonlyArray<SessionId>
  readonly name: string
  readonly isDetached: boolean
  /** The turn that started it. */
  readonly startedBy: TurnId
  /** Its current status. */
  readonly status: Effect.Effect<Status>
  /** The snapshot of its session. */
  readonly snapshot: Effect.Effect<Snapshot>
  /**
   * Waits until it has settled: no turn runs and no input waits for one. Returns its status at that moment.
   * **Interruption** stops only the wait.
   */
  readonly settled: Effect.Effect<Status>
  /** Waits for its end and returns the end of its last turn. **Interruption** stops only the wait. */
  readonly outcome: Effect.Effect<Status>
  /** Waits for its end. **Interruption** stops only the wait. */
  readonly awaitClosed: Effect.Effect<void>
  /** Asks its turn to stop. Returns at once: true if a turn was running. The delegate and its parent keep running. */
  readonly abort: (reason?: AbortReason) => Effect.Effect<boolean>
  /**
   * Ends it within the drain deadline: asks its turn to stop with this reason, by default `Parent`, and closes its
   * session with everything below it. Later calls wait for the same end. **Interruption**: none.
   */
  readonly end: (reason?: AbortReason) => Effect.Effect<void>
}

/** A running delegate that takes submissions and emits events. */
export interface Interactive extends Delegate {
  /** Its queue of submissions; see `Bridge`. Input for which no slot of the tree is free is refused. */
  readonly submissions: Queue.Enqueue<Submission>
  /**
   * Hands it an operation, or a submission, and waits for the receipt. Without a trace it continues that of the
   * delegate. **Interruption** stops only the wait. **Errors**: `DelegateClosed` when it has ended, or its session has
   * failed: no receipt says `SessionClosed`; `DelegateRefused` when it had settled and no slot of the tree is free.
   */
  readonly submit: (submission: Op | Submission) => Effect.Effect<Receipt, DelegateClosed | DelegateRefused>
  /** Its events, for one reader at a time; see `Bridge`. */
  readonly events: Stream.Stream<SessionEvent, BridgeInUse>
}

/** The reason why a delegate was not started. Nothing of it is left. */
export type StartError = DelegateRefused | SessionNotFound | SessionBusy | JournalFailed

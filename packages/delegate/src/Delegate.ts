/**
 * A delegate: a child session that a running task starts.
 *
 * A *linked* one ends with the turn that started it, whatever ends that turn; a *detached* one goes on, has its own
 * deadline, and tells the parent's inbox when it settles. Both end with the session that started them. What a child may
 * not decide itself is asked of its parent, and so of everybody up to the root (contract A3), and it may do by itself at
 * most what its parent may (A4). Model, journal, hooks and what else is in the context of the caller is the child's too,
 * unless the caller provides another.
 */
import * as Agent from "@spindle/core/Agent"
import type { Journal } from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
import type { SessionId, SubmissionId, TurnId } from "@spindle/core/Ids"
import type { Input } from "@spindle/core/Input"
import type { Op, Receipt, Submission } from "@spindle/core/Op"
import type { AbortReason } from "@spindle/core/Outcome"
import type { SessionConfig } from "@spindle/core/SessionConfig"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { TraceContext } from "@spindle/core/TraceContext"
import type { Snapshot } from "@spindle/core/Session"
import type { Turn } from "@spindle/core/Turn"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Queue from "effect/Queue"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { type BridgeInUse, type DelegateClosed, DelegateFailed, type DelegateRefused } from "./DelegateError.ts"
import { launch, outcomeLimit } from "./internal/launching.ts"
import * as Outputs from "./internal/outputs.ts"
import type { Review } from "./internal/approvals.ts"
import type { Limits } from "./Limits.ts"
import type { Status } from "./Status.ts"

export type { Review } from "./internal/approvals.ts"

/** What a delegate begins with: nothing, a copy of its parent's history up to now, or a session that was closed. */
export type Beginning =
  | { readonly _tag: "New" }
  | { readonly _tag: "Forked"; readonly note?: string }
  | { readonly _tag: "Resumed"; readonly delegateId: SessionId }

/** How to start a delegate. */
export interface DelegateOptions<out R> {
  readonly agent: Agent.Agent<R>
  /** How long it may live from now on; `Duration.infinity` has to be written. Never longer than its parent. */
  readonly deadline: Duration.Input
  /** Whether it goes on when the turn that starts it ends. Default: it ends with it. */
  readonly detached?: boolean
  /** For people. Default: the source. */
  readonly name?: string
  /** What it is for, as its first record says: `review`, `compact`, or by default `subagent`. */
  readonly source?: string
  /** More for its first record. */
  readonly meta?: { readonly [key: string]: string }
  /** Default: new. */
  readonly begin?: Beginning
  /** The limits of what is below it; they only narrow those of its parent. */
  readonly limits?: Partial<Limits>
  /** Tunables of its session beside those of its parent. */
  readonly config?: Partial<SessionConfig>
  /** Decides its requests before anybody above is asked. */
  readonly review?: Review
  /** Narrows the events that its reader gets (D3). */
  readonly forward?: (event: SessionEvent) => boolean
  /** Whether a notice of a detached delegate starts a turn of an idle parent. Default: it does not. */
  readonly wake?: boolean
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
  /** Where it stands. */
  readonly status: Effect.Effect<Status>
  /** What its session is. */
  readonly snapshot: Effect.Effect<Snapshot>
  /** Waits until nothing runs in it and nothing is about to; answers where it stood then. **Interruption** stops only the wait. */
  readonly settled: Effect.Effect<Status>
  /** Waits for its end, and answers how its last turn ended. **Interruption** stops only the wait. */
  readonly outcome: Effect.Effect<Status>
  /** Waits for its end. **Interruption** stops only the wait. */
  readonly awaitClosed: Effect.Effect<void>
  /** Asks its turn to stop, and answers at once whether it hit one. The delegate goes on, and so does its parent. */
  readonly abort: (reason?: AbortReason) => Effect.Effect<boolean>
  /**
   * Ends it, within the drain deadline: its turn is asked to stop with this reason, by default `Parent`, then its session
   * is closed, with all that is below it. Ending it again waits for the same end. **Interruption**: none.
   */
  readonly end: (reason?: AbortReason) => Effect.Effect<void>
}

/** A running delegate that takes submissions and tells events. */
export interface Interactive extends Delegate {
  /** The queue of what it is told; see `Bridge`. Input for which no slot of the tree is free is not taken. */
  readonly submissions: Queue.Enqueue<Submission>
  /**
   * Hands it an operation, and waits for the receipt. The trace is that of the caller unless another is given.
   * **Interruption** stops only the wait. **Errors**: `DelegateClosed`; `DelegateRefused` when it had settled and no slot
   * of the tree is free.
   */
  readonly submit: (
    op: Op,
    options?: { readonly id?: SubmissionId; readonly trace?: TraceContext }
  ) => Effect.Effect<Receipt, DelegateClosed | DelegateRefused>
  /** What it tells, for one reader at a time; see `Bridge`. */
  readonly events: Stream.Stream<SessionEvent, BridgeInUse>
}

/** Why a delegate was not started. Nothing of it is left. */
export type StartError = DelegateRefused | SessionNotFound | SessionBusy | JournalFailed

/**
 * Starts a delegate of the running turn.
 *
 * **Interruption** before the answer leaves nothing; afterwards the delegate belongs to the turn, or, detached, to the
 * session. **Errors**: `DelegateRefused` when a limit of the tree stands against it or the turn is stopping, and those of
 * `Session.make`.
 */
export const start = <R>(
  options: DelegateOptions<R>
): Effect.Effect<Interactive, StartError, R | Model | Journal | Turn> =>
  Effect.uninterruptibleMask((restore) => launch({ ...options, isOneShot: false }, restore))

/** How to run a one-shot delegate. */
export interface OneShotOptions<out R, out A = string | undefined> extends Omit<
  DelegateOptions<R>,
  "detached" | "forward" | "wake"
> {
  readonly input: Input
  /** What its answer is to be read as; by default it is the text of its last message. */
  readonly output?: Schema.Codec<A, unknown>
}

/**
 * Runs a delegate on one input, and answers what it said, or that decoded. It takes nothing else, and ends by itself after
 * its turn, whatever ends that (D5).
 *
 * **Interruption** ends it, within the drain deadline. **Errors**: `DelegateFailed` when its input was refused, its turn
 * was stopped or failed, or its answer cannot be decoded; else as `start`.
 */
export const runOnce: {
  <R>(
    options: OneShotOptions<R, never> & { readonly output?: never }
  ): Effect.Effect<string | undefined, StartError | DelegateFailed, R | Model | Journal | Turn>
  <R, A>(
    options: OneShotOptions<R, A> & { readonly output: Schema.Codec<A, unknown> }
  ): Effect.Effect<A, StartError | DelegateFailed, R | Model | Journal | Turn>
} = <R, A>(
  options: OneShotOptions<R, A>
): Effect.Effect<A | string | undefined, StartError | DelegateFailed, R | Model | Journal | Turn> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { input, output } = options
      const agent = output === undefined ? options.agent : Agent.withOutput(options.agent, Outputs.formatOf(output))
      const child = yield* launch({ ...options, agent, isOneShot: true }, restore)
      const run = Effect.flatMap(child.submit({ _tag: "UserInput", input }), (receipt) => {
        // mutant one-shot-refused (D5: a one-shot delegate whose input is rejected fails): true
        if (receipt._tag !== "Rejected") return child.settled
        // no turn comes of it: to wait for one would never end
        const reason = { _tag: "Refused", rejection: receipt.reason._tag } as const
        return Effect.fail(new DelegateFailed({ path: child.path, delegateId: child.delegateId, reason }))
      })
      const status = yield* Effect.onExit(restore(run), (exit) =>
        // mutant one-shot-ends-with-its-caller (D5: a one-shot delegate ends with the fiber that waits for it):
        //   replace: Exit.isSuccess(exit) ? child.end("Shutdown") : Effect.void
        child.end(Exit.isSuccess(exit) ? "Shutdown" : "Parent")
      ).pipe(Effect.catchTag("DelegateClosed", () => child.outcome))
      return yield* answerOf(child, status, output)
    })
  )

const answerOf = Effect.fnUntraced(function* <A>(
  { delegateId, path }: Delegate,
  status: Status,
  output: Schema.Codec<A, unknown> | undefined
) {
  const about = { path, delegateId }
  const partial = (text: string | undefined) => (text === undefined ? {} : { partial: text.slice(0, outcomeLimit) })
  switch (status._tag) {
    case "Completed": {
      const { message } = status
      if (output === undefined) return message
      return yield* Effect.mapError(
        Outputs.decode(output, message),
        (detail) => new DelegateFailed({ ...about, reason: { _tag: "InvalidAnswer", detail }, ...partial(message) })
      )
    }
    case "Interrupted": {
      const { message, reason } = status
      return yield* new DelegateFailed({ ...about, reason: { _tag: "Aborted", reason }, ...partial(message) })
    }
    case "Errored": {
      const { message: detail, tag } = status.error
      return yield* new DelegateFailed({ ...about, reason: { _tag: "Errored", tag, detail } })
    }
    // it was ended before its turn began
    default:
      return yield* new DelegateFailed({ ...about, reason: { _tag: "Aborted", reason: "Parent" } })
  }
})

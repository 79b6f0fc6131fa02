/**
 * What the parts of one session share. Made by `Session.make`; each part changes only the fields that its comment
 * names.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import type { Approvals } from "../../ports/Approvals.ts"
import type { Hooks } from "../../ports/Hooks.ts"
import type { ProcessId, QuestionId, SessionId, TurnId } from "../../protocol/Ids.ts"
import type { SessionConfig } from "../../protocol/SessionConfig.ts"
import type { SessionPolicy } from "../../protocol/SessionPolicy.ts"
import type { TaskSupervisor } from "../../TaskSupervisor.ts"
import type { Answer, TurnSession } from "../../Turn.ts"
import type { Ledger } from "../turn/ledger.ts"
import type { Recorder } from "../log/recorder.ts"

/** A process that is not known to have ended with all its descendants. */
export interface OwnedProcess {
  readonly processId: ProcessId
  readonly turnId: TurnId
  readonly name: string
  readonly keep: boolean
  readonly end: Effect.Effect<void>
}

/** A request that waits for its answer. One of the session itself has no turn. */
export interface PendingQuestion {
  readonly turnId: TurnId | undefined
  readonly settle: (decision: Answer) => void
}

/** One session. */
export interface Kernel {
  readonly sessionId: SessionId
  /** The sessions above this one, from the root to its parent. */
  readonly ancestors: ReadonlyArray<SessionId>
  /** The context in which fibers of the session run. */
  readonly context: Context.Context<never>
  readonly clock: Clock.Clock
  readonly config: SessionConfig
  readonly policy: SessionPolicy
  readonly hooks: Hooks
  readonly decider: Approvals
  readonly newId: () => string
  readonly recorder: Recorder
  readonly supervisor: TaskSupervisor
  /**
   * Requests that wait, by id; each settles once. Made when there is one, so that an idle session is small. Changed by
   * `requests`.
   */
  requests: Map<QuestionId, PendingQuestion> | undefined
  /** Made when there is one. Changed by `processes`. */
  processes: Map<ProcessId, OwnedProcess> | undefined
  /** The session as its turns see it. Set by `Session` before the first turn. */
  host: TurnSession | undefined
  /** What lives as long as the session beside its turns. Made when it is asked for. Changed by `Session`. */
  tenants: Scope.Closeable | undefined
  /** The ledger of the turn in the slot. Changed by `turns`. */
  ledger: Ledger | undefined
  /**
   * The number of the first record with the contexts of the hooks of the session's start, -1 if they gave none; undefined
   * until they have run, and when a rollback took the contexts away. Changed by `takeInput` and `submissions`.
   */
  greetedAt: number | undefined
  readonly source: "new" | "resumed"
  /** The last turn of a session that was resumed, until the next one is linked to it. Changed by `turns`. */
  resumedSpan: Tracer.AnySpan | undefined
  /** How many replacements wait at the turnstile; while one does, the queue is not started. Changed by `turns`. */
  replacing: number
  /** The fiber that is about to start the head of the queue. Changed by `submissions`. */
  next: Fiber.Fiber<void> | undefined
  /**
   * Whether input was accepted after the terminal record of the turn in the slot, which names it not. Changed by
   * `submissions`.
   */
  unnamed: boolean
  /** Whether the session takes submissions. Changed by `Session`. */
  closed: boolean
}

/** The sessions from the root to this one. */
export const pathOf = ({ ancestors, sessionId }: Kernel): ReadonlyArray<SessionId> => [...ancestors, sessionId]

/** Milliseconds of a duration. */
export const millis = (duration: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(duration))

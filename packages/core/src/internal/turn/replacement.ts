/** Starts a task in place of the running turn (contract S4). */
import * as Effect from "effect/Effect"
import { SessionClosed } from "../../protocol/SessionError.ts"
import type { SessionId } from "../../protocol/Ids.ts"
import type { TaskSupervisor } from "../../TaskSupervisor.ts"
import type { Lifetime } from "../session/lifetime.ts"
import type { Queue } from "../session/queue.ts"

/**
 * The options of a replacement. `start` starts the task in the slot and returns its turn; undefined if the slot is
 * taken.
 */
export interface Replacement<A> {
  readonly sessionId: SessionId
  readonly lifetime: Lifetime
  readonly queue: Queue
  readonly supervisor: TaskSupervisor
  readonly start: () => A | undefined
}

/**
 * Aborts the turn in the slot as `Replaced`, waits until the slot is free, and starts the task. A task may replace itself
 * (I9): the caller is then interrupted, and the new turn runs.
 */
export const replace = <A>({
  lifetime,
  queue,
  sessionId,
  start,
  supervisor
}: Replacement<A>): Effect.Effect<A, SessionClosed> => {
  const attempt: Effect.Effect<A, SessionClosed> = Effect.suspend(() => {
    // mutant closed-replaces-nothing (S2: a session that is closed or has failed starts no task): false
    if (!lifetime.isOpen) return Effect.fail(new SessionClosed({ sessionId, ...lifetime.closedBy }))
    const started = start()
    if (started !== undefined) return Effect.succeed(started)
    supervisor.abort("Replaced")
    return Effect.andThen(supervisor.awaitIdle, attempt)
  })
  return queue.replace(attempt)
}

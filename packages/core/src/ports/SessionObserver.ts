/**
 * Called with every event of a session, in order, as it is published. Telemetry implements it.
 *
 * It is called synchronously on the session's writer and must neither block nor throw; a throw is reported as a
 * `Warning` once and the observer is not called again by that session.
 */
import * as Context from "effect/Context"
import type { SessionId } from "../protocol/Ids.ts"
import type { SessionEvent } from "../protocol/SessionEvent.ts"

/** The observer; by default nobody. */
export class SessionObserver extends Context.Reference<
  | {
      readonly onEvent: (sessionId: SessionId, event: SessionEvent) => void
    }
  | undefined
>("@spindle/core/SessionObserver", { defaultValue: () => undefined }) {}

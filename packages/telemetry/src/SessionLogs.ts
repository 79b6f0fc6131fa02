/**
 * Log lines for operators: the abort of a turn, the tasks that were still ending when it settled, a turn or session
 * that failed, and warnings such as that of a hook that failed. Each has the annotations `session` and `turn`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionId, TurnId } from "@spindle/core/Ids"
import { isDelta, isTerminal, type SessionEvent } from "@spindle/core/SessionEvent"
import { both, SessionObserver } from "@spindle/core/SessionObserver"

/**
 * Writes the lines of an event with the loggers of the caller; nothing for most events. An abort is of level `Info`,
 * stragglers, failed turns and warnings are of level `Warn`, a failed session is of level `Error`. `running` is the
 * turn that runs; the end of a turn has its own id, which is the only one after a crash.
 */
const log = (event: SessionEvent, sessionId: SessionId, running: TurnId | undefined): Effect.Effect<void> => {
  const turnId = event._tag === "TurnAborted" || event._tag === "TurnFailed" ? event.turnId : running
  const annotated = Effect.annotateLogs({ session: sessionId, ...(turnId === undefined ? {} : { turn: turnId }) })
  switch (event._tag) {
    case "TurnAborted": {
      const open = event.stragglers.map(({ kind, name }) =>
        Effect.logWarning(`still ending when the turn settled: ${kind} ${name}`)
      )
      const aborted = Effect.logInfo(`the turn was aborted: ${event.crashed === true ? "Crashed" : event.reason}`)
      return annotated(Effect.all([aborted, ...open], { discard: true }))
    }
    case "StragglerEnded": {
      const { afterMillis, ofTurn, straggler } = event
      return Effect.logInfo(`ended ${afterMillis} ms after the abort: ${straggler.kind} ${straggler.name}`).pipe(
        Effect.annotateLogs({ session: sessionId, turn: ofTurn })
      )
    }
    case "TurnFailed":
      return annotated(Effect.logWarning(`the turn failed: ${event.error.tag}: ${event.error.message}`))
    case "SessionFailed":
      return annotated(Effect.logError(`the session failed: ${event.message}`))
    case "Warning":
      return annotated(Effect.logWarning(event.message))
    default:
      return Effect.void
  }
}

/** Makes an observer that writes the lines with the loggers, the level and the annotations of this context. */
export const make: Effect.Effect<SessionObserver> = Effect.contextWith((context: Context.Context<never>) => {
  const run = Effect.runSyncWith(context)
  /** The turn that runs, by session. */
  const turns = new Map<SessionId, TurnId>()
  return Effect.succeed({
    onEvent: (sessionId, event) => {
      if (isDelta(event)) return
      if (event._tag === "TurnStarted") turns.set(sessionId, event.turnId)
      run(log(event, sessionId, turns.get(sessionId)))
      // a session that failed has no terminal event
      if (isTerminal(event) || event._tag === "SessionFailed") turns.delete(sessionId)
    }
  })
})

/** Logs for all sessions that are made with this layer, in addition to an observer that is already in the context. */
export const layer: Layer.Layer<never> = Layer.effectContext(
  Effect.gen(function* () {
    const existing = yield* SessionObserver
    return Context.make(SessionObserver, both(existing, yield* make)) as Context.Context<never>
  })
)

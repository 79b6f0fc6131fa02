/**
 * Log lines about what a person who runs sessions looks for: the abort of a turn, what was still ending when it settled,
 * a turn that failed, and warnings such as that of a hook that failed. Each has the annotations `session` and `turn`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionId, TurnId } from "@spindle/core/Ids"
import { isDelta, type SessionEvent } from "@spindle/core/SessionEvent"
import { both, SessionObserver } from "@spindle/core/SessionObserver"

/**
 * Writes the lines of an event with the loggers of the caller; nothing for most events. An abort is of level `Info`,
 * stragglers, failures and warnings are of level `Warn`. `turnId` is the turn that runs.
 */
const log = (event: SessionEvent, sessionId: SessionId, turnId: TurnId | undefined): Effect.Effect<void> => {
  const annotated = Effect.annotateLogs({ session: sessionId, ...(turnId === undefined ? {} : { turn: turnId }) })
  switch (event._tag) {
    case "TurnAborted": {
      const running = event.stragglers.map(({ kind, name }) =>
        Effect.logWarning(`still ending when the turn settled: ${kind} ${name}`)
      )
      const aborted = Effect.logInfo(`the turn was aborted: ${event.crashed === true ? "Crashed" : event.reason}`)
      return annotated(Effect.all([aborted, ...running], { discard: true }))
    }
    case "StragglerEnded": {
      const { afterMillis, ofTurn, straggler } = event
      return Effect.logInfo(`ended ${afterMillis} ms after the abort: ${straggler.kind} ${straggler.name}`).pipe(
        Effect.annotateLogs({ session: sessionId, turn: ofTurn })
      )
    }
    case "TurnFailed":
      return annotated(Effect.logWarning(`the turn failed: ${event.error.tag}: ${event.error.message}`))
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
      if (event._tag === "TurnCompleted" || event._tag === "TurnFailed" || event._tag === "TurnAborted") {
        turns.delete(sessionId)
      }
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

/**
 * The first records and steps of a new session, or of a session that is resumed after its program ended or was killed
 * (J3, J6, J8).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { Opened } from "../../ports/Journal.ts"
import { Processes } from "../../ports/Processes.ts"
import type { ProcessId } from "../../protocol/Ids.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import { toSpan } from "../../protocol/TraceContext.ts"
import * as TurnEnd from "../../state/TurnEnd.ts"
import type { Recorder } from "../log/recorder.ts"
import { millis, type SessionContext } from "./sessionContext.ts"

/**
 * Returns the span of the last turn of a journal, or the trace that this turn continued. The first turn of a resumed
 * session is linked to it.
 */
export const lastSpanOf = (records: Opened["records"]): Tracer.AnySpan | undefined => {
  const last = records.findLast((record) => record._tag === "TurnStarted")
  const trace = last?._tag === "TurnStarted" ? (last.span ?? last.trace) : undefined
  return trace === undefined ? undefined : Option.getOrUndefined(toSpan(trace))
}

/**
 * Writes the first record of a new session, or the records of a resume, and waits until they are durable. A resume then
 * ends the processes that an earlier host has left running.
 */
export const start = (
  session: SessionContext,
  recorder: Recorder,
  opened: Opened,
  meta: { readonly [key: string]: string } | undefined
): Effect.Effect<void, JournalFailed> =>
  Effect.suspend(() => {
    const { clock, sessionId } = session
    const isNew = recorder.state.seq === 0
    if (isNew) recorder.append({ _tag: "SessionStarted", sessionId, meta: meta ?? {} })
    // a journal without a readable record starts again, and reports what was cut (J1)
    if (!isNew || opened.cutBytes > 0) {
      recorder.append({
        _tag: "SessionResumed",
        cutBytes: opened.cutBytes,
        ...(opened.cutFile === undefined ? {} : { cutFile: opened.cutFile }),
        ...(opened.damage === undefined ? {} : { damage: opened.damage })
      })
      // the askers of the session's own questions are gone
      for (const { questionId } of recorder.state.questions) {
        recorder.append({ _tag: "QuestionSettled", questionId, decision: { _tag: "Cancelled", by: "end" } })
      }
      const end = { _tag: "Crashed", now: clock.currentTimeMillisUnsafe() } as const
      recorder.appendAll(TurnEnd.records(recorder.state, end))
    }
    const { processes } = recorder.state
    if (isNew || processes.length === 0) return recorder.flush
    return Effect.andThen(recorder.flush, Effect.andThen(endLeft(session, recorder, processes), recorder.flush))
  })

/**
 * Ends the processes that an earlier host started and did not record as ended (contract X3). A process that does not
 * end in time stays open in the journal, so that the next resume tries again.
 */
const endLeft = ({ config, context }: SessionContext, recorder: Recorder, left: ReadonlyArray<ProcessId>) => {
  const processes = Option.getOrUndefined(Context.getOption(context, Processes))
  if (processes === undefined) return Effect.void
  const end = (processId: ProcessId) =>
    Effect.map(
      Effect.timeoutOption(processes.end(processId, millis(config.processGrace)), config.processDeadline),
      (ended) => {
        if (Option.isSome(ended)) recorder.append({ _tag: "ProcessEnded", processId, exitCode: null })
        else recorder.append({ _tag: "Warning", message: `process ${processId} of an earlier host does not end` })
      }
    )
  return Effect.forEach(left, end, { concurrency: "unbounded", discard: true })
}

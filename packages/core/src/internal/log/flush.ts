/** Waits until everything appended so far is durable, in a span if it has to wait and a tracer listens. */
import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import * as Tracing from "../../Tracing.ts"
import type { Recorder } from "./recorder.ts"

/** See `Recorder.flush`. The span is below `parent`, or else below the current span. */
export const flush = (recorder: Recorder, parent?: Tracer.AnySpan): Effect.Effect<void, JournalFailed> =>
  Effect.suspend(() =>
    recorder.isBehind
      ? Tracing.span({ name: "spindle.journal.flush", parent }, () => recorder.whenDurable())
      : recorder.whenDurable()
  )

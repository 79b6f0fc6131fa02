/** Waits for the journal, in a span when there is something to wait for and a tracer listens. */
import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import * as Tracing from "../../Tracing.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import type { Kernel } from "../session/sessionContext.ts"

/** The recorder's barrier, below `parent` or the current span. See `Recorder.barrier`. */
export const barrier = (kernel: Kernel, parent?: Tracer.AnySpan): Effect.Effect<void, JournalFailed> =>
  Effect.suspend(() =>
    kernel.recorder.isBehind
      ? Tracing.span({ name: "spindle.journal.flush", parent }, () => kernel.recorder.barrier)
      : kernel.recorder.barrier
  )

/** The span of a delegate: below the operation that started it, above everything that it does (contract O1). */
import * as Tracing from "@spindle/core/Tracing"
import type { SessionId } from "@spindle/core/Ids"
import { fromSpan, type TraceContext } from "@spindle/core/TraceContext"
import * as Context from "effect/Context"
import * as Status from "../Status.ts"

/** The span of one delegate. */
export interface DelegateSpan {
  /** The trace parent of everything that the delegate does. */
  readonly trace: TraceContext | undefined
  readonly end: (status: Status.Status) => void
}

/** The delegate of a span. */
interface Identity {
  readonly delegateId: SessionId
  readonly path: ReadonlyArray<SessionId>
  readonly isDetached: boolean
}

/**
 * Opens the span in the context of the caller that starts the delegate. The span of a linked delegate ends with the
 * turn at the latest.
 */
export const open = (
  context: Context.Context<never>,
  { delegateId, isDetached, path }: Identity,
  source: string
): DelegateSpan => {
  const span = Tracing.open(context, {
    name: "spindle.delegate",
    attributes: {
      "gen_ai.conversation.id": path.at(-2),
      "spindle.delegate.id": delegateId,
      "spindle.delegate.source": source,
      "spindle.delegate.mode": isDetached ? "detached" : "linked",
      "spindle.delegate.depth": path.length - 1
    }
  })
  const above = span ?? Tracing.currentSpan(context)
  const siblings = isDetached || span === undefined ? undefined : Context.get(context, Tracing.OpenSpans)
  if (span !== undefined) siblings?.add(span)
  return {
    trace: above === undefined ? undefined : fromSpan(above),
    end: (status) => {
      if (span === undefined) return
      siblings?.delete(span)
      Tracing.annotate(context, span, { "spindle.delegate.status": Status.wordOf(status) })
      Tracing.end(context, span, outcomeOf(status))
    }
  }
}

const outcomeOf = (status: Status.Status): Tracing.SpanOutcome => {
  switch (status._tag) {
    case "Completed":
      return { _tag: "completed" }
    case "Errored":
      return { _tag: "failed", type: status.error.tag, message: status.error.message }
    default:
      return { _tag: "aborted" }
  }
}

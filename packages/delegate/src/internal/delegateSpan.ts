/** The span of a delegate: below whatever started it, above everything that it does (contract O1). */
import * as Tracing from "@spindle/core/Tracing"
import type { SessionId } from "@spindle/core/Ids"
import { fromSpan, type TraceContext } from "@spindle/core/TraceContext"
import * as Context from "effect/Context"
import * as Status from "../Status.ts"

/** What a delegate goes on below, and how its span ends. */
export interface DelegateSpan {
  readonly trace: TraceContext | undefined
  readonly end: (status: Status.Status) => void
}

/** Which delegate it is. */
interface Beginning {
  readonly delegateId: SessionId
  readonly path: ReadonlyArray<SessionId>
  readonly isDetached: boolean
}

/** Opens the span in the context of whoever starts the delegate; that of a linked one ends with the turn at the latest. */
export const open = (
  context: Context.Context<never>,
  { delegateId, isDetached, path }: Beginning,
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
      span.attribute("spindle.delegate.status", Status.wordOf(status))
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

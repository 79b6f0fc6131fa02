/** The `tracestate` of a trace that came from outside, and where it is kept: in the annotations of its span. */
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"

/**
 * The `tracestate` header that belongs to a span (https://www.w3.org/TR/trace-context/#tracestate-header). Annotate an
 * external span with it, and requests below that span carry it on.
 */
export class TraceState extends Context.Service<TraceState, string>()("@spindle/core/TraceState") {}

/** The trace state of a span, or of the nearest span above it that has one. */
export const traceStateOf = (span: Tracer.AnySpan): string | undefined => {
  let current: Tracer.AnySpan | undefined = span
  while (current !== undefined) {
    const found: Option.Option<string> = Context.getOption(current.annotations, TraceState)
    if (Option.isSome(found)) return found.value
    current = current._tag === "Span" ? Option.getOrUndefined(current.parent) : undefined
  }
  return undefined
}

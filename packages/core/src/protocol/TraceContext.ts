/** W3C trace context (https://www.w3.org/TR/trace-context/): the trace of a caller, passed to a turn (contract O1). */
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"

/** The two headers of a trace context, as they were received. */
export class TraceContext extends Schema.Opaque<TraceContext>()(
  Schema.Struct({
    traceparent: Schema.String,
    tracestate: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "TraceContext" })
) {}

// a later version may have more fields after the first four
const pattern = /^(?!ff)([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/
const member = /^[a-z\d][\w\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]$/
const most = { members: 32, characters: 512 }

/** Returns whether a `tracestate` may be passed on: at most 32 well-formed members in at most 512 characters. */
const isState = (state: string): boolean => {
  const members = state.split(",").map((one) => one.trim())
  return (
    state.length <= most.characters &&
    members.length <= most.members &&
    members.every((one) => one === "" || member.test(one))
  )
}

/**
 * Returns the span that a trace context names, as a parent for this program's spans; none if `traceparent` is malformed,
 * of version `ff`, or all zero. A malformed `tracestate` is left out.
 */
export const toSpan = (trace: TraceContext): Option.Option<Tracer.ExternalSpan> => {
  const match = pattern.exec(trace.traceparent)
  if (match === null) return Option.none()
  const [, version, traceId = "", spanId = "", flags = "00", more] = match
  if (version === "00" && more !== undefined) return Option.none()
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return Option.none()
  const sampled = (Number.parseInt(flags, 16) & 1) === 1
  const { tracestate } = trace
  const annotations =
    tracestate === undefined || !isState(tracestate) ? Context.empty() : Context.make(TraceState, tracestate)
  return Option.some(Tracer.externalSpan({ traceId, spanId, sampled, annotations }))
}

/**
 * The `tracestate` of a span, kept in the annotations of the external span of a caller. Requests below that span pass
 * it on.
 */
export class TraceState extends Context.Service<TraceState, string>()("@spindle/core/TraceState") {}

/** Returns the trace state of a span, or of the nearest span above it that has one. */
export const traceStateOf = (span: Tracer.AnySpan): string | undefined => {
  let current: Tracer.AnySpan | undefined = span
  while (current !== undefined) {
    const found: Option.Option<string> = Context.getOption(current.annotations, TraceState)
    if (Option.isSome(found)) return found.value
    current = current._tag === "Span" ? Option.getOrUndefined(current.parent) : undefined
  }
  return undefined
}

/** Returns the trace context that names a span, with the trace state of the nearest span above that has one. */
export const fromSpan = (span: Tracer.AnySpan): TraceContext => {
  const tracestate = traceStateOf(span)
  return {
    traceparent: `00-${span.traceId.padStart(32, "0")}-${span.spanId}-${span.sampled ? "01" : "00"}`,
    ...(tracestate === undefined ? {} : { tracestate })
  }
}

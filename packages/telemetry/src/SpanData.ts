/** A span that has ended, as plain data for exporters, the memory and the trees of spans. */
import type * as Tracer from "effect/Tracer"

/** Named values of a span. */
export type SpanAttributes = { readonly [name: string]: unknown }

/** A span that has ended. Times are nanoseconds since 1970; a root has no `parentSpanId`. */
export interface SpanData {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: Tracer.SpanKind
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly attributes: SpanAttributes
  readonly events: ReadonlyArray<{
    readonly name: string
    readonly atNanos: bigint
    readonly attributes: SpanAttributes
  }>
  readonly links: ReadonlyArray<{
    readonly traceId: string
    readonly spanId: string
    readonly attributes: SpanAttributes
  }>
  /** `error` for work that failed. An interruption is not an error; its attribute `spindle.outcome` is aborted. */
  readonly status: "unset" | "error"
  /** The type of the error, or its message if content is included. */
  readonly statusMessage: string | undefined
}

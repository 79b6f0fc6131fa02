/** The tracer of this package: spans that are given away as data when they end, redacted, if they were sampled. */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Redact } from "../Redaction.ts"
import type { SpanAttributes, SpanData } from "../SpanData.ts"

/** How spans are made, and who gets them. */
export interface TracerOptions {
  readonly redact: Redact
  /** Whether messages of errors are told. */
  readonly content: boolean
  /** The share of traces that begin here which is kept, 0 to 1. */
  readonly sampleRatio: number
  /** Called when a sampled span begins. */
  readonly onStart?: (span: Tracer.Span) => void
  /** Called with each sampled span that has ended; must neither block nor throw. */
  readonly onEnd: (span: SpanData, made: Tracer.Span) => void
}

export const make = (options: TracerOptions): Tracer.Tracer =>
  Tracer.make({
    span: (made) => {
      const span = new ReportedSpan(made, options)
      if (span.sampled) options.onStart?.(span)
      return span
    }
  })

/** An event of a span that logs told; they carry content. */
const logEvents = /^effect\./

class ReportedSpan extends Tracer.NativeSpan {
  private readonly options: TracerOptions
  override readonly sampled: boolean
  constructor(made: ConstructorParameters<typeof Tracer.NativeSpan>[0], options: TracerOptions) {
    super(made)
    this.options = options
    this.sampled = made.sampled && (Option.isSome(made.parent) || isKept(this.traceId, options.sampleRatio))
  }
  override end(...[endTime, exit]: Parameters<Tracer.Span["end"]>): void {
    if (this.status._tag === "Ended") return
    super.end(endTime, exit)
    if (this.sampled) this.options.onEnd(dataOf(this, this.options), this)
  }
}

/** The decision of `TraceIdRatioBased`: by the last 56 bits of the trace id, so that all who share it decide alike. */
const isKept = (traceId: string, ratio: number): boolean =>
  ratio >= 1 || (ratio > 0 && Number.parseInt(traceId.slice(-14), 16) / 2 ** 56 < ratio)

const dataOf = (span: ReportedSpan, { content, redact }: TracerOptions): SpanData => {
  const { status } = span
  const endNanos = status._tag === "Ended" ? status.endTime : span.startTime
  const failure = status._tag === "Ended" ? failureOf(status.exit) : undefined
  const aborted = status._tag === "Ended" && failure === undefined && status.exit._tag === "Failure"
  const own = redacted(Object.fromEntries(span.attributes), redact)
  return {
    traceId: span.traceId.padStart(32, "0"),
    spanId: span.spanId,
    parentSpanId: Option.getOrUndefined(span.parent)?.spanId,
    name: span.name,
    kind: span.kind,
    startNanos: span.startTime,
    endNanos,
    attributes: {
      ...own,
      ...(aborted ? { "spindle.outcome": "aborted" } : {}),
      ...(failure === undefined || "error.type" in own ? {} : { "error.type": failure.type })
    },
    events: (span._events ?? []).flatMap(([name, atNanos, attributes]) =>
      !content && Object.keys(attributes).some((key) => logEvents.test(key))
        ? []
        : [{ name: String(redact("event", name)), atNanos, attributes: redacted(attributes, redact) }]
    ),
    links: span.links.map((link) => ({
      traceId: link.span.traceId,
      spanId: link.span.spanId,
      attributes: redacted(link.attributes, redact)
    })),
    status: failure === undefined ? "unset" : "error",
    statusMessage:
      failure === undefined
        ? undefined
        : content && failure.message !== ""
          ? String(redact("exception.message", failure.message))
          : failure.type
  }
}

const redacted = (attributes: SpanAttributes, redact: Redact): SpanAttributes => {
  const out: { [name: string]: unknown } = {}
  for (const name in attributes) {
    const value = redact(name, attributes[name])
    if (value !== undefined) out[name] = value
  }
  return out
}

const failureOf = (
  exit: Extract<Tracer.SpanStatus, { readonly _tag: "Ended" }>["exit"]
): { readonly type: string; readonly message: string } | undefined => {
  if (exit._tag === "Success" || Cause.hasInterruptsOnly(exit.cause)) return undefined
  const error = Cause.squash(exit.cause) as {
    readonly _tag?: unknown
    readonly name?: unknown
    readonly message?: unknown
  }
  const type = [error?._tag, error?.name].find((name): name is string => typeof name === "string") ?? "Defect"
  return { type, message: typeof error?.message === "string" ? error.message : "" }
}

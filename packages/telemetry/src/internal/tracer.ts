/** The tracer of this package: when a sampled span ends, it is redacted and handed on as data. */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Redact } from "../Redaction.ts"
import type { SpanAttributes, SpanData } from "../SpanData.ts"
import * as Reference from "./reference.ts"

/** The rules by which spans are made, and the functions that are called with them. */
export interface TracerOptions {
  readonly redact: Redact
  /** True if spans contain the messages of errors. */
  readonly content: boolean
  /** The share of traces that start here and are kept, 0 to 1. */
  readonly sampleRatio: number
  /** True if spans have the attributes of the reference. */
  readonly reference: boolean
  /** Called when a sampled span starts. */
  readonly onStart?: ((span: Tracer.Span) => void) | undefined
  /** Called with each sampled span that has ended. Must neither block nor throw. */
  readonly onEnd: (data: SpanData, span: Tracer.Span) => void
}

export const make = (options: TracerOptions): Tracer.Tracer =>
  Tracer.make({
    span: (spanOptions) => {
      const span = new ReportedSpan(spanOptions, options)
      if (span.sampled) options.onStart?.(span)
      return span
    }
  })

/** The attributes of span events that Effect makes from log lines, which contain content. */
const logAttribute = /^effect\./

class ReportedSpan extends Tracer.NativeSpan {
  private readonly options: TracerOptions
  override readonly sampled: boolean
  constructor(spanOptions: ConstructorParameters<typeof Tracer.NativeSpan>[0], options: TracerOptions) {
    super(spanOptions)
    this.options = options
    this.sampled =
      spanOptions.sampled && (Option.isSome(spanOptions.parent) || isKept(this.traceId, options.sampleRatio))
  }
  override end(...[endTime, exit]: Parameters<Tracer.Span["end"]>): void {
    if (this.status._tag === "Ended") return
    super.end(endTime, exit)
    if (this.sampled) this.options.onEnd(dataOf(this, this.options), this)
  }
}

/** Decides as `TraceIdRatioBased` does, by the last 56 bits of the trace id, so that all participants decide alike. */
const isKept = (traceId: string, ratio: number): boolean =>
  ratio >= 1 || (ratio > 0 && Number.parseInt(traceId.slice(-14), 16) / 2 ** 56 < ratio)

const dataOf = (span: ReportedSpan, { content, redact, reference }: TracerOptions): SpanData => {
  const { status } = span
  const endNanos = status._tag === "Ended" ? status.endTime : span.startTime
  const failure = status._tag === "Ended" ? failureOf(status.exit) : undefined
  const aborted = status._tag === "Ended" && failure === undefined && status.exit._tag === "Failure"
  const attributes = redactAll(Object.fromEntries(span.attributes), redact)
  return {
    traceId: span.traceId.padStart(32, "0"),
    spanId: span.spanId,
    parentSpanId: Option.getOrUndefined(span.parent)?.spanId,
    name: span.name,
    kind: span.kind,
    startNanos: span.startTime,
    endNanos,
    attributes: {
      ...attributes,
      ...(reference ? Reference.attributesOf(span.name) : {}),
      ...(aborted ? { "spindle.outcome": "aborted" } : {}),
      ...(failure === undefined || "error.type" in attributes ? {} : { "error.type": failure.type })
    },
    events: (span._events ?? []).flatMap(([name, atNanos, own]) =>
      !content && Object.keys(own).some((key) => logAttribute.test(key))
        ? []
        : [{ name: String(redact("event", name)), atNanos, attributes: redactAll(own, redact) }]
    ),
    links: span.links.map((link) => ({
      traceId: link.span.traceId,
      spanId: link.span.spanId,
      attributes: redactAll(link.attributes, redact)
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

const redactAll = (attributes: SpanAttributes, redact: Redact): SpanAttributes => {
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

/**
 * Spans of sessions, made when a tracer listens (contract O1).
 *
 * Core, and other packages that start work for a turn, make their spans here. Without a tracer no span is made, so that
 * a turn pays nothing for telemetry that is not read (`docs/decisions/0010-spans.md`). Effect's default tracer, which
 * keeps nothing, counts as none. Interruption is an outcome, not an error: a span ends with `spindle.outcome`
 * *completed*, *failed* (with `error.type`) or *aborted*. Attributes never contain the words of users, models or tools,
 * unless {@link TraceContent} is on.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import { messageOf, tagOf, textOf } from "./internal/foreign.ts"

/** True if attributes may contain the words of users, models and tools. Default: false. */
export class TraceContent extends Context.Reference<boolean>("@spindle/core/TraceContent", {
  defaultValue: () => false
}) {}

/**
 * The spans of the running turn that have not ended. The owner of the turn ends them with the turn. So every exported
 * span has a parent that is exported, even if a straggler never ends. Undefined outside of turns.
 */
export class OpenSpans extends Context.Reference<Set<Tracer.Span> | undefined>("@spindle/core/OpenSpans", {
  defaultValue: () => undefined
}) {}

/** The settings of a new span. Without a `parent` it descends from the current span, unless it is a `root`. */
export interface SpanSettings {
  readonly name: string
  readonly kind?: Tracer.SpanKind | undefined
  readonly attributes?: { readonly [key: string]: unknown } | undefined
  readonly links?: ReadonlyArray<Tracer.SpanLink> | undefined
  readonly parent?: Tracer.AnySpan | undefined
  readonly root?: boolean | undefined
}

/** The outcome of the work of a span. `message` is exported only if content is. */
export type SpanOutcome =
  | { readonly _tag: "completed" | "aborted" }
  | { readonly _tag: "failed"; readonly type: string; readonly message?: string }

/** The error of a failed span, for exporters that want one. `message` is empty unless content is exported. */
interface SpanError {
  readonly name: string
  readonly message: string
}

/** Returns whether a tracer listens in a context. */
export const isTraced = (context: Context.Context<never>): boolean =>
  Context.get(context, Tracer.Tracer) !== Tracer.nativeTracer

/** Returns the current span of a context, which this module or a caller has made. */
export const currentSpan = (context: Context.Context<never>): Tracer.AnySpan | undefined =>
  Context.getOrUndefined(context, Tracer.ParentSpan)

/**
 * Calls a tracer. If it throws, the error is logged, because spans begin and end in the steps that start and settle
 * turns.
 */
const callTracer = <A>(
  context: Context.Context<never>,
  step: "begin" | "annotate" | "link" | "end",
  run: () => A
): A | undefined => {
  try {
    return run()
  } catch (defect) {
    Effect.runSyncWith(context)(Effect.logWarning(`the tracer failed to ${step} a span: ${textOf(defect)}`))
    return undefined
  }
}

/** Opens a span in a context; undefined if no tracer listens or the tracer fails. The caller ends it with {@link end}. */
export const open = (context: Context.Context<never>, settings: SpanSettings): Tracer.Span | undefined =>
  isTraced(context)
    ? callTracer(context, "begin", () => Effect.runSyncWith(context)(Effect.makeSpan(settings.name, settings)))
    : undefined

/** Adds attributes to a span. */
export const annotate = (
  context: Context.Context<never>,
  span: Tracer.Span,
  attributes: NonNullable<SpanSettings["attributes"]>
): void =>
  callTracer(context, "annotate", () => {
    for (const [key, value] of Object.entries(attributes)) span.attribute(key, value)
  })

/** Links a span to others. */
export const link = (context: Context.Context<never>, span: Tracer.Span, links: ReadonlyArray<Tracer.SpanLink>): void =>
  callTracer(context, "link", () => span.addLinks(links))

/** Ends a span. A second call has no effect. */
export const end = (context: Context.Context<never>, span: Tracer.Span, outcome: SpanOutcome): void =>
  callTracer(context, "end", () => {
    if (span.status._tag === "Ended") return
    span.attribute("spindle.outcome", outcome._tag)
    let exit: Exit.Exit<void, SpanError> = Exit.void
    if (outcome._tag === "aborted") exit = Exit.interrupt()
    else if (outcome._tag === "failed") {
      span.attribute("error.type", outcome.type)
      const message = Context.get(context, TraceContent) ? (outcome.message ?? "") : ""
      exit = Exit.fail({ name: outcome.type, message })
    }
    span.end(Context.get(context, Clock.Clock).currentTimeNanosUnsafe(), exit)
  })

/**
 * Runs work in a new span. Without a tracer the work runs without a span and receives undefined. The span ends with the
 * work, or with its turn if that settles first. Work that succeeds although something failed sets `error.type`.
 */
export const span = <A, E, R>(
  settings: SpanSettings,
  work: (span: Tracer.Span | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const made = open(context, settings)
    if (made === undefined) return work(undefined)
    const siblings = Context.get(context, OpenSpans)
    siblings?.add(made)
    return Effect.provideService(work(made), Tracer.ParentSpan, made).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          siblings?.delete(made)
          end(context, made, outcomeOf(made, exit))
        })
      )
    )
  })

/** Ends the spans that are still open in a turn, the latest first. */
export const endAll = (context: Context.Context<never>, spans: Set<Tracer.Span>): void => {
  for (const span of [...spans].toReversed()) end(context, span, { _tag: "aborted" })
  spans.clear()
}

const outcomeOf = (span: Tracer.Span, exit: Exit.Exit<unknown, unknown>): SpanOutcome => {
  const type = span.attributes.get("error.type")
  if (exit._tag === "Success") {
    return typeof type === "string" ? { _tag: "failed", type } : { _tag: "completed" }
  }
  if (Cause.hasInterruptsOnly(exit.cause)) return { _tag: "aborted" }
  return typeof type === "string" ? { ...failureOf(exit.cause), type } : failureOf(exit.cause)
}

/** Returns a cause as the outcome of a span. */
export const failureOf = (cause: Cause.Cause<unknown>): SpanOutcome & { readonly _tag: "failed" } => {
  const error = Cause.squash(cause)
  const message = messageOf(error)
  return { _tag: "failed", type: tagOf(error), ...(message === undefined ? {} : { message }) }
}

/**
 * Returns a value as an attribute, cut at `contentLimit` characters: a string as it is, anything else as JSON. Returns
 * undefined if content is not exported.
 */
export const content = (context: Context.Context<never>, value: () => unknown): string | undefined => {
  if (!Context.get(context, TraceContent)) return undefined
  const found = value()
  return (typeof found === "string" ? found : (JSON.stringify(found) ?? "")).slice(0, contentLimit)
}

/** The greatest length of an attribute with content, in characters. */
export const contentLimit = 16_384

/**
 * The span of a turn. It is below the span that caused the turn. The owner ends it with all spans that are open in it
 * (contract O1).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { Model } from "../../ports/Model.ts"
import * as Tracing from "../../Tracing.ts"
import type { TurnId } from "../../protocol/Ids.ts"
import type { TokenUsage } from "../../protocol/TokenUsage.ts"
import type { Ended } from "../../TaskSupervisor.ts"
import type { SessionContext } from "../session/sessionContext.ts"
import type { TraceParent } from "../session/submissionSpan.ts"
import type { Ledger } from "./ledger.ts"

/** The options of the span of a turn. */
export interface TurnSpanOptions {
  readonly task: { readonly kind: string; readonly spanName: string }
  readonly context: Context.Context<never>
  readonly parent: TraceParent | undefined
  readonly turnId: TurnId
  /** The span of the last turn before a resume, for the first turn after it. */
  readonly resumedSpan: Tracer.AnySpan | undefined
}

/**
 * Starts the span of a turn; undefined if no tracer listens. The span belongs to the owner of the turn, which ends it
 * when the turn settles, even if the task has not ended.
 */
export const start = (
  { sessionId }: SessionContext,
  { context, parent, resumedSpan, task, turnId }: TurnSpanOptions
): Tracer.Span | undefined => {
  if (!Tracing.isTraced(context)) return undefined
  const model = Context.getOption(context as Context.Context<Model>, Model)
  return Tracing.open(context, {
    name: task.spanName,
    parent: parent?.span,
    root: parent === undefined,
    attributes: {
      "thread.id": sessionId,
      "turn.id": turnId,
      ...(Option.isSome(model) ? { model: model.value.model, "gen_ai.request.model": model.value.model } : {}),
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.conversation.id": sessionId,
      "spindle.task.kind": task.kind
    },
    links: resumedSpan === undefined ? [] : [{ span: resumedSpan, attributes: { "spindle.link": "resumed" } }]
  })
}

/**
 * Runs an effect that a turn causes outside the fiber of its task: a clean-up, the end of a resource, or a hook after
 * an abort. Its spans descend from the turn, as those of the task do.
 */
export const below = <A, E, R>(
  { origin: { parentSpan }, spans }: Ledger,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  parentSpan === undefined
    ? effect
    : Effect.provideContext(
        effect,
        Context.make(Tracer.ParentSpan, parentSpan).pipe(Context.add(Tracing.OpenSpans, spans))
      )

/** Ends the span of a turn with the outcome of the turn, and all spans that are open below it. */
export const end = <A, E>(
  { context }: SessionContext,
  { origin, spans }: Ledger,
  ended: Ended<A, E>,
  usage: TokenUsage | undefined
): void => {
  const { span } = origin
  if (span === undefined || spans === undefined) return
  Tracing.endAll(context, spans)
  const outcome: Tracing.SpanOutcome =
    ended._tag === "Completed"
      ? { _tag: "completed" }
      : ended._tag === "Aborted"
        ? { _tag: "aborted" }
        : Tracing.failureOf(ended.cause)
  Tracing.annotate(context, span, {
    "gen_ai.usage.input_tokens": usage?.input ?? 0,
    "gen_ai.usage.output_tokens": usage?.output ?? 0,
    ...(ended._tag === "Aborted"
      ? { "spindle.abort.reason": ended.reason, "spindle.stragglers": ended.stragglers.length }
      : {})
  })
  Tracing.end(context, span, outcome)
}

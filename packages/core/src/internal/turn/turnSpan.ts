/** The span of a turn: below its caller, ended by its owner with everything that is open in it (contract O1). */
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import { Model } from "../../ports/Model.ts"
import * as Tracing from "../../Tracing.ts"
import type { TurnId } from "../../protocol/Ids.ts"
import type { TokenUsage } from "../../protocol/TokenUsage.ts"
import type { Ended } from "../../TaskSupervisor.ts"
import type { Caller } from "../session/submissionSpan.ts"
import type { Kernel } from "../session/sessionContext.ts"
import type { Ledger } from "./ledger.ts"

/**
 * The turn's span, below whoever caused it; a task may outlive it. It belongs to the owner of the turn, which ends it
 * when the turn settles.
 */
export const open = (
  kernel: Kernel,
  {
    caller,
    context,
    task,
    turnId
  }: {
    readonly task: { readonly kind: string; readonly spanName: string }
    readonly context: Context.Context<never>
    readonly caller: Caller | undefined
    readonly turnId: TurnId
  }
): Tracer.Span | undefined => {
  if (!Tracing.isTraced(context)) return undefined
  const model = Context.getOption(context as Context.Context<Model>, Model)
  const before = kernel.resumedSpan
  kernel.resumedSpan = undefined
  return Tracing.open(context, {
    name: task.spanName,
    parent: caller?.span,
    root: caller === undefined,
    attributes: {
      "thread.id": kernel.sessionId,
      "turn.id": turnId,
      ...(Option.isSome(model) ? { model: model.value.model, "gen_ai.request.model": model.value.model } : {}),
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.conversation.id": kernel.sessionId,
      "spindle.task.kind": task.kind
    },
    links: before === undefined ? [] : [{ span: before, attributes: { "spindle.link": "resumed" } }]
  })
}

/** Ends the turn's span with how the turn ended, and what is open below it. */
export const end = <A, E>(kernel: Kernel, ledger: Ledger, ended: Ended<A, E>, usage: TokenUsage | undefined): void => {
  const { origin, spans } = ledger
  const { span } = origin
  if (span === undefined || spans === undefined) return
  Tracing.endAll(kernel.context, spans)
  span.attribute("gen_ai.usage.input_tokens", usage?.input ?? 0)
  span.attribute("gen_ai.usage.output_tokens", usage?.output ?? 0)
  if (ended._tag === "Aborted") {
    span.attribute("spindle.abort.reason", ended.reason)
    span.attribute("spindle.stragglers", ended.stragglers.length)
  }
  const outcome: Tracing.SpanOutcome =
    ended._tag === "Completed"
      ? { _tag: "completed" }
      : ended._tag === "Aborted"
        ? { _tag: "aborted" }
        : Tracing.failureOf(ended.cause)
  Tracing.end(kernel.context, span, outcome)
}

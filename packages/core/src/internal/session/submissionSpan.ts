/** Who causes what a session does: the trace that came with it, and the span of the submission (contract O1). */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import * as Tracing from "../../Tracing.ts"
import type { SubmissionId } from "../../protocol/Ids.ts"
import type { Op, Receipt } from "../../protocol/Op.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import { fromSpan, toSpan, type TraceContext } from "../../protocol/TraceContext.ts"
import type { Kernel } from "./sessionContext.ts"

/** Who caused something: the trace that they gave, and the span below which it goes on. */
export interface Caller {
  readonly trace: TraceContext
  readonly span: Tracer.AnySpan
}

/** The caller that a context knows: its current span. */
export const ambient = (context: Context.Context<never>): Caller | undefined => {
  const span = Tracing.currentSpan(context)
  return span === undefined ? undefined : { trace: fromSpan(span), span }
}

/** The caller that a submission names; a trace that is malformed is ignored with a log line, and its context counts. */
export const named = (
  kernel: Kernel,
  context: Context.Context<never>,
  trace: TraceContext | undefined
): Effect.Effect<Caller | undefined> => {
  if (trace === undefined) return Effect.succeed(ambient(context))
  const span = toSpan(trace)
  if (Option.isSome(span)) return Effect.succeed({ trace, span: span.value })
  return Effect.as(
    Effect.logWarning(`session ${kernel.sessionId}: a malformed traceparent was ignored`),
    ambient(context)
  )
}

const names: { readonly [tag in Op["_tag"]]: string } = {
  UserInput: "user_input",
  Notice: "notice",
  Interrupt: "interrupt",
  Answer: "answer",
  Rollback: "rollback"
}

/** The span of a submission, with the caller for what it starts. */
export interface Dispatch {
  readonly span: Tracer.Span | undefined
  readonly caller: Caller | undefined
}

/** Opens the span of a submission below its caller. */
export const open = (kernel: Kernel, op: Op, caller: Caller | undefined): Dispatch => {
  const span = Tracing.open(kernel.context, {
    name: `op.dispatch.${names[op._tag]}`,
    parent: caller?.span,
    root: caller === undefined,
    attributes: {
      "thread.id": kernel.sessionId,
      "gen_ai.conversation.id": kernel.sessionId
    }
  })
  return { span, caller: span === undefined ? caller : { trace: caller?.trace ?? fromSpan(span), span } }
}

/** Links a running turn to the caller of input that steers it. */
export const link = (turn: Tracer.Span | undefined, caller: Caller): void => {
  if (turn === undefined || turn.links.length >= linkLimit) return
  turn.addLinks([{ span: caller.span, attributes: { "spindle.link": "steered" } }])
}

/** The most links of one span, as the specification of OpenTelemetry has it. */
const linkLimit = 128

/** Ends the span of a submission with its receipt. */
export const end = (
  kernel: Kernel,
  { span }: Dispatch,
  submissionId: SubmissionId,
  exit: Exit.Exit<Receipt, JournalFailed>
): void => {
  if (span === undefined) return
  span.attribute("submission.id", submissionId)
  if (exit._tag === "Failure") return Tracing.end(kernel.context, span, Tracing.failureOf(exit.cause))
  const receipt = exit.value
  span.attribute("spindle.receipt", receipt._tag)
  const outcome: Tracing.SpanOutcome =
    receipt._tag === "Rejected" ? { _tag: "failed", type: receipt.reason._tag } : { _tag: "completed" }
  Tracing.end(kernel.context, span, outcome)
}

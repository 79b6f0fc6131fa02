/** The span of a submission, and the trace that it continues (contract O1). */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { SubmissionId } from "../../protocol/Ids.ts"
import type { Op, Receipt } from "../../protocol/Op.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import { fromSpan, toSpan, type TraceContext } from "../../protocol/TraceContext.ts"
import * as Tracing from "../../Tracing.ts"
import type { SessionContext } from "./sessionContext.ts"

/** The parent of a span: the trace of the caller, and the span in it. */
export interface TraceParent {
  readonly trace: TraceContext
  readonly span: Tracer.AnySpan
}

/** Returns the current span of a context as a parent. */
export const currentParent = (context: Context.Context<never>): TraceParent | undefined => {
  const span = Tracing.currentSpan(context)
  return span === undefined ? undefined : { trace: fromSpan(span), span }
}

/**
 * Returns the parent of a submission: the trace that it carries, or else the current span of its caller. A malformed
 * trace is logged and ignored.
 */
export const parentOf = (
  { sessionId }: SessionContext,
  context: Context.Context<never>,
  trace: TraceContext | undefined
): Effect.Effect<TraceParent | undefined> => {
  if (trace === undefined) return Effect.succeed(currentParent(context))
  const span = toSpan(trace)
  if (Option.isSome(span)) return Effect.succeed({ trace, span: span.value })
  return Effect.as(
    Effect.logWarning(`session ${sessionId}: a malformed traceparent was ignored`),
    currentParent(context)
  )
}

const names: { readonly [tag in Op["_tag"]]: string } = {
  UserInput: "user_input",
  Notice: "notice",
  StartTask: "start_task",
  Withdraw: "withdraw",
  Interrupt: "interrupt",
  Answer: "answer",
  Rollback: "rollback",
  Rename: "rename",
  EndProcess: "end_process"
}

/** Starts the span of a submission; undefined if no tracer listens. */
export const start = (
  { context, sessionId }: SessionContext,
  op: Op,
  parent: TraceParent | undefined
): Tracer.Span | undefined =>
  Tracing.open(context, {
    name: `op.dispatch.${names[op._tag]}`,
    parent: parent?.span,
    root: parent === undefined,
    attributes: {
      "thread.id": sessionId,
      "gen_ai.conversation.id": sessionId
    }
  })

/** Returns the parent for the spans below a submission: its span, in the trace that it continues. */
export const childParent = (span: Tracer.Span | undefined, parent: TraceParent | undefined): TraceParent | undefined =>
  span === undefined ? parent : { trace: parent?.trace ?? fromSpan(span), span }

/** Links a running turn to the submission of input that steers it. */
export const link = ({ context }: SessionContext, turn: Tracer.Span | undefined, { span }: TraceParent): void => {
  if (turn === undefined || turn.links.length >= linkLimit) return
  Tracing.link(context, turn, [{ span, attributes: { "spindle.link": "steered" } }])
}

/** The limit of OpenTelemetry on the number of links of one span. */
const linkLimit = 128

/** Ends the span of a submission with its receipt. */
export const end = (
  { context }: SessionContext,
  span: Tracer.Span | undefined,
  submissionId: SubmissionId,
  exit: Exit.Exit<Receipt, JournalFailed>
): void => {
  if (span === undefined) return
  Tracing.annotate(context, span, {
    "submission.id": submissionId,
    ...(exit._tag === "Success" ? { "spindle.receipt": exit.value._tag } : {})
  })
  if (exit._tag === "Failure") return Tracing.end(context, span, Tracing.failureOf(exit.cause))
  const receipt = exit.value
  const outcome: Tracing.SpanOutcome =
    receipt._tag === "Rejected" ? { _tag: "failed", type: receipt.reason._tag } : { _tag: "completed" }
  Tracing.end(context, span, outcome)
}

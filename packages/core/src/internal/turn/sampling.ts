/** Sends one model request of a turn, and takes its response into the ledger (contract I7, J8). */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import { Model, type ModelPart } from "../../ports/Model.ts"
import * as Tracing from "../../Tracing.ts"
import type { ModelRequestId } from "../../protocol/Ids.ts"
import type { Item, SealedSummary, ToolCall } from "../../protocol/Item.ts"
import { ModelFailed, type ModelFailureKind } from "../../protocol/SessionError.ts"
import * as TokenUsage from "../../protocol/TokenUsage.ts"
import * as History from "../../state/History.ts"
import type { SampleRequest, Sampled } from "../../Turn.ts"
import type { Recorder } from "../log/recorder.ts"
import { onExitSync } from "../onExitSync.ts"
import type { SessionContext } from "../session/sessionContext.ts"
import { takeCall } from "./bounds.ts"
import type { Ledger } from "./ledger.ts"
import type { TurnParts } from "./turnParts.ts"

type Finish = Extract<ModelPart, { readonly _tag: "Finish" }>

/** See `Turn.sample`. */
export const sample = (
  parts: TurnParts,
  ledger: Ledger,
  request: SampleRequest,
  attempt: number,
  onCall: (call: ToolCall) => Effect.Effect<unknown>,
  flush: Effect.Effect<void>
): Effect.Effect<Sampled, ModelFailed, Model> =>
  Effect.suspend(() => {
    const requestId = parts.session.newId() as ModelRequestId
    const sent = send(parts, ledger, { request, attempt, onCall, flush, requestId })
    return onExitSync(sent, (exit) => {
      // a task may abandon a request and continue, so its texts must not stay in the ledger
      if (exit._tag === "Success" || ledger.slot.isFenced()) return
      // mutant abandoned-request-ends (I7: the ledger ends a request that its task gives up): drop
      ledger.endResponse(requestId, {
        finish: Cause.hasInterrupts(exit.cause) ? "aborted" : "failed",
        partial: "aborted"
      })
    })
  })

interface Sending {
  readonly request: SampleRequest
  readonly attempt: number
  readonly onCall: (call: ToolCall) => Effect.Effect<unknown>
  readonly flush: Effect.Effect<void>
  readonly requestId: ModelRequestId
}

const send = (parts: TurnParts, ledger: Ledger, sending: Sending): Effect.Effect<Sampled, ModelFailed, Model> =>
  Effect.flatMap(Model, (model) =>
    Tracing.span(spanOf(parts.session, ledger, model, sending), (span) =>
      exchange(parts, ledger, { ...sending, model, span })
    )
  )

const spanOf = (
  { sessionId }: SessionContext,
  ledger: Ledger,
  { model, provider }: Model,
  { attempt, requestId }: Sending
): Tracing.SpanSettings => ({
  name: `chat ${model}`,
  kind: "client",
  attributes: {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": provider,
    "gen_ai.request.model": model,
    "gen_ai.conversation.id": sessionId,
    "turn.id": ledger.origin.turnId,
    "spindle.request.id": requestId,
    "spindle.request.attempt": attempt
  }
})

interface Exchange extends Sending {
  readonly model: Model
  readonly span: Tracer.Span | undefined
}

const exchange = Effect.fnUntraced(function* (
  { recorder, session }: TurnParts,
  ledger: Ledger,
  { attempt, flush, model, onCall, request, requestId, span }: Exchange
) {
  const { origin, response } = ledger
  const { turnId } = origin
  const { model: name, provider } = model
  // atomically with the record: a straggler may have been delayed since its call was accepted (I3)
  // mutant abort-checked-with-request (I2: the turn is checked for an abort atomically with the record of a
  //   request):
  //   drop
  if (ledger.isClosing()) return yield* Effect.interrupt
  const isAside = request.items !== undefined
  response.startRequest(requestId, { attempt, provider, model: name, ...(isAside && { aside: true as const }) })
  // mutant record-before-sending (J8: a request is durable before it is sent): drop
  yield* flush
  // the turn may have begun to close, or been settled, while the record was written (I2, I3)
  // mutant abort-checked-before-sending (I2: the turn is checked for an abort again once the record of a request is
  //   durable):
  //   drop
  if (ledger.isClosing()) return yield* Effect.interrupt
  const items = History.repair(request.items ?? History.toArray(recorder.state.history))
  const sink = isAside ? aside(recorder, ledger) : toLedger(recorder, ledger, request.display)
  response.send(items)
  if (span !== undefined) addContent(session, span, "gen_ai.input.messages", items)
  let finish: Finish | undefined
  let isAnswered = false
  const take = (parts: ReadonlyArray<ModelPart>): Effect.Effect<unknown> => {
    let calls: Array<ToolCall> | undefined
    isAnswered ||= parts.length > 0
    for (const part of parts) {
      // mutant fence-during-a-response (I3: a straggler drops what it still receives of an answer):
      //   replace: if (finish !== undefined) break
      if (finish !== undefined || ledger.slot.isFenced()) break
      if (part._tag === "Finish") {
        finish = part
        if (part.usage !== undefined) response.report(part.usage)
      } else {
        const call = sink.take(part)
        if (call === undefined) continue
        takeCall(session, ledger)
        ;(calls ??= []).push(call)
      }
    }
    if (calls === undefined) return Effect.void
    return calls.length === 1 ? onCall(calls[0]!) : Effect.forEach(calls, onCall, { discard: true })
  }
  const { instructions, output, tools } = request
  const stream = model.stream({ sessionId: session.sessionId, turnId, items, instructions, tools, output })
  const failed = yield* Effect.matchEager(ledger.slot.unlessStopping(Stream.runForEachArray(stream, take)), {
    onFailure: (error) => error,
    onSuccess: () =>
      finish === undefined
        ? new ModelFailed({
            kind: "Disconnected",
            provider,
            model: name,
            detail: "the answer ended before it was complete"
          })
        : undefined
  })
  // mutant fence-after-a-response (I3: a straggler is interrupted once its answer has ended, and gets none of it): drop
  if (ledger.slot.isFenced()) return yield* Effect.interrupt
  if (failed !== undefined) {
    if (span !== undefined) Tracing.annotate(session.context, span, { "error.type": failed.kind })
    // a refused request has cost nothing
    const usage = isAnswered || broken.has(failed.kind) ? undefined : TokenUsage.zero
    ledger.endResponse(requestId, { finish: "failed", usage, partial: "superseded" })
    return yield* failed
  }
  const { reason } = finish!
  const counted = ledger.endResponse(requestId, { finish: reason })
  if (span !== undefined) {
    Tracing.annotate(session.context, span, {
      "gen_ai.response.finish_reasons": [reason],
      "gen_ai.usage.input_tokens": counted.input,
      "gen_ai.usage.cache_read.input_tokens": counted.cachedInput,
      "gen_ai.usage.output_tokens": counted.output
    })
    addContent(session, span, "gen_ai.output.messages", sink.text() ?? "")
  }
  return { requestId, finish: reason, text: sink.text(), sealed: sink.sealed?.() }
})

/** The failures of requests on which a provider had started to work. */
const broken: ReadonlySet<ModelFailureKind> = new Set(["Disconnected", "IdleTimeout", "InvalidResponse", "Incomplete"])

/** Adds content to a span, if spans may contain content. */
const addContent = ({ context }: SessionContext, span: Tracer.Span, key: string, value: unknown): void => {
  const content = Tracing.content(context, () => value)
  if (content !== undefined) Tracing.annotate(context, span, { [key]: content })
}

/** The destination of the parts of a response. */
interface Sink {
  /** Takes one part, and returns the call that it completes. */
  readonly take: (part: Exclude<ModelPart, Finish>) => ToolCall | undefined
  /** Returns the last message of the response, if nothing followed it. */
  readonly text: () => string | undefined
  /** Returns the sealed summary of the response, if there is one. */
  readonly sealed?: () => SealedSummary | undefined
}

/** Records the response. */
const toLedger = (recorder: Recorder, ledger: Ledger, displayOf: SampleRequest["display"]): Sink => ({
  take: (part) => {
    const { response } = ledger
    switch (part._tag) {
      case "TextStart":
      case "ReasoningStart":
      case "SealedSummary":
        return undefined
      case "TextDelta":
        return void response.addText(part.id, "AssistantMessage", part.delta)
      case "ReasoningDelta":
        return void response.addText(part.id, "Reasoning", part.delta)
      case "TextEnd":
        return void response.endText(part.id, "AssistantMessage", providerOf(part))
      case "ReasoningEnd":
        return void response.endText(part.id, "Reasoning", {
          ...providerOf(part),
          ...(part.encrypted === undefined ? {} : { encrypted: part.encrypted }),
          ...(part.sealedBy === undefined ? {} : { sealedBy: part.sealedBy })
        })
      case "Warning":
        return void recorder.append({ _tag: "Warning", message: part.message })
      case "ToolCall": {
        const { _tag, executed, ...call } = part
        const callId = ledger.freeCallId(call.callId)
        if (executed !== undefined) {
          ledger.record({ _tag, ...call, callId, display: executed.display, byProvider: true })
          return void ledger.finish(callId, "completed", executed.output)
        }
        const display = displayOf?.(call)
        const shown = display === undefined ? {} : { display }
        return ledger.record({ _tag, ...call, ...shown, callId }) as Item & ToolCall
      }
    }
  },
  text: () => ledger.response.lastText
})

/** Keeps the last message of the response and its sealed summary. Of the other parts it records warnings only. */
const aside = (recorder: Recorder, { response }: Ledger): Sink => {
  let last: { readonly id: string; text: string } | undefined
  let sealed: SealedSummary | undefined
  return {
    take: (part) => {
      if (part._tag === "SealedSummary") {
        response.count(part.summary.encrypted)
        sealed = part.summary
      }
      if (part._tag === "Warning") recorder.append({ _tag: "Warning", message: part.message })
      if (part._tag !== "TextDelta" && part._tag !== "ReasoningDelta") return undefined
      response.count(part.delta)
      if (part._tag === "ReasoningDelta") return undefined
      if (last?.id !== part.id) last = { id: part.id, text: "" }
      last.text += part.delta
      return undefined
    },
    text: () => last?.text,
    sealed: () => sealed
  }
}

const providerOf = (part: { readonly providerId?: string }) =>
  part.providerId === undefined ? {} : { providerId: part.providerId }

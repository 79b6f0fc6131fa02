/** One sampling request of a turn: the model's stream into the ledger (contract I7, J8). */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Model, type ModelPart, type ModelRequest } from "../ports/Model.ts"
import type { RequestId } from "../protocol/Ids.ts"
import type { Item, ToolCall } from "../protocol/Item.ts"
import { ModelFailed } from "../protocol/SessionError.ts"
import * as History from "../rules/History.ts"
import type { Sampled } from "../Turn.ts"
import type { Kernel } from "./kernel.ts"
import type { Ledger } from "./ledger.ts"

type Finish = Extract<ModelPart, { readonly _tag: "Finish" }>

/** See `Turn.sample`. */
export const sample = (
  kernel: Kernel,
  ledger: Ledger,
  request: Pick<ModelRequest, "instructions" | "tools" | "output">,
  attempt: number,
  onCall: (call: ToolCall) => Effect.Effect<void>,
  flush: Effect.Effect<void>
): Effect.Effect<Sampled, ModelFailed, Model> =>
  Effect.suspend(() => {
    const requestId = kernel.newId() as RequestId
    return Effect.onExit(send(kernel, ledger, { request, attempt, onCall, flush, requestId }), (exit) =>
      // a task may stop a request and go on: the next one finds the ledger without its texts
      Effect.sync(() => {
        if (exit._tag === "Success" || ledger.slot.isFenced() || !ledger.isOpen(requestId)) return
        ledger.endRequest(Cause.hasInterrupts(exit.cause) ? "aborted" : "failed", undefined, "aborted")
      })
    )
  })

interface Sending {
  readonly request: Pick<ModelRequest, "instructions" | "tools" | "output">
  readonly attempt: number
  readonly onCall: (call: ToolCall) => Effect.Effect<void>
  readonly flush: Effect.Effect<void>
  readonly requestId: RequestId
}

const send = (
  kernel: Kernel,
  ledger: Ledger,
  { attempt, flush, onCall, request, requestId }: Sending
): Effect.Effect<Sampled, ModelFailed, Model> =>
  Effect.gen(function* () {
    const model = yield* Model
    const { turnId } = ledger.origin
    const { model: name, provider } = model
    // in the step that records: a straggler may have been held up since it was let in (I3)
    if (ledger.isClosing()) return yield* Effect.interrupt
    ledger.openAttempt(requestId, { attempt, provider, model: name })
    yield* flush
    // the turn may have begun to close, or been settled, while the record was written (I2, I3)
    if (ledger.isClosing()) return yield* Effect.interrupt
    const items = History.repair(History.toArray(kernel.recorder.state.history))
    ledger.send(items)
    let finish: Finish | undefined
    const take = (parts: ReadonlyArray<ModelPart>): Effect.Effect<void> => {
      let calls: Array<ToolCall> | undefined
      for (const part of parts) {
        if (finish !== undefined || ledger.slot.isFenced()) break
        if (part._tag === "Finish") {
          finish = part
          ledger.reported = part.usage
        } else {
          const call = takePart(ledger, part)
          if (call !== undefined) (calls ??= []).push(call)
        }
      }
      if (calls === undefined) return Effect.void
      return calls.length === 1 ? onCall(calls[0]!) : Effect.forEach(calls, onCall, { discard: true })
    }
    const stream = model.stream({ sessionId: kernel.sessionId, turnId, items, ...request })
    const failed = yield* Effect.matchEager(Stream.runForEachArray(stream, take), {
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
    if (ledger.slot.isFenced()) return yield* Effect.interrupt
    if (failed !== undefined) {
      ledger.endRequest("failed", undefined, "superseded")
      return yield* failed
    }
    const { reason, usage } = finish!
    ledger.endRequest(reason, usage, undefined)
    return { requestId, finish: reason, text: ledger.lastText }
  })

/** Moves one part into the ledger; answers the call that it completes. */
const takePart = (ledger: Ledger, part: Exclude<ModelPart, Finish>): ToolCall | undefined => {
  switch (part._tag) {
    case "TextStart":
    case "ReasoningStart":
      return undefined
    case "TextDelta":
      return void ledger.addText(part.id, "AssistantMessage", part.delta)
    case "ReasoningDelta":
      return void ledger.addText(part.id, "Reasoning", part.delta)
    case "TextEnd":
      return void ledger.endText(part.id, "AssistantMessage", providerOf(part))
    case "ReasoningEnd":
      return void ledger.endText(part.id, "Reasoning", {
        ...providerOf(part),
        ...(part.encrypted === undefined ? {} : { encrypted: part.encrypted })
      })
    case "ToolCall": {
      const { _tag, ...call } = part
      return ledger.record({ _tag, ...call, callId: ledger.freeCallId(call.callId) }) as Item & ToolCall
    }
  }
}

const providerOf = (part: { readonly providerId?: string }) =>
  part.providerId === undefined ? {} : { providerId: part.providerId }

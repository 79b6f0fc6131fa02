/**
 * A model that responds by a script: in order, with gates that pause it, faults, and steps that never end.
 *
 * Tests of sessions use it in place of a provider. It is deterministic, uses only the clock of the test, and keeps
 * every request.
 */
import { Model, type ModelPart, type ModelRequest } from "@spindle/core/Model"
import type { CallId } from "@spindle/core/Ids"
import { ModelFailed, type ModelFailureKind } from "@spindle/core/SessionError"
import type { TokenUsage } from "@spindle/core/TokenUsage"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

/** One step of a response. */
export type Step =
  | { readonly _tag: "Part"; readonly part: ModelPart }
  /** Pauses the response until `open` is called with this name. */
  | { readonly _tag: "Gate"; readonly name: string }
  /** Never ends. */
  | { readonly _tag: "Hang" }
  /** The response fails. */
  | { readonly _tag: "Fail"; readonly kind: ModelFailureKind; readonly retryAfter?: Duration.Input | undefined }
  /** The stream ends without a finish. */
  | { readonly _tag: "Drop" }
  /** The model dies with a defect. */
  | { readonly _tag: "Die"; readonly defect: unknown }

/**
 * A response: its steps, in order. A finish is added at the end, unless there is one or another step ends the response.
 */
export type Answer = ReadonlyArray<Step | ReadonlyArray<Step>>

/** The responses by request: the n-th for the n-th, or a function of the request and its number from 0. */
export type Script = ReadonlyArray<Answer> | ((request: ModelRequest, index: number) => Answer)

const part = (value: ModelPart): Step => ({ _tag: "Part", part: value })

/** A message with one delta for each piece. */
export const text = (...pieces: ReadonlyArray<string>): ReadonlyArray<Step> => [
  part({ _tag: "TextStart", id: "text" }),
  ...pieces.map((delta) => part({ _tag: "TextDelta", id: "text", delta })),
  part({ _tag: "TextEnd", id: "text" })
]

/** The deltas of a message that does not end. */
export const pieces = (...deltas: ReadonlyArray<string>): ReadonlyArray<Step> =>
  deltas.map((delta) => part({ _tag: "TextDelta", id: "text", delta }))

/** Reasoning with content that only the provider can read. */
export const reasoning = (delta: string, encrypted = "sealed"): ReadonlyArray<Step> => [
  part({ _tag: "ReasoningDelta", id: "reasoning", delta }),
  part({ _tag: "ReasoningEnd", id: "reasoning", encrypted })
]

/** A tool call. */
export const call = (name: string, params: unknown, callId: string): Step =>
  part({ _tag: "ToolCall", callId: callId as CallId, name, params })

/** A tool call whose arguments are not JSON. */
export const invalidCall = (name: string, invalid: string, callId: string): Step =>
  part({ _tag: "ToolCall", callId: callId as CallId, name, params: undefined, invalid })

/** A summary that only the provider can read. */
export const sealedSummary = (encrypted: string, sealedBy = "scripted"): Step =>
  part({ _tag: "SealedSummary", summary: { encrypted, sealedBy } })

/** The end of the response with its usage; undefined for a provider that reports none. */
export const finish = (
  usage?: Partial<TokenUsage>,
  reason: Extract<ModelPart, { readonly _tag: "Finish" }>["reason"] = "stop"
): Step =>
  part({
    _tag: "Finish",
    reason,
    usage: usage === undefined ? undefined : { input: 0, cachedInput: 0, output: 0, reasoning: 0, total: 0, ...usage }
  })

/** Pauses the response until the gate of this name is opened. */
export const gate = (name: string): Step => ({ _tag: "Gate", name })
/** Never ends. */
export const hang: Step = { _tag: "Hang" }
/** The response fails. */
export const fail = (kind: ModelFailureKind, retryAfter?: Duration.Input): Step => ({
  _tag: "Fail",
  kind,
  retryAfter
})
/** The stream ends without a finish. */
export const drop: Step = { _tag: "Drop" }
/** The model dies with a defect. */
export const die = (defect: unknown): Step => ({ _tag: "Die", defect })

/** A scripted model and its requests. */
export interface ScriptedModel {
  readonly model: Model
  readonly layer: Layer.Layer<Model>
  /** All requests until now, in order. */
  readonly requests: ReadonlyArray<ModelRequest>
  /** All requests to `Model.compact` until now, in order. */
  readonly compactions: ReadonlyArray<ModelRequest>
  /** Returns the number of responses that are being streamed; 0 after an interruption. */
  readonly openCount: () => number
  /** Opens a gate. It stays open. */
  readonly open: (name: string) => Effect.Effect<void>
  /** Waits until a response reaches this gate. */
  readonly awaitGate: (name: string) => Effect.Effect<void>
}

/**
 * Makes a model that responds by a script. A request beyond the script fails as `InvalidRequest`. With `compact` the
 * model has `Model.compact`, which responds by that script.
 *
 * @example
 * ```ts
 * import { ScriptedModel } from "@spindle/testing"
 *
 * // the first response calls a tool, the second one is the last message of the turn
 * export const model = ScriptedModel.make([
 *   [ScriptedModel.call("find", { id: "o-1" }, "call-1")],
 *   [ScriptedModel.text("It cost 20 euros.")]
 * ])
 * ```
 */
export const make = (script: Script, options: { readonly compact?: Script | undefined } = {}): ScriptedModel => {
  const requests: Array<ModelRequest> = []
  const compactions: Array<ModelRequest> = []
  const gates = new Map<
    string,
    { readonly reached: Deferred.Deferred<void>; readonly opened: Deferred.Deferred<void> }
  >()
  let openCount = 0
  const gateOf = (name: string) => {
    let found = gates.get(name)
    if (found === undefined) {
      found = { reached: Deferred.makeUnsafe<void>(), opened: Deferred.makeUnsafe<void>() }
      gates.set(name, found)
    }
    return found
  }
  const failure = (kind: ModelFailureKind, retryAfter?: Duration.Input) =>
    new ModelFailed({
      kind,
      provider: "scripted",
      model: "scripted",
      detail: `scripted ${kind}`,
      ...(retryAfter === undefined ? {} : { retryAfterMillis: Duration.toMillis(retryAfter) })
    })
  const play = (step: Step): Stream.Stream<ModelPart, ModelFailed> => {
    switch (step._tag) {
      case "Part":
        return Stream.succeed(step.part)
      case "Gate": {
        const { opened, reached } = gateOf(step.name)
        return Stream.fromEffectDrain(Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(opened)))
      }
      case "Hang":
        return Stream.never
      case "Fail":
        return Stream.fail(failure(step.kind, step.retryAfter))
      case "Die":
        return Stream.die(step.defect)
      case "Drop":
        return Stream.empty
    }
  }
  const respond =
    (answers: Script, log: Array<ModelRequest>): Model["stream"] =>
    (request) =>
      Stream.unwrap(
        // counted in a scope, so that an interruption before the first step undoes the count
        Effect.map(
          Effect.acquireRelease(
            Effect.sync(() => {
              openCount++
              return log.push(request) - 1
            }),
            () => Effect.sync(() => void openCount--)
          ),
          (index) => {
            const answer = typeof answers === "function" ? answers(request, index) : answers[index]
            return answer === undefined
              ? Stream.fail(failure("InvalidRequest"))
              : Stream.flatMap(Stream.fromIterable(stepsOf(answer)), play)
          }
        )
      )
  const model: Model = {
    provider: "scripted",
    model: "scripted",
    contextWindow: undefined,
    stream: respond(script, requests),
    ...(options.compact === undefined ? {} : { compact: respond(options.compact, compactions) })
  }
  return {
    model,
    layer: Layer.succeed(Model, model),
    requests,
    compactions,
    openCount: () => openCount,
    open: (name) => Effect.asVoid(Deferred.succeed(gateOf(name).opened, undefined)),
    awaitGate: (name) => Deferred.await(gateOf(name).reached)
  }
}

/** The steps of a response, with a finish at its end unless another step ends it. */
const stepsOf = (answer: Answer): ReadonlyArray<Step> => {
  const steps = answer.flat() as ReadonlyArray<Step>
  const last = steps.at(-1)
  const ends = last !== undefined && last._tag !== "Gate" && (last._tag !== "Part" || last.part._tag === "Finish")
  return ends ? steps : [...steps, finish({ input: 10, output: 2, total: 12 }, reasonOf(steps))]
}

const reasonOf = (steps: ReadonlyArray<Step>) =>
  steps.some((step) => step._tag === "Part" && step.part._tag === "ToolCall") ? "tool-calls" : "stop"

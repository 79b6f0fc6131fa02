/** Converts parts and failures of a model to those of `effect/ai`. */
import type { ModelPart } from "@spindle/core/Model"
import type { ModelFailed } from "@spindle/core/SessionError"
import type { TokenUsage } from "@spindle/core/TokenUsage"
import * as Duration from "effect/Duration"
import * as AiError from "effect/ai/AiError"
import type * as Response from "effect/ai/Response"

type Finish = Extract<ModelPart, { _tag: "Finish" }>

/** The parts that become parts of a response. `effect/ai` has no parts for warnings and compactions. */
export type ContentPart = Exclude<ModelPart, { _tag: "Warning" | "SealedSummary" }>

/** Converts a part of a stream. Arguments that are not JSON stay a text, which the tool's schema refuses. */
export const fromPart = (part: ContentPart): Response.StreamPartEncoded => {
  switch (part._tag) {
    case "TextStart":
      return { type: "text-start", id: part.id }
    case "TextDelta":
      return { type: "text-delta", id: part.id, delta: part.delta }
    case "TextEnd":
      return { type: "text-end", id: part.id, metadata: metadataOf(part) }
    case "ReasoningStart":
      return { type: "reasoning-start", id: part.id }
    case "ReasoningDelta":
      return { type: "reasoning-delta", id: part.id, delta: part.delta }
    case "ReasoningEnd":
      return { type: "reasoning-end", id: part.id, metadata: metadataOf(part) }
    case "ToolCall":
      return fromCall(part)
    case "Finish":
      return fromFinish(part)
  }
}

/** Joins all parts of a response to its content: complete texts and reasoning, in the order in which they began. */
export const fromParts = (parts: ReadonlyArray<ContentPart>): Array<Response.PartEncoded> => {
  const content: Array<Response.PartEncoded> = []
  const open = new Map<string, { readonly at: number; text: string }>()
  for (const part of parts) {
    switch (part._tag) {
      case "TextStart":
      case "ReasoningStart":
        open.set(part.id, { at: content.length, text: "" })
        content.push({ type: part._tag === "TextStart" ? "text" : "reasoning", text: "" })
        break
      case "TextDelta":
      case "ReasoningDelta":
        open.get(part.id)!.text += part.delta
        break
      case "TextEnd":
      case "ReasoningEnd": {
        const { at, text } = open.get(part.id)!
        content[at] = { type: part._tag === "TextEnd" ? "text" : "reasoning", text, metadata: metadataOf(part) }
        break
      }
      case "ToolCall":
        content.push(fromCall(part))
        break
      case "Finish":
        content.push(fromFinish(part))
        break
    }
  }
  return content
}

const metadataOf = (part: {
  readonly providerId?: string
  readonly encrypted?: string
  readonly sealedBy?: string
}): Response.ProviderMetadata => {
  const kept = {
    ...(part.providerId === undefined ? {} : { itemId: part.providerId }),
    ...(part.encrypted === undefined ? {} : { encryptedContent: part.encrypted }),
    ...(part.sealedBy === undefined ? {} : { sealedBy: part.sealedBy })
  }
  return Object.keys(kept).length === 0 ? {} : { openai: kept }
}

const fromCall = (part: Extract<ModelPart, { _tag: "ToolCall" }>): Response.ToolCallPartEncoded => ({
  type: "tool-call",
  id: part.callId,
  name: part.name,
  params: part.invalid ?? part.params,
  metadata: metadataOf(part)
})

const fromFinish = (part: Finish): Response.FinishPartEncoded => ({
  type: "finish",
  reason: part.reason,
  usage: fromUsage(part.usage),
  response: undefined
})

const fromUsage = (usage: TokenUsage | undefined): Response.FinishPartEncoded["usage"] => ({
  inputTokens: {
    total: usage?.input,
    cacheRead: usage?.cachedInput,
    uncached: usage === undefined ? undefined : usage.input - usage.cachedInput,
    cacheWrite: undefined
  },
  outputTokens: {
    total: usage?.output,
    reasoning: usage?.reasoning,
    text: usage === undefined ? undefined : usage.output - usage.reasoning
  }
})

/** Converts a failure to the reason of an `AiError`. `url` is the address of the request. */
export const fromFailure = (error: ModelFailed, url: string): AiError.AiErrorReason => {
  const description = error.message
  switch (error.kind) {
    case "Connection":
    case "Disconnected":
    case "IdleTimeout":
      return new AiError.NetworkError({ reason: "TransportError", method: "POST", url, description })
    case "ServerError":
    case "Overloaded":
      return new AiError.InternalProviderError({ description })
    case "RateLimited":
      return new AiError.RateLimitError(
        error.retryAfterMillis === undefined ? {} : { retryAfter: Duration.millis(error.retryAfterMillis) }
      )
    case "QuotaExceeded":
      return new AiError.QuotaExhaustedError({})
    case "Unauthorized":
      return new AiError.AuthenticationError({
        kind: error.status === 403 ? "InsufficientPermissions" : "InvalidKey",
        description
      })
    case "ContextWindowExceeded":
    case "InvalidRequest":
      return new AiError.InvalidRequestError({ description })
    case "InvalidResponse":
    case "Incomplete":
      return new AiError.InvalidResponseError({ description })
  }
}

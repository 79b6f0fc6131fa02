/**
 * Converts between core and `effect/ai`: a request to a `Prompt`, response parts to model parts, `AiError` to
 * `ModelFailed`.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import { format } from "effect/Formatter"
import * as AiError from "effect/ai/AiError"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import type { CallId } from "../protocol/Ids.ts"
import * as Input from "../protocol/Input.ts"
import { type Item, jsonOfUnsafe } from "../protocol/Item.ts"
import { ModelFailed, type ModelFailureKind } from "../protocol/SessionError.ts"
import type { TokenUsage } from "../protocol/TokenUsage.ts"
import type { ModelPart, ModelRequest, OutputFormat, ToolSpec } from "../ports/Model.ts"

declare const URL: { new (url: string): { readonly href: string }; readonly canParse: (url: string) => boolean }

/**
 * Returns the prompt of a request: the instructions, then the items. Consecutive items of the model become one message.
 * A language model streams text only, so the instructions ask for the output format.
 */
export const promptOf = (request: Pick<ModelRequest, "instructions" | "items" | "output">): Prompt.Prompt => {
  const messages: Array<Prompt.Message> = []
  const { instructions, output } = request
  const form = output === undefined ? [] : [formText(output)]
  const system = [...(instructions === undefined ? [] : [instructions]), ...form].join("\n\n")
  if (system !== "") messages.push(Prompt.systemMessage({ content: system }))
  let said: Array<Prompt.AssistantMessagePart> | undefined
  let results: Array<Prompt.ToolMessagePart> | undefined
  for (const item of request.items) {
    switch (item._tag) {
      case "UserMessage":
      case "DeveloperMessage":
        said = results = undefined
        messages.push(messageOf(item))
        break
      case "ToolResult":
        said = undefined
        if (results === undefined) messages.push(Prompt.toolMessage({ content: (results = []) }))
        results.push(toolResultOf(item))
        break
      default:
        results = undefined
        if (said === undefined) messages.push(Prompt.assistantMessage({ content: (said = []) }))
        said.push(assistantPartOf(item))
    }
  }
  return Prompt.fromMessages(messages)
}

const formText = ({ name, schema }: OutputFormat): string =>
  `Your final answer is one JSON value (${name}) that follows this JSON Schema, with no text around it:\n${JSON.stringify(schema)}`

// items never change, and each request sends the history again
const messages = new WeakMap<Item, Prompt.Message>()

const messageOf = (item: Extract<Item, { readonly _tag: "UserMessage" | "DeveloperMessage" }>): Prompt.Message => {
  let message = messages.get(item)
  if (message === undefined) {
    message =
      item._tag === "DeveloperMessage"
        ? Prompt.systemMessage({ content: item.text })
        : Prompt.userMessage({ content: item.content.map(userPartOf) })
    messages.set(item, message)
  }
  return message
}

const userPartOf = (part: Input.InputPart): Prompt.UserMessagePart => {
  if (part._tag !== "Image") return Prompt.makePart("text", { text: Input.textOfPart(part) })
  const mediaType = /^data:([^;,]+)/.exec(part.url)?.[1] ?? "image/*"
  // core declares only the part of the platform's URL that it uses; the type of `data` requires more
  return Prompt.makePart("file", { mediaType, data: (URL.canParse(part.url) ? new URL(part.url) : part.url) as never })
}

const assistantPartOf = (
  item: Extract<Item, { readonly _tag: "AssistantMessage" | "Reasoning" | "ToolCall" }>
): Prompt.AssistantMessagePart => {
  switch (item._tag) {
    case "AssistantMessage":
      return Prompt.makePart("text", { text: item.text })
    case "Reasoning":
      return Prompt.makePart("reasoning", { text: item.text })
    case "ToolCall":
      return Prompt.makePart("tool-call", {
        id: item.callId,
        name: item.name,
        params: item.invalid ?? item.params,
        providerExecuted: false
      })
  }
}

const toolResultOf = (item: Extract<Item, { readonly _tag: "ToolResult" }>): Prompt.ToolMessagePart =>
  Prompt.makePart("tool-result", {
    id: item.callId,
    name: item.name,
    isFailure: item.status !== "completed",
    providerExecuted: false,
    result: item.output
  })

const toolkits = new WeakMap<ReadonlyArray<ToolSpec>, Toolkit.WithHandler<Record<string, Tool.Any>>>()

/** Returns the tools of a request as a toolkit that only describes them, because the session runs the calls. */
export const toolkitOf = (tools: ReadonlyArray<ToolSpec>): Toolkit.WithHandler<Record<string, Tool.Any>> => {
  let toolkit = toolkits.get(tools)
  if (toolkit === undefined) {
    const byName = Object.fromEntries(tools.map((spec) => [spec.name, spec.source as Tool.Any]))
    // the type of a handler follows from the tools, which are known only at run time; this one is never called
    toolkit = { tools: byName, handle: () => Effect.die("I6: tool calls are resolved by the session") as never }
    toolkits.set(tools, toolkit)
  }
  return toolkit
}

/** Converts a part of a response. Returns undefined for a part that a session does not use. */
export const partOf = (part: Response.AnyPart): ModelPart | undefined => {
  switch (part.type) {
    case "text-start":
      return { _tag: "TextStart", id: part.id }
    case "text-delta":
      return { _tag: "TextDelta", id: part.id, delta: part.delta }
    case "text-end":
      return { _tag: "TextEnd", id: part.id }
    case "reasoning-start":
      return { _tag: "ReasoningStart", id: part.id }
    case "reasoning-delta":
      return { _tag: "ReasoningDelta", id: part.id, delta: part.delta }
    case "reasoning-end":
      return { _tag: "ReasoningEnd", id: part.id }
    case "tool-call":
      return { _tag: "ToolCall", callId: part.id as CallId, name: part.name, ...paramsOf(part.params) }
    case "finish":
      return { _tag: "Finish", reason: finishOf(part.reason), usage: usageOf(part.usage) }
    default:
      return undefined
  }
}

/**
 * Converts the arguments of a call. Arguments that JSON cannot represent make an invalid call, which gets a failed
 * result and does not end the turn.
 */
const paramsOf = (params: unknown): { readonly params: unknown; readonly invalid?: string } => {
  try {
    return { params: jsonOfUnsafe(params) }
  } catch (error) {
    return { params: undefined, invalid: String(error) }
  }
}

const finishOf = (reason: Response.FinishReason): Extract<ModelPart, { readonly _tag: "Finish" }>["reason"] =>
  reason === "tool-calls" || reason === "length" || reason === "content-filter" ? reason : "stop"

const usageOf = ({ inputTokens, outputTokens }: Response.Usage): TokenUsage | undefined => {
  if (inputTokens.total === undefined && outputTokens.total === undefined) return undefined
  const input = inputTokens.total ?? 0
  const output = outputTokens.total ?? 0
  return {
    input,
    cachedInput: inputTokens.cacheRead ?? 0,
    output,
    reasoning: outputTokens.reasoning ?? 0,
    total: input + output
  }
}

const kinds: { readonly [reason: string]: ModelFailureKind } = {
  NetworkError: "Connection",
  RateLimitError: "RateLimited",
  QuotaExhaustedError: "QuotaExceeded",
  AuthenticationError: "Unauthorized",
  ContentPolicyError: "InvalidRequest",
  InvalidRequestError: "InvalidRequest",
  InternalProviderError: "ServerError",
  InvalidResponseError: "InvalidResponse",
  InvalidOutputError: "InvalidResponse",
  StructuredOutputError: "InvalidResponse",
  UnknownError: "InvalidResponse"
}

/** Converts the error of a language model. */
export const failureOf =
  (provider: string, model: string) =>
  (error: AiError.AiError): ModelFailed =>
    new ModelFailed({
      kind: kinds[error.reason._tag] ?? "InvalidRequest",
      provider,
      model,
      detail: error.message,
      cause: error,
      ...(error.retryAfter === undefined ? {} : { retryAfterMillis: Duration.toMillis(error.retryAfter) })
    })

/** The names of a model, for records and failures. */
export interface Names {
  readonly provider: string
  readonly model: string
}

/**
 * Returns the failure that one of the parts of a response reports: an error, a finish with an error, or a call that the
 * provider runs itself, which this adapter does not support. The detail is the message of the provider.
 */
export const failureIn = (
  parts: ReadonlyArray<Response.AnyPart>,
  { model, provider }: Names
): ModelFailed | undefined => {
  const failure = (kind: ModelFailureKind, detail: string, cause?: unknown) =>
    new ModelFailed({ kind, provider, model, detail, ...(cause === undefined ? {} : { cause }) })
  for (const part of parts) {
    if (part.type === "error") {
      const { error } = part
      if (AiError.isAiError(error)) return failureOf(provider, model)(error)
      return failure("ServerError", error instanceof Error ? error.message : textOfError(error), error)
    }
    if (part.type === "finish" && part.reason === "error") {
      return failure("ServerError", "the provider ended its answer with an error")
    }
    if ((part.type === "tool-call" || part.type === "tool-result") && part.providerExecuted === true) {
      return failure(
        "InvalidResponse",
        `the provider ran the tool ${part.name} itself; only tools of the session may run`
      )
    }
  }
  return undefined
}

const textOfError = (error: unknown): string => {
  const text = typeof error === "string" ? error : format(error)
  return text.slice(0, 1_000)
}

/** The stream of the parts of a response. */
export type PartStream = Stream.Stream<Response.AnyPart, AiError.AiError>

/** Converts prompts of `effect/ai` to items of core. */
import type { InputPart } from "@spindle/core/Input"
import { CallId, ItemId } from "@spindle/core/Ids"
import type { Item, NewItem } from "@spindle/core/Item"
import * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import { isObject } from "./json.ts"

/** A prompt as items of core. `unsupported` names the parts for which core has no item. */
export interface Converted {
  /** The system messages that the prompt begins with. */
  readonly instructions: string | undefined
  readonly items: ReadonlyArray<Item>
  readonly unsupported: ReadonlyArray<string>
}

/**
 * Converts a prompt. System messages at its head become the instructions, later ones messages of the developer. Ids and
 * encrypted reasoning of an earlier response, which are in the options of its parts (key `openai`), are sent back.
 */
export const fromPrompt = (prompt: Prompt.Prompt): Converted => {
  const unsupported: Array<string> = []
  const first = prompt.content.findIndex((message) => message.role !== "system")
  const head = first === -1 ? prompt.content : prompt.content.slice(0, first)
  const rest = first === -1 ? [] : prompt.content.slice(first)
  const instructions = head.flatMap((message) => (message.role === "system" ? [message.content] : []))
  return {
    instructions: instructions.length === 0 ? undefined : instructions.join("\n\n"),
    items: rest
      .flatMap((message) => fromMessage(message, unsupported))
      .map((item, count): Item => ({ ...item, id: ItemId.make(`0.${count}`) })),
    unsupported
  }
}

const fromMessage = (message: Prompt.Message, unsupported: Array<string>): ReadonlyArray<NewItem> => {
  switch (message.role) {
    case "system":
      return [{ _tag: "DeveloperMessage", text: message.content }]
    case "user":
      return [{ _tag: "UserMessage", content: message.content.flatMap((part) => fromUserPart(part, unsupported)) }]
    case "assistant":
      return message.content.flatMap((part) => fromAssistantPart(part, unsupported))
    case "tool":
      return message.content.flatMap((part) => (part.type === "tool-result" ? [fromResult(part)] : []))
  }
}

const fromUserPart = (part: Prompt.UserMessagePart, unsupported: Array<string>): ReadonlyArray<InputPart> => {
  if (part.type === "text") return [{ _tag: "Text", text: part.text }]
  if (part.mediaType.startsWith("image/")) return [{ _tag: "Image", url: urlOf(part) }]
  unsupported.push(`a file of type ${part.mediaType}`)
  return []
}

const urlOf = ({ data, mediaType }: Prompt.FilePart): string => {
  if (data instanceof Uint8Array) return `data:${mediaType};base64,${Base64.encode(data)}`
  if (typeof data !== "string") return data.href
  return /^(data|https?):/.test(data) ? data : `data:${mediaType};base64,${data}`
}

const fromAssistantPart = (part: Prompt.AssistantMessagePart, unsupported: Array<string>): ReadonlyArray<NewItem> => {
  const kept = keptOf(part.options)
  const providerId = kept.itemId === undefined ? {} : { providerId: kept.itemId }
  switch (part.type) {
    case "text":
      return [{ _tag: "AssistantMessage", text: part.text, ...providerId }]
    case "reasoning": {
      const encrypted = kept.encryptedContent === undefined ? {} : { encrypted: kept.encryptedContent }
      const sealedBy = kept.sealedBy === undefined ? {} : { sealedBy: kept.sealedBy }
      return [{ _tag: "Reasoning", text: part.text, ...encrypted, ...sealedBy, ...providerId }]
    }
    case "tool-call": {
      // arguments that were not JSON are kept as their text, see `fromPart`
      const params =
        typeof part.params === "string" ? { params: undefined, invalid: part.params } : { params: part.params }
      return [{ _tag: "ToolCall", callId: CallId.make(part.id), name: part.name, ...params, ...providerId }]
    }
    case "tool-result":
      return [fromResult(part)]
    case "file":
      unsupported.push("a file of the assistant")
      return []
    case "tool-approval-request":
      return []
  }
}

const fromResult = (part: Prompt.ToolResultPart): NewItem => ({
  _tag: "ToolResult",
  callId: CallId.make(part.id),
  name: part.name,
  status: part.isFailure ? "failed" : "completed",
  output: part.modelOutput === undefined ? part.result : Prompt.toolModelOutputToText(part.modelOutput)
})

interface Kept {
  readonly itemId?: string
  readonly encryptedContent?: string
  readonly sealedBy?: string
}

const keptOf = (options: Prompt.ProviderOptions): Kept => {
  const kept: unknown = options["openai"]
  if (!isObject(kept)) return {}
  const { encryptedContent, itemId, sealedBy } = kept
  return {
    ...(typeof itemId === "string" ? { itemId } : {}),
    ...(typeof encryptedContent === "string" ? { encryptedContent } : {}),
    ...(typeof sealedBy === "string" ? { sealedBy } : {})
  }
}

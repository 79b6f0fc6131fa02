/**
 * Converts a history to the input of a request that a strict server accepts, whatever the journal contains.
 *
 * - Each call has one result. Its id is unique and of the form that every server takes.
 * - Arguments are JSON objects, and names of tools are valid.
 * - Sealed reasoning is sent only to the provider and the model that can read it, and only before its text or call.
 * - Nothing is empty.
 *
 * The same history always gives the same input. A longer history begins with the input of a shorter one, so that prompt
 * caches keep working.
 *
 * Half surrogate pairs are replaced when the body is written; see `stringify`.
 */
import * as History from "@spindle/core/History"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as Calls from "./calls.ts"
import { isObject } from "./json.ts"
import { wireName } from "./toolNames.ts"

/** An element of the input, and the item that it was made from. */
export interface InputEntry {
  readonly item: Item
  readonly wire: { readonly type: string; readonly [key: string]: unknown }
}

type Wire = InputEntry["wire"]
type Reasoning = Extract<Item, { _tag: "Reasoning" }>

/**
 * Makes the input. `seal` names the provider and the model that it is for; see `sealOf`. All models of `provider` can
 * read its sealed summaries.
 */
export const inputOf = (items: ReadonlyArray<Item>, seal: string, provider: string): ReadonlyArray<InputEntry> => {
  const calls = new Calls.CallIds(Calls.plainId)
  const sealIds = new Set<string>()
  const entries: Array<InputEntry> = []
  // reasoning waits for the text or the call that it belongs to
  let waiting: Array<InputEntry> = []
  for (const item of History.repair(items)) {
    if (item._tag === "Reasoning") {
      const wire = reasoningOf(item, seal, sealIds)
      if (wire !== undefined) waiting.push({ item, wire })
      continue
    }
    const wire = sealedSummaryOf(item, provider) ?? wireOf(item, calls)
    if (wire === undefined) continue
    if (item._tag === "AssistantMessage" || item._tag === "ToolCall") entries.push(...waiting)
    waiting = []
    entries.push({ item, wire })
  }
  return entries
}

const sealedSummaryOf = (item: Item, provider: string): Wire | undefined =>
  item._tag === "UserMessage" && item.sealed?.sealedBy === provider
    ? { type: "compaction", encrypted_content: item.sealed.encrypted }
    : undefined

const wireOf = (item: Exclude<Item, Reasoning>, calls: Calls.CallIds): Wire | undefined => {
  switch (item._tag) {
    case "UserMessage":
      return messageOf("user", item.content.flatMap(partOf))
    case "DeveloperMessage":
      return messageOf("developer", textPart("input_text", item.text))
    case "AssistantMessage":
      return messageOf("assistant", textPart("output_text", item.text))
    case "ToolCall":
      return callOf(item, calls.open(item))
    case "ToolResult": {
      const { call, wireId } = calls.close(item.callId)
      if (call.byProvider) return undefined
      return {
        type: call.freeform ? "custom_tool_call_output" : "function_call_output",
        call_id: wireId,
        output: Calls.resultText(item, call)
      }
    }
  }
}

const messageOf = (role: string, content: ReadonlyArray<Wire>): Wire | undefined =>
  content.length === 0 ? undefined : { type: "message", role, content }

const textPart = (type: string, text: string): ReadonlyArray<Wire> => (text === "" ? [] : [{ type, text }])

/** Returns true if servers take an image from this address. */
export const isImageAddress = (url: string): boolean => /^(https?:\/\/.|data:image\/[^,]*,.)/i.test(url)

/** The text that replaces an image that cannot be sent. */
export const missingImage = "(an image without an address that can be sent)"

const partOf = (part: Input.InputPart): ReadonlyArray<Wire> => {
  switch (part._tag) {
    case "Text":
    case "Mention":
      return textPart("input_text", Input.textOfPart(part))
    case "Image":
      return isImageAddress(part.url)
        ? [{ type: "input_image", image_url: part.url }]
        : textPart("input_text", missingImage)
  }
}

/**
 * Returns reasoning for the wire; undefined if the server would refuse it. A server that stores nothing refuses
 * reasoning without its sealed form, and every server refuses the seal of another provider. An item that does not name
 * its maker may be from any provider.
 */
const reasoningOf = (item: Reasoning, seal: string, used: Set<string>): Wire | undefined => {
  if (item.encrypted === undefined || (item.sealedBy !== undefined && item.sealedBy !== seal)) return undefined
  const { providerId: id } = item
  const isUsable = id !== undefined && /^rs_[\w-]{1,61}$/.test(id) && !used.has(id)
  if (isUsable) used.add(id)
  return {
    type: "reasoning",
    ...(isUsable ? { id } : {}),
    summary: textPart("summary_text", item.text),
    encrypted_content: item.encrypted
  }
}

const callOf = (call: Calls.ToolCall, wireId: string): Wire | undefined => {
  // without its id, because the provider stores nothing that it could name
  if (call.byProvider) {
    const { params: action } = call
    const isAction = isObject(action) && typeof action["type"] === "string"
    return isAction ? { type: "web_search_call", status: "completed", action } : undefined
  }
  const named = { status: "completed", call_id: wireId, name: wireName(call.name) }
  return call.freeform
    ? { type: "custom_tool_call", ...named, input: Calls.inputText(call.params) }
    : { type: "function_call", ...named, arguments: Calls.argumentsText(call) }
}

/** Finds the items of a request that a server refuses, so that the session can continue without them. */
import type { Item } from "@spindle/core/Item"
import type { ProviderError } from "./failures.ts"
import type { InputEntry } from "./history.ts"
import { shorten } from "./json.ts"

/**
 * Returns the entries that an error names: by `input[3]`, by an id in quotes, or all sealed items if a seal cannot be
 * read. A call and its output are always returned together. The last input of the user is never returned: a request
 * without it would be another request.
 */
export const refusedEntries = (error: ProviderError, entries: ReadonlyArray<InputEntry>): ReadonlyArray<InputEntry> => {
  const named = namedEntries(error, entries)
  const callIds = new Set(named.flatMap(({ wire }) => (typeof wire["call_id"] === "string" ? [wire["call_id"]] : [])))
  const lastInput = entries.findLast(({ item }) => item._tag === "UserMessage")
  return entries.filter(
    (entry) => entry !== lastInput && (named.includes(entry) || callIds.has(entry.wire["call_id"] as string))
  )
}

const namedEntries = (error: ProviderError, entries: ReadonlyArray<InputEntry>): ReadonlyArray<InputEntry> => {
  const text = `${error.param ?? ""} ${error.message ?? ""}`
  const places = new Set(Array.from(text.matchAll(/\binput(?:\[(\d+)\]|\.(\d+)\b)/g), ([, a, b]) => Number(a ?? b)))
  const byPlace = entries.filter((_, index) => places.has(index))
  if (byPlace.length > 0) return byPlace
  if (error.code === "invalid_encrypted_content" || /encrypted[ _]content/i.test(text)) {
    return entries.filter(({ wire }) => wire.type === "reasoning" || wire.type === "compaction")
  }
  const quoted = new Set(Array.from(text.matchAll(/['"`]([\w-]{2,64})['"`]|\b(call_[\w-]+)/g), ([, a, b]) => a ?? b))
  return entries.filter(({ wire }) => quoted.has(wire["id"] as string) || quoted.has(wire["call_id"] as string))
}

const longestReason = 200

/** Returns the warning for a person about items that are left out because the provider refused them. */
export const warningOf = (provider: string, refused: ReadonlyArray<Item>, error: ProviderError): string => {
  const names = Array.from(new Set(refused.map(describe)))
  const reason = error.message === undefined ? "" : `: ${shorten(error.message, longestReason)}`
  return `${provider} refused ${names.join(" and ")} of this session, which the model no longer sees${reason}`
}

const describe = (item: Item): string => {
  switch (item._tag) {
    case "UserMessage":
      return item.sealed === undefined ? "an earlier message of the user" : "its own summary"
    case "DeveloperMessage":
      return "a message of the program"
    case "AssistantMessage":
      return "a message of the model"
    case "Reasoning":
      return "reasoning of the model"
    case "ToolCall":
      return `a call of ${item.name}`
    case "ToolResult":
      return `a result of ${item.name}`
  }
}

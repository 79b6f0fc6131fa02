/** The chat completions API. */
import type { Item } from "@spindle/core/Item"
import type { ProviderError } from "../failures.ts"
import { sealOf } from "../reader.ts"
import type { Wire, WireRequest } from "../wire.ts"
import { ChunkReader } from "./chunks.ts"
import { type MessageEntry, messagesOf } from "./messages.ts"
import { bodyOf, type ChatOptions } from "./request.ts"

/** Makes the wire of one model. */
export const make = (options: ChatOptions): Wire<WireRequest> => ({
  path: "/chat/completions",
  // reasoning of the same model in another API has another form
  sealOf: (provider, model) => `${sealOf(provider, model)} chat`,
  optionalFields: ["stream_options"],
  write: (request, { isPlain, items, seal }) => {
    const entries = messagesOf(request.instructions, items, seal)
    return {
      body: bodyOf({ ...options, isPlain }, request, entries),
      refusedItems: (error) => refusedItems(error, entries)
    }
  },
  read: ({ tools }, context) => new ChunkReader(context, tools)
})

/** Returns the items of the messages that an error names as `messages[3]`, without the last input of the user. */
const refusedItems = (error: ProviderError, entries: ReadonlyArray<MessageEntry>): ReadonlyArray<Item> => {
  const text = `${error.param ?? ""} ${error.message ?? ""}`
  const places = new Set(Array.from(text.matchAll(/\bmessages(?:\[(\d+)\]|\.(\d+)\b)/g), ([, a, b]) => Number(a ?? b)))
  const last = entries.findLastIndex(({ message }) => message.role === "user")
  return entries.flatMap(({ items }, index) => (places.has(index) && index !== last ? items : []))
}

/** The Messages API as a wire of `HttpModel`. */
import type { Item } from "@spindle/core/Item"
import * as HttpModel from "@spindle/openai/HttpModel"
import * as Redacted from "effect/Redacted"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { EventReader } from "./events.ts"
import { type MessageEntry, messagesOf } from "./messages.ts"
import { bodyOf, type BodyOptions } from "./request.ts"

/** Puts a key on a request. */
export const authorize: NonNullable<HttpModel.Wire<HttpModel.WireRequest>["authorize"]> = (request, key) =>
  HttpClientRequest.setHeader(request, "x-api-key", Redacted.value(key))

/** Makes the wire of one model. */
export const make = (options: BodyOptions): HttpModel.Wire<HttpModel.WireRequest> => ({
  accept: "text/event-stream",
  path: "/messages",
  sealOf: (provider, model) => `${HttpModel.sealOf(provider, model)} messages`,
  // without it, the form of the output is asked for in words
  optionalFields: ["output_config"],
  authorize,
  write: (request, { isPlain, items, seal }) => {
    const entries = messagesOf(items, seal)
    return {
      body: bodyOf({ ...options, isPlain }, request, entries),
      refusedItems: (error) => refusedItems(error, entries)
    }
  },
  read: ({ tools }, context) => new EventReader(context, tools)
})

/** The items of the messages that an error names as `messages.3`, without the last message. */
const refusedItems = (error: HttpModel.ProviderError, entries: ReadonlyArray<MessageEntry>): ReadonlyArray<Item> => {
  const places = new Set(Array.from((error.message ?? "").matchAll(/\bmessages\.(\d+)\b/g), ([, at]) => Number(at)))
  return entries.flatMap(({ items }, index) => (places.has(index) && index !== entries.length - 1 ? items : []))
}

/** The Responses API: responses, and the compaction of a conversation. */
import type { ModelRequest } from "@spindle/core/Model"
import { CompactionReader } from "./compaction.ts"
import { EventReader } from "./events.ts"
import { inputOf } from "./history.ts"
import { sealOf } from "./reader.ts"
import * as Refusals from "./refusals.ts"
import { bodyOf, type BodyOptions, type BodyRequest, compactionBodyOf } from "./request.ts"
import type { Wire } from "./wire.ts"

/** Makes the wire of one model. */
export const make = (options: BodyOptions): Wire<BodyRequest> => ({
  path: "/responses",
  sealOf,
  optionalFields: [],
  write: (request, { items, provider, seal }) => {
    const entries = inputOf(items, seal, provider)
    return {
      body: bodyOf(options, request, entries),
      refusedItems: (error) => Refusals.refusedEntries(error, entries).map(({ item }) => item)
    }
  },
  read: (_, context) => new EventReader(context)
})

/** Makes the wire of the compactions of one model. */
export const makeCompaction = (options: BodyOptions): Wire<ModelRequest> => ({
  ...make(options),
  path: "/responses/compact",
  accept: "application/json",
  write: (request, { items, provider, seal }) => {
    const entries = inputOf(items, seal, provider)
    return {
      body: compactionBodyOf(options, request, entries),
      refusedItems: (error) => Refusals.refusedEntries(error, entries).map(({ item }) => item)
    }
  },
  read: ({ items }, context) => new CompactionReader(context, items)
})

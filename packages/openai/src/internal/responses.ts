/** The Responses API. */
import { EventReader } from "./events.ts"
import { inputOf } from "./history.ts"
import { sealOf } from "./reader.ts"
import * as Refusals from "./refusals.ts"
import { bodyOf, type BodyOptions, type BodyRequest } from "./request.ts"
import type { Wire } from "./wire.ts"

/** Makes the wire of one model. */
export const make = (options: BodyOptions): Wire<BodyRequest> => ({
  path: "/responses",
  sealOf,
  optionalFields: [],
  write: (request, { items, seal }) => {
    const entries = inputOf(items, seal)
    return {
      body: bodyOf(options, request, entries),
      refusedItems: (error) => Refusals.refusedEntries(error, entries).map(({ item }) => item)
    }
  },
  read: (_, context) => new EventReader(context)
})

// The HTTP interface: what clients may ask, in schemas. `/openapi.json` describes it.
import { JournalEntry, Op, SessionError, SessionEvent } from "@spindle/core"
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiError, HttpApiGroup } from "effect/http-api"
import { HttpApiMiddleware, HttpApiSchema, HttpApiSecurity } from "effect/http-api"

/** Every request carries the token of a user. */
export class Authorization extends HttpApiMiddleware.Service<Authorization>()("hosting/Authorization", {
  error: HttpApiError.Unauthorized,
  security: { bearer: HttpApiSecurity.bearer }
}) {}

// users name their sessions; the server keeps the names of different users apart
const text = Schema.optional(Schema.String)
const params = { name: Schema.String.check(Schema.isPattern(/^[\w-]{1,64}$/)) }

// a record has its number as id, so that a client that reconnects continues after it; deltas have none.
// `toCodecJson` is what bodies have as well, so that both refer to the same components of the OpenAPI document
const Event = Schema.Struct({
  id: Schema.optional(Schema.String),
  event: Schema.String,
  data: Schema.fromJsonString(Schema.toCodecJson(SessionEvent.SessionEvent))
})

const { JournalFailed, SessionBusy, SessionNotFound, StoreFailed } = SessionError
const { status } = HttpApiSchema
const notFound = SessionNotFound.pipe(status(404))
const notDeleted = StoreFailed.pipe(status(503))
const taken = [SessionBusy.pipe(status(409)), HttpApiError.Conflict, JournalFailed.pipe(status(503))] as const

export const Api = HttpApi.make("hosting").add(
  HttpApiGroup.make("sessions")
    .add(
      HttpApiEndpoint.get("list", "/sessions", {
        query: { limit: Schema.optional(Schema.FiniteFromString), cursor: text, title: text },
        success: JournalEntry.JournalPage,
        error: taken[2]
      }),
      HttpApiEndpoint.put("create", "/sessions/:name", { params, success: HttpApiSchema.Created, error: taken }),
      HttpApiEndpoint.post("submit", "/sessions/:name/submissions", {
        params,
        payload: Op.Submission,
        success: Op.Receipt,
        error: [notFound, ...taken]
      }),
      HttpApiEndpoint.get("events", "/sessions/:name/events", {
        params,
        headers: { "last-event-id": Schema.optional(Schema.FiniteFromString) },
        success: HttpApiSchema.StreamSse({ events: Event }),
        error: [notFound, ...taken]
      }),
      HttpApiEndpoint.put("rename", "/sessions/:name/title", {
        params,
        payload: Schema.Struct({ title: Schema.String }),
        error: [notFound, taken[0], taken[2]]
      }),
      HttpApiEndpoint.delete("delete", "/sessions/:name", { params, error: [notFound, notDeleted, ...taken] })
    )
    .middleware(Authorization)
)

// The handlers: each opens its session by name. Opening an open session takes a microsecond.
import { Ids, SessionEvent, Sessions } from "@spindle/core"
import { Effect, Layer, Redacted, Stream } from "effect"
import { HttpApiBuilder, HttpApiError } from "effect/http-api"
import { CurrentUser } from "./agent.ts"
import { Api, Authorization } from "./Api.ts"

/** Tokens of the example: `token-alice` is the token of `alice`. */
export const authorization = Layer.succeed(Authorization, {
  bearer: (request, { credential }) => {
    const user = /^token-([a-z]+)$/.exec(Redacted.value(credential))?.[1]
    if (user === undefined) return Effect.fail(new HttpApiError.Unauthorized())
    return request.pipe(Effect.provideService(CurrentUser, user), Effect.annotateLogs({ user }))
  }
})

/** The id of the user's session of this name. A user cannot name the session of another. */
const idOf = (name: string) => Effect.map(CurrentUser, (user) => Ids.SessionId.make(`${user}.${name}`))

// such a session needs an agent that the application no longer has
const conflict = () => Effect.fail(new HttpApiError.Conflict())

export const handlers = HttpApiBuilder.group(
  Api,
  "sessions",
  Effect.fnUntraced(function* (group) {
    const sessions = yield* Sessions.Sessions
    const tryOpen = (name: string) => Effect.flatMap(idOf(name), (id) => sessions.open(id))
    const open = (name: string) => Effect.catchTag(tryOpen(name), ["AgentMismatch", "AgentNotFound"], conflict)
    return group
      .handle("list", ({ query }) =>
        Effect.flatMap(CurrentUser, (user) => sessions.list({ ...query, prefix: `${user}.` }))
      )
      .handle("create", ({ params }) =>
        Effect.flatMap(idOf(params.name), (sessionId) => sessions.create({ sessionId })).pipe(
          Effect.catchTag(["AgentMismatch", "AgentNotFound", "SessionNotFound"], conflict),
          Effect.asVoid
        )
      )
      .handle("submit", ({ params, payload }) => Effect.flatMap(open(params.name), ({ submit }) => submit(payload)))
      .handle("events", ({ headers, params }) =>
        Effect.map(open(params.name), (session) =>
          session.events({ from: (headers["last-event-id"] ?? -1) + 1 }).pipe(
            Stream.orDie,
            Stream.map((event) => ({
              ...(SessionEvent.isDelta(event) || event._tag === "SessionFailed" ? {} : { id: `${event.seq}` }),
              event: event._tag,
              data: event
            }))
          )
        )
      )
      .handle("rename", ({ params, payload }) =>
        Effect.flatMap(idOf(params.name), (sessionId) => sessions.rename(sessionId, payload.title))
      )
      .handle("delete", ({ params }) => Effect.flatMap(idOf(params.name), sessions.delete))
  })
)

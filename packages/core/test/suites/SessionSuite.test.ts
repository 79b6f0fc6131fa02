import * as Session from "@spindle/core/Session"
import * as Sessions from "@spindle/core/Sessions"
import * as SessionSuite from "@spindle/testing/SessionSuite"
import { Context, Effect, Layer } from "effect"

SessionSuite.suite("Session.make", Session.make)

SessionSuite.suite("Sessions", (agent, { resume }) =>
  Effect.flatMap(Layer.build(Sessions.layer(agent)), (context) => {
    const sessions = Context.get(context, Sessions.Sessions)
    return resume === undefined ? sessions.create() : sessions.open(resume)
  })
)

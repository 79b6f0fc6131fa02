/** The circumstances of a turn: which model ran it, with which policy, where. */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"

/**
 * The circumstances of a turn, in the application's own words; `sandbox` is a JSON value. Recorded when they differ from
 * those of the turn before.
 */
export class TurnContext extends Schema.Opaque<TurnContext>()(
  Schema.Struct({
    model: Schema.optionalKey(Schema.String),
    effort: Schema.optionalKey(Schema.String),
    summary: Schema.optionalKey(Schema.String),
    approvalPolicy: Schema.optionalKey(Schema.String),
    sandbox: Schema.optionalKey(Schema.Json),
    cwd: Schema.optionalKey(Schema.String),
    date: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "TurnContext" })
) {}

/**
 * Returns the context of a turn that starts now. Called once for each turn, atomically with its start, so it must not
 * block. If it throws, or returns what JSON cannot represent, the turn runs and a `Warning` reports it. By default
 * nothing is recorded.
 *
 * Delegates inherit it. Provide another one together with another `Model`, as `SubAgents` does for an agent with its own
 * model.
 */
export const CurrentTurnContext: Context.Reference<(() => TurnContext) | undefined> = Context.Reference<
  (() => TurnContext) | undefined
>("@spindle/core/CurrentTurnContext", { defaultValue: () => undefined })

/** The circumstances of a turn: which model ran it, with which policy, where. */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"

/**
 * The circumstances of a turn, in the application's own words; `sandbox` is a JSON value, and `output` the JSON schema of the
 * answer. Recorded when they differ from those of the turn before.
 */
export class TurnContext extends Schema.Opaque<TurnContext>()(
  Schema.Struct({
    model: Schema.optionalKey(Schema.String),
    effort: Schema.optionalKey(Schema.String),
    summary: Schema.optionalKey(Schema.String),
    approvalPolicy: Schema.optionalKey(Schema.String),
    sandbox: Schema.optionalKey(Schema.Json),
    cwd: Schema.optionalKey(Schema.String),
    output: Schema.optionalKey(Schema.Json),
    date: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "TurnContext" })
) {}

/**
 * Returns the context of a turn that starts now. Called once for each turn, atomically with its start, so it must not
 * block. If it throws, or returns what JSON cannot represent, the turn runs and a `Warning` reports it. By default
 * nothing is recorded.
 *
 * In a turn it returns the context of that turn, with the changes that came with inputs. Delegates inherit it. Provide another one together with another `Model`, as `SubAgents` does for an agent with its own
 * model.
 */
export const CurrentTurnContext: Context.Reference<(() => TurnContext) | undefined> = Context.Reference<
  (() => TurnContext) | undefined
>("@spindle/core/CurrentTurnContext", { defaultValue: () => undefined })

/**
 * Returns why an input may not change the context of turns like this, or undefined if it may. An application that takes
 * changes acts on them: it reads {@link CurrentTurnContext}, and gives the model of `ModelOfTurn`. By default none does, and
 * an input with a change is rejected.
 */
export const TurnContextRule: Context.Reference<(change: TurnContext) => string | undefined> = Context.Reference<
  (change: TurnContext) => string | undefined
>("@spindle/core/TurnContextRule", {
  defaultValue: () => () => "this application does not change the context of turns"
})

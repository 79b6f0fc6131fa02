/** The circumstances of a turn: which model ran it, with which policy, where. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The circumstances of a turn, in the application's own words; `sandbox` is a JSON value, and `output` the JSON schema of the
 * answer, which the regular task asks its model for. Recorded when they differ from those of the turn before.
 */
export class TurnContext extends Schema.Opaque<TurnContext>()(
  Schema.Struct({
    provider: Schema.optionalKey(Schema.String),
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

const empty: TurnContext = {}

/** Returns the context of the turn that runs with these services; empty if the application names none. */
export const inServices = (services: Context.Context<never>): TurnContext => {
  try {
    return Context.get(services, CurrentTurnContext)?.() ?? empty
  } catch {
    // a warning of the turn says so
    return empty
  }
}

/** The context of the turn that runs; empty if the application names none. */
export const ofTurn: Effect.Effect<TurnContext> = Effect.contextWith((services: Context.Context<never>) =>
  Effect.succeed(inServices(services))
)

/** A value, or a function that returns it for the context of a turn. */
export type ByTurn<A> = A | ((context: TurnContext) => A)

/** Returns the value for a context. */
export const valueIn = <A>(value: ByTurn<A>, context: TurnContext): A =>
  typeof value === "function" ? (value as (context: TurnContext) => A)(context) : value

/** Returns the value for the turn that runs. */
export const valueInTurn = <A>(value: ByTurn<A>): Effect.Effect<A> =>
  Effect.map(ofTurn, (context) => valueIn(value, context))

/**
 * Returns why an input may not change the context of turns like this, or undefined if it may. An application that takes
 * changes acts on them: it reads {@link CurrentTurnContext}, and gives the model of `ModelOfTurn`. By default none does, and
 * an input with a change is rejected. A session below another one takes none: it has the context of the turn that started it.
 */
export const TurnContextRule: Context.Reference<(change: TurnContext) => string | undefined> = Context.Reference<
  (change: TurnContext) => string | undefined
>("@spindle/core/TurnContextRule", {
  defaultValue: () => () => "this application does not change the context of turns"
})

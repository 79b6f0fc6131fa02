/** The context of a turn: the model that runs it, its policy, its directory. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The context of a turn, in the terms of the application. `sandbox` is a JSON value, and `output` is the JSON schema of
 * the answer, which the regular task asks its model for. It is recorded when it differs from that of the turn before.
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
 * Returns the context of a turn that starts now. It is called once for each turn, atomically with its start, so it must
 * not block. If it throws, or returns a value that JSON cannot represent, the turn runs and a `Warning` reports the
 * failure. By default no context is recorded.
 *
 * Within a turn it returns the context of that turn, with the changes that came with inputs. Delegates inherit it. A
 * program that provides another `Model` should provide another context too, as `SubAgents` does for an agent with its
 * own model.
 */
export const CurrentTurnContext: Context.Reference<(() => TurnContext) | undefined> = Context.Reference<
  (() => TurnContext) | undefined
>("@spindle/core/CurrentTurnContext", { defaultValue: () => undefined })

const empty: TurnContext = {}

/** Returns the context of the turn that runs with these services; empty if the application provides none. */
export const inServices = (services: Context.Context<never>): TurnContext => {
  try {
    return Context.get(services, CurrentTurnContext)?.() ?? empty
  } catch {
    // a warning of the turn has reported it
    return empty
  }
}

/** Returns the context of the running turn; empty if the application provides none. */
export const ofTurn: Effect.Effect<TurnContext> = Effect.contextWith((services: Context.Context<never>) =>
  Effect.succeed(inServices(services))
)

/** A value, or a function that returns the value for the context of a turn. */
export type ByTurn<A> = A | ((context: TurnContext) => A)

/** Returns the value for a context. */
export const valueIn = <A>(value: ByTurn<A>, context: TurnContext): A =>
  typeof value === "function" ? (value as (context: TurnContext) => A)(context) : value

/** Returns the value for the running turn. */
export const valueInTurn = <A>(value: ByTurn<A>): Effect.Effect<A> =>
  Effect.map(ofTurn, (context) => valueIn(value, context))

/**
 * Returns the reason why an input may not make a change of the turn context, or undefined if it may. An application
 * that allows changes acts on them: it reads {@link CurrentTurnContext} and provides `ModelOfTurn`. By default an input
 * with a change is rejected. A session below another one rejects every change, because it has the context of the turn
 * that started it.
 */
export const TurnContextRule: Context.Reference<(change: TurnContext) => string | undefined> = Context.Reference<
  (change: TurnContext) => string | undefined
>("@spindle/core/TurnContextRule", {
  defaultValue: () => () => "this application does not change the context of turns"
})

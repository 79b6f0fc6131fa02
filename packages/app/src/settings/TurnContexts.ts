/**
 * The circumstances of the turns of a session: what the journal says about them, and what an input may change.
 *
 * An input may change the model, its effort and its summary. The rest is what the session was opened with: the sandbox, the approvals
 * and the working directory are in its tools.
 */
import type { Model } from "@spindle/core/Model"
import type { TurnContext } from "@spindle/core/TurnContext"
import { nameOf } from "@spindle/tools/ApprovalPolicy"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Options } from "../CodingAgent.ts"
import * as Instructions from "../Instructions.ts"
import type { MakeModel } from "../Models.ts"
import type { Settings } from "../Settings.ts"

/** Returns the circumstances of a turn that starts at a time, in milliseconds. */
export const make = ({ cwd, output, settings }: Options, now: number): TurnContext => ({
  model: settings.model,
  ...(settings.reasoningEffort !== undefined && { effort: settings.reasoningEffort }),
  ...(settings.reasoningSummary !== undefined && { summary: settings.reasoningSummary }),
  approvalPolicy: nameOf(settings.approvalPolicy),
  sandbox: settings.sandboxMode,
  cwd,
  ...(output !== undefined && { output: output.schema as Schema.Json }),
  date: Instructions.dayOf(now)
})

/** Returns the rule for what an input may change. Without `models` the provider has only one. */
export const ruleOf =
  (models: MakeModel | undefined) =>
  ({ effort: _effort, model: _model, summary: _summary, ...others }: TurnContext): string | undefined => {
    const [name] = Object.keys(others)
    if (name !== undefined) return `an input cannot change ${name}, only model, effort and summary`
    return models === undefined ? "the provider has only one model" : undefined
  }

/** Returns the model of a turn with a context: that of the session, or another one of its provider. */
export const modelOf = (settings: Settings, models: MakeModel | undefined) => {
  const made = new Map<string, Model>()
  return ({ effort, model = settings.model, summary }: TurnContext, own: Model): Model => {
    const isOwn =
      model === settings.model && effort === settings.reasoningEffort && summary === settings.reasoningSummary
    if (models === undefined || isOwn) return own
    const key = JSON.stringify([model, effort, summary])
    const known = made.get(key)
    if (known !== undefined) return known
    const { contextWindow } = settings.catalog.models.get(model) ?? {}
    const other = onDemand(models({ name: model, effort, summary }), { provider: own.provider, model, contextWindow })
    made.set(key, other)
    return other
  }
}

/** A model that is made with its first request. */
const onDemand = (make: Effect.Effect<Model>, about: Omit<Model, "stream">): Model => {
  let made: Model | undefined
  const model = Effect.suspend(() =>
    made === undefined ? Effect.map(make, (one) => (made = one)) : Effect.succeed(made)
  )
  return {
    ...about,
    get contextWindow() {
      return made === undefined ? about.contextWindow : made.contextWindow
    },
    stream: (request) => Stream.unwrap(Effect.map(model, (one) => one.stream(request)))
  }
}

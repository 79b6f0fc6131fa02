/**
 * The circumstances of the turns of a session: what the journal says about them, and what an input may change.
 *
 * An input may change the model, its effort and its summary, the approval policy and the sandbox. The rest is what the session
 * was opened with: its instructions, hooks, snapshots and the journals of its patches belong to one working directory.
 */
import type { Model, OutputFormat } from "@spindle/core/Model"
import type { TurnContext } from "@spindle/core/TurnContext"
import { nameOf } from "@spindle/tools/ApprovalPolicy"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Instructions from "../Instructions.ts"
import type { MakeModel } from "../Models.ts"
import { type ApprovalPolicy, approvalPolicies, type SandboxMode, sandboxModes, type Settings } from "../Settings.ts"

/** Where the turns of a session run, and in which form they answer. */
export interface Options {
  readonly cwd: string
  readonly settings: Settings
  readonly output?: OutputFormat | undefined
}

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

const fields = "model, effort, summary, approvalPolicy and sandbox"

/** Returns why an input may not change the context of turns like this; undefined if it may. */
export type Rule = (change: TurnContext) => string | undefined

/** Returns the rule for inputs. Without `models` the provider has only one. `mayChange` is the rule of the face. */
export const ruleOf =
  (models: MakeModel | undefined, mayChange: Rule = () => undefined): Rule =>
  (change) => {
    const { approvalPolicy, effort, model, sandbox, summary, ...others } = change
    const [name] = Object.keys(others)
    if (name !== undefined) return `an input cannot change ${name}, only ${fields}`
    const hasModel = model !== undefined || effort !== undefined || summary !== undefined
    if (hasModel && models === undefined) return "the provider has only one model"
    if (approvalPolicy !== undefined && policyOf(approvalPolicy) === undefined) {
      return `approvalPolicy is one of ${approvalPolicies.join(", ")}`
    }
    if (sandbox !== undefined && modeOf(sandbox) === undefined) return `sandbox is one of ${sandboxModes.join(", ")}`
    return mayChange(change)
  }

const policyOf = (name: string): ApprovalPolicy | undefined => approvalPolicies.find((one) => one === name)
const modeOf = (name: unknown): SandboxMode | undefined => sandboxModes.find((one) => one === name)

/** Returns the settings in a turn with a context: those of the session, with the policy and the sandbox of the turn. */
export const settingsIn = (settings: Settings, { approvalPolicy, sandbox }: TurnContext): Settings => {
  const policy =
    approvalPolicy === undefined || approvalPolicy === nameOf(settings.approvalPolicy)
      ? settings.approvalPolicy
      : (policyOf(approvalPolicy) ?? settings.approvalPolicy)
  const mode = modeOf(sandbox) ?? settings.sandboxMode
  return policy === settings.approvalPolicy && mode === settings.sandboxMode
    ? settings
    : { ...settings, approvalPolicy: policy, sandboxMode: mode }
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

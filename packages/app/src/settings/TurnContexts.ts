/**
 * The context of the turns of a session: the values in the journal, and the changes that an input may make.
 *
 * An input may change the model, its effort and its summary, the approval policy, the sandbox, the directory in which
 * calls start, and the form of the answer of its turn. The day changes by itself, and the provider is that of the
 * settings.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { Model, ModelRequest, OutputFormat } from "@spindle/core/Model"
import type { TurnContext } from "@spindle/core/TurnContext"
import { nameOf } from "@spindle/tools/ApprovalPolicy"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Instructions from "../Instructions.ts"
import type { MakeModel } from "../Models.ts"
import { approvalPolicies, type SandboxMode, sandboxModes, type Settings, type Sources } from "../Settings.ts"

/** The directory and the settings of the turns of a session, and the form of their answers. */
export interface Options {
  readonly cwd: string
  readonly settings: Settings
  readonly output?: OutputFormat | undefined
}

/** Returns the context of a turn that starts at a time, in milliseconds. */
export const make = ({ cwd, output, settings }: Options, now: number): TurnContext => ({
  provider: providerOf(settings),
  model: settings.model,
  ...(settings.reasoningEffort !== undefined && { effort: settings.reasoningEffort }),
  ...(settings.reasoningSummary !== undefined && { summary: settings.reasoningSummary }),
  approvalPolicy: nameOf(settings.approvalPolicy),
  sandbox: settings.sandboxMode,
  cwd,
  ...(output !== undefined && { output: output.schema as Schema.Json }),
  date: Instructions.dayOf(now)
})

const providerOf = ({ provider }: Settings): string => (provider._tag === "Scripted" ? "scripted" : provider.id)

const fields = "model, effort, summary, approvalPolicy, sandbox, cwd and output"

/** Returns the reason why an input may not change the context of turns like this; undefined if it may. */
export type Rule = (change: TurnContext) => string | undefined

/** The options of the rule. `mayChange` is the rule of the face. */
export interface RuleOptions extends Pick<Options, "cwd" | "settings"> {
  readonly mayChange?: Rule | undefined
}

/** Returns the rule for inputs. Without `models` the provider has only one. */
export const ruleOf =
  ({ cwd: own, mayChange = () => undefined, settings }: RuleOptions, models: MakeModel | undefined): Rule =>
  (change) => {
    const { approvalPolicy, cwd, effort, model, output, sandbox, summary, ...others } = change
    const [name] = Object.keys(others)
    if (name !== undefined) return `an input cannot change ${name}, only ${fields}`
    const hasModel = model !== undefined || effort !== undefined || summary !== undefined
    if (hasModel && models === undefined) return "the provider has only one model"
    if (approvalPolicy !== undefined && policyOf(settings, approvalPolicy) === undefined) {
      return `approvalPolicy is one of ${approvalPolicies.join(", ")}`
    }
    if (sandbox !== undefined && modeOf(sandbox) === undefined) return `sandbox is one of ${sandboxModes.join(", ")}`
    if (cwd !== undefined && !isDirectoryInside(own, cwd)) {
      return `cwd is the absolute path of a directory inside ${own}, which ${cwd} is not`
    }
    const isSchema = typeof output === "object" && output !== null && !Array.isArray(output)
    if (output !== undefined && !isSchema) return "output is a JSON schema, which is an object"
    return mayChange(change)
  }

/**
 * Returns true if an absolute path leads to a directory inside another one, by its names and after symbolic links are
 * resolved. A `..` that follows a link must not make a difference: the host takes it from where the link leads, and
 * whatever joins paths from its name.
 */
const isDirectoryInside = (directory: string, path: string): boolean => {
  if (!Path.isAbsolute(path)) return false
  try {
    // the other function removes each `..` before it resolves a link
    const root = Fs.realpathSync.native(directory)
    const real = Fs.realpathSync.native(path)
    if (real !== Fs.realpathSync.native(Path.resolve(path))) return false
    const isNamed = [directory, root].some((one) => isInside(Path.resolve(one), Path.resolve(path)))
    return isNamed && isInside(root, real) && Fs.statSync(real).isDirectory()
  } catch {
    // the directory does not exist, or cannot be reached
    return false
  }
}

const isInside = (directory: string, path: string): boolean => {
  const [first] = Path.relative(directory, path).split(Path.sep)
  return first !== ".." && !Path.isAbsolute(first!)
}

/** Returns the policy of a name. The name of a granular policy can only mean that of the settings. */
const policyOf = ({ approvalPolicy: own }: Settings, name: string): Settings["approvalPolicy"] | undefined =>
  name === nameOf(own) ? own : approvalPolicies.find((one) => one === name)
const modeOf = (name: unknown): SandboxMode | undefined => sandboxModes.find((one) => one === name)

/** Returns the settings in a turn with a context: those of the session, with the policy and the sandbox of the turn. */
export const settingsIn = (settings: Settings, { approvalPolicy, sandbox }: TurnContext): Settings => {
  const named = approvalPolicy === undefined ? undefined : policyOf(settings, approvalPolicy)
  const policy = named ?? settings.approvalPolicy
  const mode = modeOf(sandbox) ?? settings.sandboxMode
  return policy === settings.approvalPolicy && mode === settings.sandboxMode
    ? settings
    : { ...settings, approvalPolicy: policy, sandboxMode: mode }
}

/** Returns the directory in which the calls of a turn with a context start: by default that of the session. */
export const directoryIn =
  (own: string) =>
  ({ cwd = own }: TurnContext): string =>
    cwd

/**
 * Returns the change that sets the values that a person sees of a session: the policy, the sandbox and the directory.
 * It overrides the changes of earlier inputs.
 */
export const visibleContextOf = ({ cwd, settings: { approvalPolicy, sandboxMode } }: Options): TurnContext => ({
  approvalPolicy: nameOf(approvalPolicy),
  sandbox: sandboxMode,
  cwd
})

/** The part of the command line that concerns the model. */
export interface CommandLine extends Pick<Sources, "config"> {
  readonly flags: Pick<Sources["flags"], "model">
}

/** Returns the change that sets the model, the effort and the summary if the command line names them. */
export const commandLineContextOf = (
  { config, flags }: CommandLine,
  { model, reasoningEffort: effort, reasoningSummary: summary }: Settings
): TurnContext => {
  const isNamed = (key: string) => config.some(([name]) => name === key)
  return {
    ...((flags.model !== undefined || isNamed("model")) && { model }),
    ...(isNamed("model_reasoning_effort") && effort !== undefined && { effort }),
    ...(isNamed("model_reasoning_summary") && summary !== undefined && { summary })
  }
}

/**
 * Returns the change that reverts the model that an input has chosen, if the last turn ran with another provider, which
 * has other models. A journal without the name of a provider changes nothing.
 */
export const ownModelContextOf = (settings: Settings, last: TurnContext | undefined): TurnContext => {
  const { model, reasoningEffort: effort, reasoningSummary: summary } = settings
  return last?.provider === undefined || last.provider === providerOf(settings)
    ? {}
    : { model, ...(effort !== undefined && { effort }), ...(summary !== undefined && { summary }) }
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
    const about = { provider: own.provider, model, contextWindow, compacts: own.compact !== undefined }
    const other = onDemand(models({ name: model, effort, summary }), about)
    made.set(key, other)
    return other
  }
}

/** The known facts about a model before it is made. A provider that compacts does so for each of its models. */
interface About extends Pick<Model, "provider" | "model" | "contextWindow"> {
  readonly compacts: boolean
}

/** Returns a model that is made with its first request. */
const onDemand = (make: Effect.Effect<Model>, { compacts, ...about }: About): Model => {
  let made: Model | undefined
  const model = Effect.suspend(() =>
    made === undefined ? Effect.map(make, (one) => (made = one)) : Effect.succeed(made)
  )
  return {
    ...about,
    get contextWindow() {
      return made === undefined ? about.contextWindow : made.contextWindow
    },
    stream: (request) => Stream.unwrap(Effect.map(model, (one) => one.stream(request))),
    ...(compacts && {
      compact: (request: ModelRequest) => Stream.unwrap(Effect.map(model, (one) => one.compact!(request)))
    })
  }
}

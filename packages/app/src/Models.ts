/**
 * The model of a session, the other models of its provider that an agent may ask for, and the known facts about them.
 */
import type { Model, ModelPart, ModelRequest, ToolSpec } from "@spindle/core/Model"
import type * as ApiKeys from "@spindle/openai/ApiKeys"
import * as AnthropicModel from "@spindle/anthropic/AnthropicModel"
import * as ChatCompletionsModel from "@spindle/openai/ChatCompletionsModel"
import * as OpenAiModel from "@spindle/openai/OpenAiModel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as CoreModel from "@spindle/core/Model"
import * as Accounts from "./Accounts.ts"
import * as ModelList from "./models/ModelList.ts"
import * as Catalog from "./settings/catalog.ts"
import type { ModelInfo } from "./settings/catalog.ts"
import type { ServerProvider, Settings } from "./Settings.ts"

/**
 * Makes a model of the provider by name. Without an effort or a summary it has the configured one, or that of the
 * provider.
 */
export type MakeModel = (wanted: {
  readonly name: string
  readonly effort: string | undefined
  readonly summary?: string | undefined
}) => Effect.Effect<Model>

/** Makes models other than that of the session; undefined if the provider has only one. */
export class NamedModels extends Context.Reference<MakeModel | undefined>("@spindle/app/NamedModels", {
  defaultValue: () => undefined
}) {}

/** Returns the known facts about a model: from the configuration, from the list of the provider, or by this program. */
export class KnownModels extends Context.Reference<(name: string) => ModelInfo | undefined>(
  "@spindle/app/KnownModels",
  {
    defaultValue: () => () => undefined
  }
) {}

/** Serves the model of the provider `scripted` until the scope closes, and returns its base URL. */
export type ServeScripted<E> = Effect.Effect<string, E, Scope.Scope>

/** The model that the settings name, {@link NamedModels} and {@link KnownModels}. */
export const layer = <E>(
  settings: Settings,
  serveScripted: ServeScripted<E>
): Layer.Layer<Model, E, HttpClient.HttpClient> => {
  const { provider } = settings
  if (provider._tag === "Scripted") {
    return Layer.unwrap(
      Effect.map(serveScripted, (baseUrl) =>
        OpenAiModel.layer({ model: settings.model, provider: "scripted", baseUrl })
      )
    )
  }
  return Layer.effectContext(server(settings, provider))
}

const server = (settings: Settings, provider: ServerProvider) =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const apiKey = yield* apiKeyOf(settings, provider)
    const known = yield* knownModels(settings, provider, apiKey)
    const own = { ...optionsOf(settings, provider), ...(apiKey === undefined ? {} : { apiKey }) }
    const { make } = apis[provider._tag]
    const makeNamed: MakeModel = ({ effort: wanted, name: model, summary }) => {
      // the configured effort applies to the configured model only
      const { reasoningEffort: configured, ...rest } = own
      const effort = wanted ?? (model === settings.model ? configured : undefined)
      const parallelToolCalls = known.find(model)?.parallelToolCalls
      const options = {
        ...rest,
        model,
        ...(parallelToolCalls === undefined ? {} : { parallelToolCalls }),
        ...(effort === undefined ? {} : { reasoningEffort: effort }),
        ...(summary === undefined ? {} : { reasoningSummary: summary })
      }
      return Effect.map(Effect.provideService(make(options), HttpClient.HttpClient, client), known.attach)
    }
    const model = yield* makeNamed({ name: settings.model, effort: undefined })
    return Context.make(CoreModel.Model, model).pipe(
      Context.add(NamedModels, makeNamed),
      Context.add(KnownModels, known.find)
    )
  })

const apis = { Responses: OpenAiModel, ChatCompletions: ChatCompletionsModel, Messages: AnthropicModel }

const optionsOf = (settings: Settings, provider: ServerProvider) => ({
  provider: provider.id,
  baseUrl: provider.baseUrl,
  headers: Object.fromEntries(provider.headers.map(([name, value]) => [name, Redacted.value(value)])),
  queryParams: Object.fromEntries(provider.query),
  idleTimeout: provider.idleTimeoutMillis,
  // other servers of the Responses API have no such endpoint
  compactEndpoint: provider.id === "openai" && settings.features.isEnabled("remote_compaction"),
  ...(settings.maxOutputTokens === undefined ? {} : { maxOutputTokens: settings.maxOutputTokens }),
  ...(settings.reasoningEffort === undefined ? {} : { reasoningEffort: settings.reasoningEffort }),
  ...(settings.verbosity === undefined ? {} : { verbosity: settings.verbosity }),
  ...(settings.serviceTier === undefined ? {} : { serviceTier: settings.serviceTier }),
  ...(settings.webSearch === undefined ? {} : { webSearch: settings.webSearch }),
  ...(settings.reasoningSummary === undefined ? {} : { reasoningSummary: settings.reasoningSummary })
})

/** The key that all models of the provider share; undefined for a provider without one. */
const apiKeyOf = (
  { home }: Settings,
  { id, key, keyCommand, keyStore }: ServerProvider
): Effect.Effect<Redacted.Redacted<string> | ApiKeys.ApiKeys | undefined, never, Scope.Scope> => {
  if (key !== undefined) return Effect.succeed(key as Redacted.Redacted<string>)
  if (keyCommand !== undefined) return Accounts.shareKey(Accounts.keyFrom(keyCommand), keyCommand.refreshMillis)
  if (keyStore === undefined) return Effect.undefined
  return Accounts.shareKey(Accounts.storedKey(Accounts.storeOf(keyStore, home), id), 0)
}

/** The known facts about models, and a function that attaches them to a model. */
interface Known {
  readonly find: (name: string) => ModelInfo | undefined
  readonly attach: (model: Model) => Model
}

const knownModels = (
  { catalog, features, home }: Settings,
  provider: ServerProvider,
  apiKey: Redacted.Redacted<string> | ApiKeys.ApiKeys | undefined
): Effect.Effect<Known, never, HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function* () {
    const key = apiKey === undefined || Redacted.isRedacted(apiKey) ? Effect.succeed(apiKey) : apiKey.get
    const list = features.isEnabled("remote_models")
      ? yield* ModelList.make({
          home,
          provider: provider.id,
          baseUrl: provider.baseUrl,
          query: provider.query,
          key,
          headers: provider.headers,
          authorize: provider._tag === "Messages" ? AnthropicModel.authorize : HttpClientRequest.bearerToken
        })
      : undefined
    const find = (name: string) => merge(Catalog.find(catalog, name), list?.find(name))
    const warned = new Set<string>()
    const warningOf = (name: string): ReadonlyArray<ModelPart> => {
      const isListed = catalog.isComplete || list?.isKnown() === true
      if (!isListed || warned.has(name) || find(name) !== undefined) return []
      warned.add(name)
      const what = "how much it can read (set model_context_window, or enable remote_models)"
      return [
        { _tag: "Warning", message: `nothing is known about the model ${name} of ${provider.name}, such as ${what}` }
      ]
    }
    return { find, attach: attachTo(find, warningOf) }
  })

/** Merges two descriptions, field by field. The first one wins. */
const merge = (first: ModelInfo | undefined, second: ModelInfo | undefined): ModelInfo | undefined =>
  first === undefined || second === undefined
    ? (first ?? second)
    : {
        name: first.name,
        contextWindow: first.contextWindow ?? second.contextWindow,
        compactFromTokens: first.compactFromTokens ?? second.compactFromTokens,
        efforts: first.efforts ?? second.efforts,
        parallelToolCalls: first.parallelToolCalls ?? second.parallelToolCalls,
        toolFlavour: first.toolFlavour ?? second.toolFlavour
      }

/**
 * Attaches the known facts to a model: the current window, and the flavour of its tools. The first request of an
 * unknown model warns.
 */
const attachTo =
  (find: Known["find"], warningOf: (name: string) => ReadonlyArray<ModelPart>) =>
  (model: Model): Model => ({
    ...model,
    get contextWindow() {
      return find(model.model)?.contextWindow
    },
    stream: (request) =>
      Stream.suspend(() => {
        const warnings = warningOf(model.model)
        const parts = model.stream(
          find(model.model)?.toolFlavour === "function" ? { ...request, tools: functionsOf(request.tools) } : request
        )
        return warnings.length === 0 ? parts : Stream.concat(Stream.fromArray(warnings), parts)
      })
  })

const functions = new WeakMap<ModelRequest["tools"], ModelRequest["tools"]>()

/**
 * Returns the tools for a model without grammars: those with a grammar become functions with one text. Returns the same
 * array for the same array.
 */
const functionsOf = (tools: ModelRequest["tools"]): ModelRequest["tools"] => {
  if (tools.every(({ freeform }) => freeform === undefined)) return tools
  const made = functions.get(tools) ?? tools.map(functionOf)
  functions.set(tools, made)
  return made
}

const functionOf = (tool: ToolSpec): ToolSpec => {
  const { freeform, ...rest } = tool
  if (freeform === undefined) return tool
  const { definition, syntax } = freeform
  const input = { type: "string", description: `A text in this grammar (${syntax}):\n${definition}` }
  return {
    ...rest,
    parameters: { type: "object", properties: { input }, required: ["input"], additionalProperties: false }
  }
}

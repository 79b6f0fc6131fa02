/**
 * The model of a session, and the other models of its provider that an agent may ask for.
 */
import type { Model } from "@spindle/core/Model"
import * as ChatCompletionsModel from "@spindle/openai/ChatCompletionsModel"
import * as OpenAiModel from "@spindle/openai/OpenAiModel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as HttpClient from "effect/http/HttpClient"
import * as Accounts from "./Accounts.ts"
import type { ServerProvider, Settings } from "./Settings.ts"

/** Makes a model of the provider by name. Without an effort it has the configured one, or that of the provider. */
export type MakeModel = (wanted: { readonly name: string; readonly effort: string | undefined }) => Effect.Effect<Model>

/** Makes models other than that of the session; undefined if the provider has only one. */
export class NamedModels extends Context.Reference<MakeModel | undefined>("@spindle/app/NamedModels", {
  defaultValue: () => undefined
}) {}

/** Serves the model of the provider `scripted` until the scope closes, and returns its base URL. */
export type ServeScripted<E> = Effect.Effect<string, E, Scope.Scope>

/** The model that the settings name, and {@link NamedModels}. */
export const layer = <E>(
  settings: Settings,
  serveScripted: ServeScripted<E>
): Layer.Layer<Model, E, HttpClient.HttpClient> =>
  settings.provider._tag === "Scripted"
    ? Layer.unwrap(
        Effect.map(serveScripted, (baseUrl) =>
          OpenAiModel.layer({ model: settings.model, provider: "scripted", baseUrl })
        )
      )
    : server(settings, settings.provider)

const server = (settings: Settings, provider: ServerProvider) => {
  const own = optionsOf(settings, provider)
  const { layer, make } = provider._tag === "Responses" ? OpenAiModel : ChatCompletionsModel
  const named = Effect.map(HttpClient.HttpClient, (client): MakeModel => ({ effort: wanted, name: model }) => {
    // the configured effort applies to the configured model only
    const { contextWindow: _, reasoningEffort: configured, ...rest } = own
    const effort = wanted ?? (model === settings.model ? configured : undefined)
    const options = {
      ...rest,
      model,
      ...windowOf(settings, model),
      ...(effort === undefined ? {} : { reasoningEffort: effort })
    }
    return Effect.provideService(make(options), HttpClient.HttpClient, client)
  })
  return Layer.merge(layer(own), Layer.effect(NamedModels, named))
}

const optionsOf = (settings: Settings, provider: ServerProvider): OpenAiModel.Options => ({
  model: settings.model,
  provider: provider.id,
  baseUrl: provider.baseUrl,
  headers: Object.fromEntries(provider.headers.map(([name, value]) => [name, Redacted.value(value)])),
  queryParams: Object.fromEntries(provider.query),
  idleTimeout: provider.idleTimeoutMillis,
  compactEndpoint: settings.hasCompactEndpoint,
  ...windowOf(settings, settings.model),
  ...apiKeyOf(provider),
  ...(settings.reasoningEffort === undefined ? {} : { reasoningEffort: settings.reasoningEffort }),
  ...(settings.webSearch === undefined ? {} : { webSearch: settings.webSearch }),
  ...(settings.reasoningSummary === undefined ? {} : { reasoningSummary: settings.reasoningSummary })
})

const windowOf = ({ modelSizes }: Settings, model: string): Pick<OpenAiModel.Options, "contextWindow"> => {
  const contextWindow = modelSizes.get(model)?.contextWindow
  return contextWindow === undefined ? {} : { contextWindow }
}

const apiKeyOf = ({ key, keyCommand }: ServerProvider): Pick<OpenAiModel.Options, "apiKey"> => {
  if (key !== undefined) return { apiKey: key as Redacted.Redacted<string> }
  return keyCommand === undefined ? {} : { apiKey: Accounts.keyFrom(keyCommand) }
}

/**
 * Where layers meet the platform: files, processes, HTTP, journals with their lease, and the model that the settings
 * name.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Path from "node:path"
import * as JournalFile from "@spindle/core/JournalFile"
import type { Journal } from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
import type { Processes } from "@spindle/core/Processes"
import * as OpenAiModel from "@spindle/openai/OpenAiModel"
import * as CommandEnvironment from "@spindle/tools/CommandEnvironment"
import * as ProcessGroups from "@spindle/tools/ProcessGroups"
import * as Signals from "@spindle/tools/Signals"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as EffectPath from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as HttpClient from "effect/http/HttpClient"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { CliError } from "./CliError.ts"
import { type MakeModel, NamedModels } from "./CodingAgent.ts"
import * as EnvHttpClient from "./internal/envHttpClient.ts"
import * as DemoScript from "./DemoScript.ts"
import * as Help from "./Help.ts"
import * as SessionLease from "./SessionLease.ts"
import type { ResponsesProvider, Settings } from "./Settings.ts"
import * as TurnInput from "./TurnInput.ts"

const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)

/** Files, paths and processes of this machine. */
export const layer: Layer.Layer<FileSystem.FileSystem | EffectPath.Path | ProcessGroups.ProcessGroups | Processes> =
  ProcessGroups.layer.pipe(
    Layer.provide(NodeChildProcessSpawner.layer),
    Layer.provide(Signals.layerKill(process.kill)),
    Layer.provideMerge(files)
  )

/**
 * As {@link layer}, for the commands of a session: they inherit neither what looks like a secret nor any variable that
 * holds the key or a header of the provider, whatever its name.
 */
export const layerFor = ({ provider }: Settings, env: CommandEnvironment.Variables) => {
  const secrets = provider._tag === "Scripted" ? [] : [provider.key, ...provider.headers.map(([, value]) => value)]
  const values = secrets.flatMap((secret) => (secret === undefined ? [] : [Redacted.value(secret)]))
  const names = Object.entries(env).flatMap(([name, value]) => (values.includes(value ?? "") ? [name] : []))
  const policy: CommandEnvironment.Policy = { inherit: "all", exclude: [...CommandEnvironment.secretNames, ...names] }
  return layer.pipe(Layer.provide(Layer.succeed(CommandEnvironment.CommandEnvironment, policy)))
}

/** The journals below a home, leased from this machine's kernel (contract J2). */
export const journals = (home: string): Layer.Layer<Journal> =>
  JournalFile.layer({ directory: Path.join(home, "sessions") }).pipe(
    Layer.provide(files),
    Layer.provide(SessionLease.layer(home))
  )

/**
 * The model that the settings name. `paced`: a scripted one takes its time, for a person who watches. **Errors**:
 * `CliError` when the scripted one cannot be served, or when the environment names a proxy that cannot be used.
 */
export const model = (settings: Settings, options: { readonly paced: boolean }): Layer.Layer<Model, CliError> =>
  settings.provider._tag === "Scripted"
    ? Layer.provide(scripted(options), NodeHttpClient.layerNodeHttp)
    : Layer.provide(responses(settings, settings.provider), EnvHttpClient.layer(process.env))

const responses = (settings: Settings, provider: ResponsesProvider) => {
  const own = optionsOf(settings, provider)
  const named = Effect.map(HttpClient.HttpClient, (client): MakeModel => ({ effort: reasoningEffort, name: model }) => {
    // the effort that is configured is that of the model that is
    const { reasoningEffort: configured, ...rest } = own
    const effort = reasoningEffort ?? (model === settings.model ? configured : undefined)
    const options = { ...rest, model, ...(effort === undefined ? {} : { reasoningEffort: effort }) }
    return Effect.provideService(OpenAiModel.make(options), HttpClient.HttpClient, client)
  })
  return Layer.merge(OpenAiModel.layer(own), Layer.effect(NamedModels, named))
}

const optionsOf = (settings: Settings, provider: ResponsesProvider): OpenAiModel.Options => ({
  model: settings.model,
  provider: provider.id,
  baseUrl: provider.baseUrl,
  headers: Object.fromEntries(provider.headers.map(([name, value]) => [name, Redacted.value(value)])),
  queryParams: Object.fromEntries(provider.query),
  idleTimeout: provider.idleTimeoutMillis,
  ...(provider.key === undefined ? {} : { apiKey: provider.key as Redacted.Redacted<string> }),
  ...(settings.reasoningEffort === undefined ? {} : { reasoningEffort: settings.reasoningEffort }),
  ...(settings.reasoningSummary === undefined ? {} : { reasoningSummary: settings.reasoningSummary })
})

/** The script of the demo behind a server of this process; the server is loaded here only, and ends with the layer. */
const scripted = (options: { readonly paced: boolean }) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const ResponsesServer = yield* Effect.promise(() => import("@spindle/testing/ResponsesServer"))
      const { baseUrl } = yield* ResponsesServer.answering((body) => DemoScript.turnOf(body, options))
      return OpenAiModel.layer({ model: "scripted", provider: "scripted", baseUrl })
    }).pipe(
      Effect.mapError(
        ({ cause }) =>
          new CliError({
            detail: `the scripted model cannot listen on 127.0.0.1: ${TurnInput.reasonOf(cause)}`,
            exitCode: Help.exitCodes.failed
          })
      )
    )
  )

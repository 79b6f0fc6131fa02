/**
 * The known facts about models: those in the file that `model_catalog_json` names, and those about OpenAI and
 * Anthropic.
 */
import * as Schema from "effect/Schema"
import type { Files } from "./files.ts"
import type * as Table from "./table.ts"

/** A model. A field that is undefined is not known. */
export interface ModelInfo {
  readonly name: string
  /** The size of the context in tokens. */
  readonly contextWindow: number | undefined
  /** The number of tokens at which a conversation is compacted. */
  readonly compactFromTokens: number | undefined
  /** The reasoning efforts that it has. */
  readonly efforts: ReadonlyArray<string> | undefined
  /** True if it may call several tools at once. */
  readonly parallelToolCalls: boolean | undefined
  /** The form of tools with a grammar: `freeform` with the grammar, `function` as functions with one text. */
  readonly toolFlavour: "freeform" | "function" | undefined
}

const Count = Schema.Int.check(Schema.isGreaterThan(0))

/** An entry of a catalog. Further keys are ignored. */
export const CatalogModel = Schema.Struct({
  slug: Schema.String,
  supported_reasoning_levels: Schema.optionalKey(Schema.Array(Schema.Struct({ effort: Schema.String }))),
  context_window: Schema.optionalKey(Schema.NullOr(Count)),
  auto_compact_token_limit: Schema.optionalKey(Schema.NullOr(Count)),
  supports_parallel_tool_calls: Schema.optionalKey(Schema.Boolean),
  apply_patch_tool_type: Schema.optionalKey(Schema.NullOr(Schema.Literals(["freeform", "function"])))
})

const CatalogFile = Schema.Struct({ models: Schema.Array(CatalogModel) })

/** Converts an entry of a catalog. */
export const infoOf = (entry: typeof CatalogModel.Type): ModelInfo => ({
  name: entry.slug,
  contextWindow: entry.context_window ?? undefined,
  compactFromTokens: entry.auto_compact_token_limit ?? undefined,
  efforts: entry.supported_reasoning_levels?.map(({ effort }) => effort),
  parallelToolCalls: entry.supports_parallel_tool_calls,
  toolFlavour: entry.apply_patch_tool_type ?? undefined
})

/**
 * Returns the models of the catalog; undefined if no file is named. Throws `SettingsInvalid` for a file that is not a
 * catalog.
 */
export const read = (table: Table.Settings, files: Pick<Files, "json">): ReadonlyArray<ModelInfo> | undefined =>
  files.json(table, "model_catalog_json", CatalogFile)?.models.map(infoOf)

const family = (
  names: ReadonlyArray<string>,
  known: Pick<ModelInfo, "contextWindow"> & Partial<ModelInfo>
): ReadonlyArray<ModelInfo> =>
  names.map((name) => ({
    name,
    compactFromTokens: undefined,
    efforts: undefined,
    parallelToolCalls: undefined,
    toolFlavour: undefined,
    ...known
  }))

/** The models that this program knows without a list, by provider. */
const builtIn: { readonly [provider: string]: ReadonlyArray<ModelInfo> | undefined } = {
  openai: [
    ...family(["gpt-5", "gpt-5-mini", "gpt-5-nano"], {
      contextWindow: 272_000,
      efforts: ["minimal", "low", "medium", "high"]
    }),
    ...family(["gpt-5-codex", "gpt-5.1", "gpt-5.1-codex", "gpt-5.1-codex-mini"], { contextWindow: 272_000 }),
    ...family(["o3", "o3-mini", "o4-mini"], {
      contextWindow: 200_000,
      efforts: ["low", "medium", "high"],
      toolFlavour: "function"
    }),
    ...family(["gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano"], {
      contextWindow: 1_047_576,
      efforts: [],
      toolFlavour: "function"
    }),
    ...family(["gpt-4o", "gpt-4o-mini"], { contextWindow: 128_000, efforts: [], toolFlavour: "function" })
  ],
  anthropic: family(
    [
      "claude-3-5-haiku",
      "claude-3-7-sonnet",
      "claude-haiku-4-5",
      "claude-opus-4",
      "claude-opus-4-1",
      "claude-opus-4-5",
      "claude-sonnet-4",
      "claude-sonnet-4-5"
    ],
    { contextWindow: 200_000 }
  )
}

/** The sources of the catalog. */
export interface Sources {
  readonly table: Table.Settings
  readonly files: Pick<Files, "json">
  /** The configured model. */
  readonly model: string
  /** The id of the provider, if its models are those that this program knows. */
  readonly provider: string | undefined
}

/** Returns the model. The date of a snapshot in its name makes no difference. */
export const find = ({ models }: Pick<Catalog, "models">, name: string): ModelInfo | undefined =>
  models.get(name) ?? models.get(name.replace(/-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$/, ""))

/** The known facts about models before the provider is asked. */
export interface Catalog {
  readonly models: ReadonlyMap<string, ModelInfo>
  /** True if all models of the provider are listed, so that another name is not known. */
  readonly isComplete: boolean
}

/**
 * Makes the catalog. `model_context_window` and `model_auto_compact_token_limit` apply to the configured model and win
 * over the file. The file wins over the facts in this program.
 */
export const make = ({ files, model, provider, table }: Sources): Catalog => {
  const known = provider === undefined ? undefined : builtIn[provider]
  const file = read(table, files)
  const models = new Map([...(known ?? []), ...(file ?? [])].map((one) => [one.name, one]))
  const contextWindow = table.count("model_context_window")
  const compactFromTokens = table.count("model_auto_compact_token_limit")
  if (contextWindow !== undefined || compactFromTokens !== undefined) {
    const listed = find({ models }, model) ?? family([model], { contextWindow: undefined })[0]!
    models.set(model, {
      ...listed,
      contextWindow: contextWindow ?? listed.contextWindow,
      compactFromTokens: compactFromTokens ?? listed.compactFromTokens
    })
  }
  return { models, isComplete: known !== undefined || file !== undefined }
}

/** Returns a warning for an effort that the model does not have. */
export const effortWarning = (catalog: Catalog, model: string, effort: string | undefined): string | undefined => {
  const efforts = find(catalog, model)?.efforts
  if (effort === undefined || efforts === undefined || efforts.includes(effort)) return undefined
  const what = efforts.length === 0 ? "no reasoning efforts" : `the reasoning efforts ${efforts.join(", ")}`
  return `model_reasoning_effort is "${effort}", but the model ${model} has ${what}`
}

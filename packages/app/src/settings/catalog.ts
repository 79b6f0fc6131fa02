/** The catalog of models, in the file that `model_catalog_json` names. */
import * as Schema from "effect/Schema"
import type { Files } from "./files.ts"
import type * as Table from "./table.ts"

const Count = Schema.Int.check(Schema.isGreaterThan(0))

const CatalogModel = Schema.Struct({
  slug: Schema.String,
  supported_reasoning_levels: Schema.optionalKey(Schema.Array(Schema.Struct({ effort: Schema.String }))),
  context_window: Schema.optionalKey(Schema.NullOr(Count)),
  auto_compact_token_limit: Schema.optionalKey(Schema.NullOr(Count))
})

const Catalog = Schema.Struct({ models: Schema.Array(CatalogModel) })

/** Returns the models of the catalog; none if no file is named. Throws `SettingsInvalid` for a file that is no catalog. */
export const read = (table: Table.Settings, files: Pick<Files, "json">): ReadonlyArray<typeof CatalogModel.Type> =>
  files.json(table, "model_catalog_json", Catalog)?.models ?? []

/** How much a model can read. */
export interface ModelSize {
  /** How many tokens fit. */
  readonly contextWindow: number | undefined
  /** From how many tokens a conversation is compacted. */
  readonly compactFromTokens: number | undefined
}

/**
 * Returns the sizes of models by name. `model_context_window` and `model_auto_compact_token_limit` apply to the configured
 * model.
 */
export const sizes = (
  table: Table.Settings,
  files: Pick<Files, "json">,
  model: string
): ReadonlyMap<string, ModelSize> => {
  const all = new Map<string, ModelSize>()
  for (const { auto_compact_token_limit, context_window, slug } of read(table, files)) {
    all.set(slug, {
      contextWindow: context_window ?? undefined,
      compactFromTokens: auto_compact_token_limit ?? undefined
    })
  }
  const listed = all.get(model)
  return all.set(model, {
    contextWindow: table.count("model_context_window") ?? listed?.contextWindow,
    compactFromTokens: table.count("model_auto_compact_token_limit") ?? listed?.compactFromTokens
  })
}

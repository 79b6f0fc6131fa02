/**
 * The keys of the reference that stop the program: they would change the text or the tools that a model receives, the
 * model itself or the account, and this program cannot do that
 * ([decision 93](../../../../docs/decisions/0093-keys-that-change-model-requests.md)).
 *
 * Only the value in force counts: a key of a profile that is not chosen, or of a provider that is not used, stops
 * nothing.
 */
import { isDeepStrictEqual } from "node:util"
import type * as Table from "./table.ts"

/** A key that stops the program, and the advice for the person. */
export interface Unsupported {
  readonly key: string
  readonly advice: string
}

/** The keys that stop the program whatever their value is. */
const always: ReadonlyArray<Unsupported> = [
  { key: "compact_prompt", advice: "remove it; the prompt of a compaction is fixed" },
  { key: "experimental_compact_prompt_file", advice: "remove it; the prompt of a compaction is fixed" },
  { key: "review_model", advice: "remove it, and start reviews with --model" },
  { key: "tool_output_token_limit", advice: "remove it; the limits of tools are fixed" }
]

/** The parts of a request that this program always sends. Only `false` would change something. */
const sent: ReadonlyArray<string> = [
  "tools.view_image",
  "include_environment_context",
  "include_permissions_instructions",
  "include_apps_instructions",
  "include_collaboration_mode_instructions",
  "skills.include_instructions"
]

/**
 * The features of the reference that change the tools or the texts of a request, with the value that this program does
 * not support. A feature that is not in this list changes no request, or has that value in the reference by default.
 */
const features: { readonly [name: string]: boolean } = {
  artifact: true,
  catalog_apps_instructions: true,
  chronicle: true,
  code_mode: true,
  code_mode_only: true,
  current_time_reminder: true,
  model_catalog_in_context: true,
  multi_agent_v2: true,
  non_prefixed_mcp_tool_names: true,
  omit_skill_descriptions: true,
  shell_tool: false,
  standalone_web_search: true,
  terminal_visualization_instructions: true,
  token_budget: true,
  utc_environment_date: true,
  view_image: false
}

/** The keys whose value the requests of an agent take from its session. A role can have no other value. */
const shared: ReadonlyArray<string> = [
  "model_provider",
  "model_reasoning_summary",
  "model_verbosity",
  "service_tier",
  "web_search",
  "personality",
  "model_max_output_tokens",
  "model_context_window",
  "model_auto_compact_token_limit",
  "model_catalog_json",
  "project_doc_max_bytes",
  "project_doc_fallback_filenames",
  "project_root_markers",
  "mcp_servers",
  "features",
  "tools",
  "skills",
  ...always.map(({ key }) => key),
  ...sent.filter((key) => !key.includes("."))
]

/** Returns the first key of a role that stops the program: one that differs from the value of the session. */
export const findInRole = (
  valueOf: (key: string) => unknown,
  { at, session }: { readonly at: string; readonly session: Table.Settings }
): Unsupported | undefined => {
  const key = shared.find((name) => differs(valueOf(name), session.value(name)))
  return key === undefined
    ? undefined
    : { key: `${at}: ${key}`, advice: "remove it; agents share it with their session" }
}

/** Returns true if a value, or a part of a table, is set and differs. */
const differs = (value: unknown, from: unknown): boolean =>
  isTree(value)
    ? Object.entries(value).some(([name, inner]) => differs(inner, isTree(from) ? from[name] : undefined))
    : value !== undefined && !isDeepStrictEqual(value, from)

const isTree = (value: unknown): value is Table.Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The keys that an API cannot express, with the values that change nothing. */
const withoutWords: ReadonlyArray<{
  readonly key: string
  readonly apis: ReadonlyArray<string>
  readonly idle: ReadonlyArray<string>
}> = [
  { key: "model_reasoning_summary", apis: ["ChatCompletions", "Messages"], idle: ["auto", "none"] },
  { key: "web_search", apis: ["ChatCompletions", "Messages"], idle: ["disabled"] },
  { key: "model_verbosity", apis: ["Messages"], idle: ["medium"] },
  { key: "service_tier", apis: ["Messages"], idle: ["auto", "default"] }
]

/** The provider that is used: its id, and the API that it speaks. */
interface Used {
  readonly _tag: string
  readonly id: string
}

/**
 * Returns the first key in force that stops the program, whatever the API. `provider` is the id of the one that is
 * used.
 */
export const find = (table: Table.Settings, provider: string | undefined): Unsupported | undefined => {
  const unconditional = always.find(({ key }) => table.value(key) !== undefined)
  if (unconditional !== undefined) return unconditional
  const omitted = sent.find((key) => table.value(key) === false)
  if (omitted !== undefined) return { key: `${omitted} = false`, advice: "remove it; this part is always sent" }
  const feature = Object.entries(features).find(([name, value]) => table.value(["features", name]) === value)
  if (feature !== undefined) {
    const [name, value] = feature
    return { key: `features.${name} = ${value}`, advice: "remove it; it would change what a model receives" }
  }
  if (table.isTable("tools.web_search")) {
    return { key: "tools.web_search as a table", advice: 'replace it by web_search = "live" or "cached"' }
  }
  if (table.value("forced_login_method") === "chatgpt") {
    return { key: 'forced_login_method = "chatgpt"', advice: "remove it; this program signs in with keys only" }
  }
  if (provider === undefined || table.value([`model_providers.${provider}`, "aws"]) === undefined) return undefined
  return {
    key: `model_providers.${provider}.aws`,
    advice: "use a provider with a key; this program does not sign requests for AWS"
  }
}

/** Returns the first key that the provider's API cannot express. `webSearch` is in force, whatever key sets it. */
export const findForApi = (
  table: Table.Settings,
  { provider, webSearch }: { readonly provider: Used; readonly webSearch: string | undefined }
): Unsupported | undefined => {
  const found = withoutWords.find(({ apis, idle, key }) => {
    const value = key === "web_search" ? webSearch : table.value(key)
    return apis.includes(provider._tag) && value !== undefined && !idle.some((one) => one === value)
  })
  return found === undefined
    ? undefined
    : { key: found.key, advice: `remove it; the API of the provider ${provider.id} has no such setting` }
}

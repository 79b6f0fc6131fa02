/**
 * The keys of the reference that stop the program: they would change the text or the tools that a model receives, the model
 * itself or the account, and this program cannot do that
 * ([decision 93](../../../../docs/decisions/0093-keys-that-change-model-requests.md)).
 *
 * A key counts with the value that is in force: that of a profile that is not chosen, or of a provider that is not used,
 * stops nothing.
 */
import type * as Table from "./table.ts"

/** A key that stops the program, and what to do about it. */
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

/** Parts of a request that this program always sends: only `false` would change something. */
const sent: ReadonlyArray<string> = [
  "tools.view_image",
  "include_environment_context",
  "include_permissions_instructions",
  "include_apps_instructions",
  "include_collaboration_mode_instructions",
  "skills.include_instructions"
]

/** Returns the first key in force that stops the program. `provider` is the id of the one that is used. */
export const find = (table: Table.Settings, provider: string | undefined): Unsupported | undefined => {
  const unconditional = always.find(({ key }) => table.value(key) !== undefined)
  if (unconditional !== undefined) return unconditional
  const omitted = sent.find((key) => table.value(key) === false)
  if (omitted !== undefined) return { key: `${omitted} = false`, advice: "remove it; this part is always sent" }
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

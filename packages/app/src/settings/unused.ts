/**
 * The keys of a configuration that have no effect here. Some belong to the reference, others are mistyped; a warning
 * names them.
 */
import type { Layer, Tree } from "./table.ts"

/** The part below a key that is read: everything, or some names. `*` means any name. */
type Known = true | { readonly [name: string]: Known }

const names = (...known: ReadonlyArray<string>): { readonly [name: string]: true } =>
  Object.fromEntries(known.map((name) => [name, true]))

const profile: Known = {
  ...names(
    "model",
    "model_provider",
    "openai_base_url",
    "cli_auth_credentials_store",
    "sandbox_mode",
    "sandbox_max_processes",
    "model_reasoning_effort",
    "model_reasoning_summary",
    "model_verbosity",
    "service_tier",
    "developer_instructions",
    "web_search",
    "model_instructions_file",
    "experimental_instructions_file",
    "instructions",
    "personality",
    "forced_login_method",
    "include_environment_context",
    "include_permissions_instructions",
    "include_apps_instructions",
    "include_collaboration_mode_instructions",
    "model_catalog_json",
    "project_doc_max_bytes",
    "project_doc_fallback_filenames",
    "project_root_markers",
    "allow_login_shell",
    "background_terminal_max_timeout",
    "model_context_window",
    "model_auto_compact_token_limit",
    "model_max_output_tokens"
  ),
  shell_environment_policy: {
    ...names("inherit", "ignore_default_excludes", "exclude", "include_only"),
    set: true
  },
  approval_policy: {
    granular: names("sandbox_approval", "rules", "mcp_elicitations", "request_permissions")
  },
  tools: names("web_search", "view_image"),
  skills: { ...names("include_instructions"), config: true },
  // `Features` names the unknown ones
  features: true,
  sandbox_workspace_write: names("writable_roots", "network_access", "exclude_slash_tmp", "exclude_tmpdir_env_var"),
  default_permissions: true,
  permissions: { "*": { network: { enabled: true, domains: true } } },
  otel: names("environment", "log_user_prompt", "exporter", "trace_exporter", "metrics_exporter"),
  agents: {
    ...names("max_threads", "max_depth", "job_max_runtime_seconds"),
    "*": names(
      "description",
      "config_file",
      "instructions_file",
      "developer_instructions",
      "model",
      "model_reasoning_effort",
      "sandbox_mode",
      "nickname_candidates"
    )
  },
  mcp_servers: {
    "*": {
      ...names(
        "command",
        "args",
        "cwd",
        "env",
        "env_vars",
        "url",
        "bearer_token_env_var",
        "http_headers",
        "env_http_headers",
        "oauth_client_id",
        "oauth_client_secret_env_var",
        "scopes",
        "enabled",
        "required",
        "startup_timeout_sec",
        "tool_timeout_sec",
        "enabled_tools",
        "disabled_tools",
        "supports_parallel_tool_calls",
        "turn_headers",
        "apps",
        "protocol_version"
      )
    }
  },
  model_providers: {
    "*": {
      ...names(
        "name",
        "base_url",
        "wire_api",
        "env_key",
        "env_key_instructions",
        "requires_openai_auth",
        "experimental_bearer_token",
        "http_headers",
        "env_http_headers",
        "query_params",
        "request_max_retries",
        "stream_max_retries",
        "stream_idle_timeout_ms"
      ),
      auth: names("command", "args", "cwd", "timeout_ms", "refresh_interval_ms")
    }
  }
}

const root: Known = { ...profile, hooks: true, profile: true, profiles: { "*": profile } }

/** Returns the keys of the layers that nothing reads, each once, as dotted names. */
export const of = (layers: ReadonlyArray<Pick<Layer, "table">>): ReadonlyArray<string> => [
  ...new Set(layers.flatMap(({ table }) => unusedNames(table, root, "")))
]

/** The keys that are read in the `config_file` of a role. */
const role = names(
  "name",
  "description",
  "model",
  "model_reasoning_effort",
  "model_instructions_file",
  "experimental_instructions_file",
  "instructions",
  "developer_instructions",
  "sandbox_mode",
  "nickname_candidates"
)

/** Returns the keys of the `config_file` of a role that nothing reads, each after `at`. */
export const ofRole = (layers: ReadonlyArray<Pick<Layer, "table">>, at: string): ReadonlyArray<string> =>
  layers.flatMap(({ table }) => unusedNames(table, role, `${at}: `))

const unusedNames = (table: Tree, known: Exclude<Known, true>, at: string): ReadonlyArray<string> =>
  Object.entries(table).flatMap(([name, value]) => {
    const inner = Object.hasOwn(known, name) ? known[name] : known["*"]
    if (inner === undefined) return [`${at}${name}`]
    if (inner === true || typeof value !== "object" || value === null || Array.isArray(value)) return []
    return unusedNames(value as Tree, inner, `${at}${name}.`)
  })

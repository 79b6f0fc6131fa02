// The programs that are compared as a whole: how each is configured for a scripted model server, and started.
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"

/** What Codex needs to know about a model that it does not know. */
const catalog = {
  models: [
    {
      slug: "mock-model",
      display_name: "mock-model",
      description: "scripted model",
      default_reasoning_level: "medium",
      supported_reasoning_levels: [{ effort: "medium", description: "medium" }],
      shell_type: "unified_exec",
      visibility: "list",
      supported_in_api: true,
      priority: 1,
      additional_speed_tiers: [],
      service_tiers: [],
      availability_nux: null,
      upgrade: null,
      base_instructions: "You are a scripted model.",
      default_reasoning_summary: "auto",
      support_verbosity: false,
      default_verbosity: null,
      supports_reasoning_summaries: true,
      supports_parallel_tool_calls: true,
      apply_patch_tool_type: "freeform",
      web_search_tool_type: "text",
      truncation_policy: { mode: "tokens", limit: 10000 },
      context_window: 272000,
      max_context_window: 272000,
      effective_context_window_percent: 95,
      experimental_supported_tools: [],
      input_modalities: ["text", "image"],
      supports_search_tool: false,
      supports_image_detail_original: true,
      use_responses_lite: false
    }
  ]
}

const shared = (sandboxMode) => `model = "mock-model"
model_provider = "mock"
approval_policy = "never"
sandbox_mode = "${sandboxMode}"
`
const provider = (baseUrl) => `[model_providers.mock]
name = "mock"
base_url = ${JSON.stringify(baseUrl)}
wire_api = "responses"
`
const codexOnly = (home) => `model_catalog_json = ${JSON.stringify(join(home, "catalog.json"))}
web_search = "disabled"
check_for_update_on_startup = false
[analytics]
enabled = false
[feedback]
enabled = false
[features]
plugins = false
apps = false
`

/** Returns the programs: Spindle, and Codex if its path is given. */
export const programsOf = ({ bin, codex }, sandboxMode = "danger-full-access") => [
  {
    name: "spindle",
    argv: [...(/\.m?js$/.test(bin) ? [process.execPath] : []), resolve(bin), "exec", "--json"],
    configure: (home, baseUrl) => writeFileSync(join(home, "config.toml"), shared(sandboxMode) + provider(baseUrl))
  },
  ...(codex === undefined
    ? []
    : [
        {
          name: "codex",
          argv: [resolve(codex), "exec", "--json", "--skip-git-repo-check"],
          configure: (home, baseUrl) => {
            writeFileSync(join(home, "catalog.json"), JSON.stringify(catalog))
            writeFileSync(join(home, "config.toml"), shared(sandboxMode) + codexOnly(home) + provider(baseUrl))
          }
        }
      ])
]

/** Makes a private home, working directory and temporary directory for one program below `root`. */
export const makePlace = (root, program, baseUrl) => {
  const folder = join(root, program.name)
  rmSync(folder, { recursive: true, force: true })
  const [home, cwd, temporary] = ["home", "project", "tmp"].map((name) => join(folder, name))
  for (const one of [home, cwd, temporary]) mkdirSync(one, { recursive: true })
  program.configure(home, baseUrl)
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    SPINDLE_HOME: home,
    CODEX_HOME: home,
    // Codex refuses a home below the temporary directory, so the temporary directory is a separate folder
    TMPDIR: temporary,
    LANG: "C.UTF-8",
    TERM: "dumb",
    SHELL: "/bin/sh"
  }
  return { cwd, env }
}

/**
 * The features of this program that can be switched on and off, with their stages.
 *
 * They are keys of the table `[features]` of the configuration. `--enable` and `--disable` win over it.
 */
import type * as Table from "./settings/table.ts"

/**
 * The maturity of a feature. An `experimental` one may change or be removed, a `beta` one is complete and may change. A
 * `deprecated` one still works and names its replacement. A `removed` one can no longer be switched.
 */
export type Stage = "experimental" | "beta" | "stable" | "deprecated" | "removed"

/** The description of a feature. */
export interface Described {
  readonly stage: Stage
  /** True if it is on unless something switches it. */
  readonly isDefault: boolean
  /** A sentence about its effect. For a deprecated or removed one, advice on what to use. */
  readonly summary: string
}

/** The description of each feature, by its name. */
export const known = {
  hooks: { stage: "stable", isDefault: true, summary: "the commands of the table [hooks] run" },
  js_repl: {
    stage: "experimental",
    isDefault: false,
    summary: "the model has a JavaScript kernel whose variables stay from call to call"
  },
  memories: {
    stage: "experimental",
    isDefault: false,
    summary: "the agent has a memory, for instance from an MCP server: tmp_mem_enabled of the metrics is true"
  },
  multi_agent: { stage: "beta", isDefault: false, summary: "the model can start agents" },
  reference_metrics: {
    stage: "experimental",
    isDefault: false,
    summary: "the metrics that are sent include those of the reference, by its names"
  },
  remote_compaction: {
    stage: "beta",
    isDefault: true,
    summary: "the provider openai makes the summary of a conversation that is compacted, sealed for itself"
  },
  remote_models: {
    stage: "beta",
    isDefault: false,
    summary: "the list of models is fetched from the provider, to know how much each of them can read"
  },
  undo: { stage: "stable", isDefault: true, summary: "turns take snapshots of the files, so that they can be undone" },
  collab: { stage: "deprecated", isDefault: false, summary: "use multi_agent" },
  web_search_cached: { stage: "deprecated", isDefault: false, summary: 'use web_search = "cached"' },
  web_search_request: { stage: "deprecated", isDefault: false, summary: 'use web_search = "live"' },
  steer: { stage: "removed", isDefault: true, summary: "input always reaches the running turn" },
  unified_exec: { stage: "removed", isDefault: true, summary: "commands can always keep running" }
} as const satisfies { readonly [name: string]: Described }

/** The name of a feature. */
export type FeatureName = keyof typeof known

/** A feature with its state. */
export interface Feature extends Described {
  readonly name: FeatureName
  readonly isEnabled: boolean
}

/** The features in force. */
export interface Features {
  readonly isEnabled: (name: FeatureName) => boolean
  /** All features, in alphabetical order. */
  readonly all: ReadonlyArray<Feature>
  /** The names in the table that are not features, each once. */
  readonly unknown: ReadonlyArray<string>
  /** Warnings for a person about the features that were switched. */
  readonly warnings: ReadonlyArray<string>
}

const names = (Object.keys(known) as Array<FeatureName>).toSorted()

/** The features that a deprecated one switches, unless they are switched themselves. */
const replacements: { readonly [name in FeatureName]?: FeatureName } = { collab: "multi_agent" }

/** Reads the features. Throws the error of the table for a value that is not true or false. */
export const read = (table: Table.Settings): Features => {
  const switched = new Map(names.map((name) => [name, table.flag(`features.${name}`)] as const))
  const warnings: Array<string> = []
  for (const name of names) {
    const { stage, summary } = known[name]
    if (switched.get(name) === undefined || (stage !== "deprecated" && stage !== "removed")) continue
    warnings.push(`the feature ${name} ${stage === "removed" ? "was removed" : "is deprecated"}: ${summary}`)
    const replacement = replacements[name]
    if (replacement !== undefined) switched.set(replacement, switched.get(replacement) ?? switched.get(name))
  }
  const all = names.map((name): Feature => {
    const { isDefault, stage } = known[name]
    return {
      name,
      ...known[name],
      isEnabled: stage === "removed" ? isDefault : (switched.get(name) ?? isDefault)
    }
  })
  const enabled = new Set(all.flatMap(({ isEnabled, name }) => (isEnabled ? [name] : [])))
  return {
    isEnabled: (name) => enabled.has(name),
    all,
    unknown: table.keys("features").filter((name) => !Object.hasOwn(known, name)),
    warnings
  }
}

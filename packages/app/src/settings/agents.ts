/**
 * The settings of agents that the model may start: the limits in the table `agents`, its roles, and the models to
 * choose from. The keys are the reference's, except `instructions_file` of a role. A key of a role that needs requests
 * which this program cannot make stops the program.
 */
import * as Catalog from "./catalog.ts"
import type { Files } from "./files.ts"
import { refuse } from "./reason.ts"
import { type SandboxMode, sandboxModes } from "./sandbox.ts"
import type * as Table from "./table.ts"
import * as Unsupported from "./unsupported.ts"
import * as UnusedKeys from "./unused.ts"

/** A role of an agent. A field that is undefined has the value of the session. */
export interface AgentRole {
  readonly name: string
  readonly description: string
  /** The content of its `instructions_file`, which replaces the default instructions. */
  readonly instructions: string | undefined
  /** Its `developer_instructions`, which follow the instructions. */
  readonly addition: string | undefined
  readonly model: string | undefined
  readonly reasoningEffort: string | undefined
  readonly nicknames: ReadonlyArray<string> | undefined
  /** The sandbox that bounds its commands and patches. It is never wider than that of the session. */
  readonly sandboxMode: SandboxMode | undefined
}

/** A model to choose from, with the reasoning efforts that it supports. */
export interface AgentModel {
  readonly name: string
  readonly efforts: ReadonlyArray<string>
}

/** Limits, roles and models of agents. */
export interface AgentSettings {
  /** The number of agents that may run at the same time. */
  readonly threads: number
  readonly depth: number
  /** The time after which an agent is ended, in seconds. */
  readonly runtimeSeconds: number
  readonly roles: ReadonlyArray<AgentRole>
  readonly models: ReadonlyArray<AgentModel>
}

/** The sources. `model` is that of the session; undefined if the provider has no other. */
export interface Sources {
  readonly table: Table.Settings
  readonly files: Files
  readonly model: string | undefined
}

/** The efforts of a model that is not in a catalog. */
const defaultEfforts: ReadonlyArray<string> = ["minimal", "low", "medium", "high", "xhigh"]

/** Reads the settings. */
export const read = (sources: Sources): AgentSettings => {
  const { table } = sources
  const roles = roleNamesOf(table).map((name) => roleOf(sources, name))
  return {
    threads: table.count("agents.max_threads") ?? 6,
    depth: table.count("agents.max_depth") ?? 1,
    runtimeSeconds: table.count("agents.job_max_runtime_seconds") ?? 1_800,
    roles,
    models: modelsOf(sources, roles)
  }
}

/** Returns the keys in the files of roles that nothing reads. */
export const unusedOf = ({ files, table }: Pick<Sources, "files" | "table">): ReadonlyArray<string> =>
  roleNamesOf(table).flatMap((name) => {
    const key = [`agents.${name}`, "config_file"] as const
    return UnusedKeys.ofRole(files.table(table, key).layers, key.join("."))
  })

// a key that is not a table is a setting, known or not
const roleNamesOf = (table: Table.Settings): ReadonlyArray<string> =>
  table.keys("agents").filter((name) => table.isTable([`agents.${name}`]))

/** Reads a role. Each key is looked up in its table, then in its `config_file`. */
const roleOf = ({ files, table }: Sources, name: string): AgentRole => {
  const at = `agents.${name}`
  const file = files.table(table, [at, "config_file"])
  const text = (key: string) => table.text([at, key]) ?? file.text(key)
  const unsupported = Unsupported.findInRole((key) => table.value([at, key]) ?? file.value(key), { at, session: table })
  if (unsupported !== undefined) refuse({ _tag: "NotSupported", ...unsupported })
  return {
    name,
    description: text("description") ?? name,
    instructions: files.text(table, [at, "instructions_file"]) ?? instructionsOf(file, files),
    addition: text("developer_instructions"),
    sandboxMode: table.choice([at, "sandbox_mode"], sandboxModes) ?? file.choice("sandbox_mode", sandboxModes),
    model: text("model"),
    reasoningEffort: text("model_reasoning_effort"),
    nicknames: table.list([at, "nickname_candidates"]) ?? file.list("nickname_candidates")
  }
}

/**
 * Returns the instructions that replace the default ones. A file counts before the text, and the newer name of the file
 * before the older one.
 */
export const instructionsOf = (table: Table.Settings, files: Files): string | undefined =>
  files.text(table, "model_instructions_file") ??
  files.text(table, "experimental_instructions_file") ??
  table.text("instructions")

const modelsOf = ({ files, model, table }: Sources, roles: ReadonlyArray<AgentRole>): ReadonlyArray<AgentModel> => {
  if (model === undefined) return []
  const efforts = new Map<string, ReadonlyArray<string>>()
  for (const name of [model, ...roles.map((role) => role.model)])
    if (name !== undefined) efforts.set(name, defaultEfforts)
  for (const { efforts: supported, name } of Catalog.read(table, files) ?? []) {
    efforts.set(name, supported ?? defaultEfforts)
  }
  return Array.from(efforts, ([name, supported]) => ({ name, efforts: supported }))
}

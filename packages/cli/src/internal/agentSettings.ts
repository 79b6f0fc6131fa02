/**
 * What of the configuration is about agents of agents: the limits of the table `agents`, its roles, and the models that
 * may be asked for. The keys are the reference's, but for `instructions_file` of a role.
 */
import * as Schema from "effect/Schema"
import type * as Table from "./settingsTable.ts"

/** A role that an agent may be started in. What is undefined is that of the session. */
export interface AgentRole {
  readonly name: string
  readonly description: string
  /** The content of its `instructions_file`: instead of the instructions of the program. */
  readonly instructions: string | undefined
  /** Its `developer_instructions`: behind the instructions. */
  readonly addition: string | undefined
  readonly model: string | undefined
  readonly reasoningEffort: string | undefined
  readonly nicknames: ReadonlyArray<string> | undefined
}

/** A model that may be asked for, with the reasoning efforts that it supports. */
export interface AgentModel {
  readonly name: string
  readonly efforts: ReadonlyArray<string>
}

/** What agents of agents may be. */
export interface AgentSettings {
  /** How many may work at the same time. */
  readonly threads: number
  readonly depth: number
  /** How long one may live, in seconds. */
  readonly runtimeSeconds: number
  readonly roles: ReadonlyArray<AgentRole>
  readonly models: ReadonlyArray<AgentModel>
}

/** Reads the files that keys name; what is wrong with one is thrown. */
export interface Files {
  readonly text: (table: Table.Settings, key: Table.Key) => string | undefined
  /** A TOML document; an empty one for a key that is not there. */
  readonly table: (table: Table.Settings, key: Table.Key) => Table.Settings
  readonly json: <A>(table: Table.Settings, key: Table.Key, schema: Schema.Codec<A, unknown>) => A | undefined
}

/** Where to read from; `model` is that of the session, undefined where no other can be had. */
export interface Sources {
  readonly table: Table.Settings
  readonly files: Files
  readonly model: string | undefined
}

/** The efforts of a model that no catalog names. */
const usualEfforts: ReadonlyArray<string> = ["minimal", "low", "medium", "high", "xhigh"]

const Catalog = Schema.Struct({
  models: Schema.Array(
    Schema.Struct({
      slug: Schema.String,
      supported_reasoning_levels: Schema.optionalKey(Schema.Array(Schema.Struct({ effort: Schema.String })))
    })
  )
})

/** Reads the settings. */
export const read = (sources: Sources): AgentSettings => {
  const { table } = sources
  // what is no table is a setting, known or not
  const roles = table
    .keys("agents")
    .filter((name) => table.isTable([`agents.${name}`]))
    .map((name) => roleOf(sources, name))
  return {
    threads: table.count("agents.max_threads") ?? 6,
    depth: table.count("agents.max_depth") ?? 1,
    runtimeSeconds: table.count("agents.job_max_runtime_seconds") ?? 1_800,
    roles,
    models: modelsOf(sources, roles)
  }
}

/** Each key is looked up in the table of the role, then in its `config_file`. */
const roleOf = ({ files, table }: Sources, name: string): AgentRole => {
  const at = `agents.${name}`
  const file = files.table(table, [at, "config_file"])
  const text = (key: string) => table.text([at, key]) ?? file.text(key)
  return {
    name,
    description: text("description") ?? name,
    instructions: files.text(table, [at, "instructions_file"]) ?? files.text(file, "model_instructions_file"),
    addition: text("developer_instructions"),
    model: text("model"),
    reasoningEffort: text("model_reasoning_effort"),
    nicknames: table.list([at, "nickname_candidates"]) ?? file.list("nickname_candidates")
  }
}

const modelsOf = ({ files, model, table }: Sources, roles: ReadonlyArray<AgentRole>): ReadonlyArray<AgentModel> => {
  if (model === undefined) return []
  const efforts = new Map<string, ReadonlyArray<string>>()
  for (const name of [model, ...roles.map((role) => role.model)])
    if (name !== undefined) efforts.set(name, usualEfforts)
  const catalog = files.json(table, "model_catalog_json", Catalog)
  for (const { slug, supported_reasoning_levels } of catalog?.models ?? []) {
    efforts.set(slug, supported_reasoning_levels?.map(({ effort }) => effort) ?? usualEfforts)
  }
  return Array.from(efforts, ([name, its]) => ({ name, efforts: its }))
}

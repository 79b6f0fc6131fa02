/**
 * The skills that the configuration switches off: the tables `[[skills.config]]`, each with `path` or `name`, and
 * `enabled`.
 */
import * as Path from "node:path"
import * as Schema from "effect/Schema"
import type * as Table from "./table.ts"

const Entries = Schema.Array(
  Schema.Struct({
    path: Schema.optionalKey(Schema.String),
    name: Schema.optionalKey(Schema.String),
    enabled: Schema.Boolean
  }).check(
    Schema.makeFilter(({ name, path }) => (name === undefined) !== (path === undefined) || "needs a path or a name")
  )
)
const isEntries = Schema.is(Entries)

/** Skills by their files or folders, absolute, and by their names. */
export interface SkillSelection {
  readonly paths: ReadonlySet<string>
  readonly names: ReadonlySet<string>
}

/** The sources of the selection. `reject` throws the error for a value of a wrong type. */
export interface Sources {
  readonly table: Table.Settings
  /** The directory of the configuration, to which paths are relative. */
  readonly directory: string
  /** The directory that `~` means in a path. */
  readonly homeDirectory: string
  readonly reject: (key: string, expected: string) => never
}

/** Returns the skills that are switched off. Of two tables for one skill the later one counts. */
export const disabledOf = ({ directory, homeDirectory, table, reject }: Sources): SkillSelection => {
  const [paths, names] = [new Set<string>(), new Set<string>()]
  const value = table.value(["skills", "config"]) ?? []
  const entries = isEntries(value)
    ? value
    : reject("skills.config", "tables, each with a path or a name, and with enabled = true or false")
  for (const { enabled, name, path } of entries) {
    const set = name === undefined ? paths : names
    const key = name ?? Path.resolve(directory, path!.replace(/^~(?=\/|$)/, homeDirectory))
    if (enabled) set.delete(key)
    else set.add(key)
  }
  return { paths, names }
}

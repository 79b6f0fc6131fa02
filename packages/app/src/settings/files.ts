/** The port of the settings to the files that keys name. */
import type * as Schema from "effect/Schema"
import type * as Table from "./table.ts"

/** Reads the files that keys name. Throws `SettingsInvalid` for a file that cannot be used. */
export interface Files {
  readonly text: (table: Table.Settings, key: Table.Key) => string | undefined
  /** A TOML document; an empty one if the key is not set. */
  readonly table: (table: Table.Settings, key: Table.Key) => Table.Settings
  readonly json: <A>(table: Table.Settings, key: Table.Key, schema: Schema.Codec<A, unknown>) => A | undefined
}

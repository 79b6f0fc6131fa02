/**
 * What a person has granted to a tool call that asked for more (contract A4). The handler of a tool whose policy has
 * `mayRunWith` reads it, and does no more than it permits.
 */
import * as Context from "effect/Context"

/** A grant of some permissions, as the answer named them. They are a JSON value, whose form the tool knows. */
export interface Granted {
  readonly permissions: unknown
  readonly scope: "once" | "turn" | "session"
}

/** The grant of the running call; undefined if it was granted all that it asked for. */
export const Granted: Context.Reference<Granted | undefined> = Context.Reference<Granted | undefined>(
  "@spindle/core/Granted",
  { defaultValue: () => undefined }
)

/**
 * The permissions that a person has granted to a tool call that asked for more (contract A4). The handler of a tool
 * whose policy has `mayRunWith` reads them, and does no more than they permit.
 */
import * as Context from "effect/Context"

/**
 * A grant of some permissions, as the answer named them. `permissions` is a JSON value, in a form that the tool
 * defines.
 */
export interface Granted {
  readonly permissions: unknown
  readonly scope: "once" | "turn" | "session"
}

/** The grant of the running call; undefined if the call may do everything that it asked for. */
export const Granted: Context.Reference<Granted | undefined> = Context.Reference<Granted | undefined>(
  "@spindle/core/Granted",
  { defaultValue: () => undefined }
)

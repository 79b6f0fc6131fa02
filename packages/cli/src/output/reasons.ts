/** Why something was stopped or refused, in words. */
import type { AbortReason } from "@spindle/core/Outcome"

/** The reason that a person gives for refusing, as the model reads it. It is not shown to that person. */
export const rejectedByUser = "rejected by user"

/** Why a question is refused if there is no terminal. */
export const noTerminal = "no terminal to ask at (--sandbox danger-full-access runs it)"

/** Continues "stopped" with the reason; empty for an interrupt, which a person knows about. */
export const becauseOf = (reason: AbortReason, parent = "spindle"): string => {
  switch (reason) {
    case "Interrupted":
      return ""
    case "Replaced":
      return ", because something else was started"
    case "Deadline":
      return ", because its time was up"
    case "Budget":
      return ", because its budget was used up"
    case "Parent":
      return `, because ${parent} was`
    case "Shutdown":
      return ", because its session was closed"
  }
}

/** Why something was stopped or refused, in words. */
import * as Settings from "@spindle/app/Settings"
import type { AbortReason } from "@spindle/core/Outcome"

/** The reason that a person gives for refusing, as the model reads it. It is not shown to that person. */
export const rejectedByUser = "rejected by user"

/** Why a question is refused if there is no terminal. */
export const noTerminal = "no terminal to ask at (--sandbox danger-full-access runs it)"

/** What happens to everything that needs approval if nobody can be asked, and the flag that changes it. */
export const refusalOf = (settings: Settings.Settings): string => {
  const flag =
    settings.approvalPolicy === "untrusted"
      ? "--dangerously-bypass-approvals-and-sandbox"
      : "--sandbox danger-full-access"
  const why =
    Settings.approval(settings) === "deny"
      ? "approval_policy is never, and there is no sandbox"
      : "no terminal to ask at"
  return `${why}: commands and patches are refused (${flag} runs them)`
}

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

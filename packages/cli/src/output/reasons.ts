/** Reasons for a stop or a refusal, in words. */
import * as Settings from "@spindle/app/Settings"
import { type Approvals, denyAll } from "@spindle/core/Approvals"
import type { AbortReason } from "@spindle/core/Outcome"

/** The reason of a refusal by a person, as the model reads it. It is not shown to that person. */
export const rejectedByUser = "rejected by user"

/** The behaviour without a terminal. */
export interface Unattended {
  readonly approvals: Approvals
  /** The same in words, for the person who reads the output. */
  readonly notice: string
}

/** Refuses everything that needs approval, and names the flag that would allow it. */
export const refuseUnattended = (settings: Settings.Settings, isSandboxed: boolean): Unattended => {
  const { commands, patches } = Settings.permissionsOf(settings, isSandboxed)
  const flag =
    settings.approvalPolicy === "untrusted"
      ? "--dangerously-bypass-approvals-and-sandbox"
      : `--sandbox ${isSandboxed ? "workspace-write" : "danger-full-access"}`
  const why =
    patches === "deny"
      ? `approval_policy is never${isSandboxed ? "" : ", and there is no sandbox"}`
      : "no terminal to ask at"
  const what = commands === "allow" ? "patches" : "commands and patches"
  return {
    approvals: denyAll(`no terminal to ask at (${flag} runs it)`),
    notice: `${why}: ${what} are refused (${flag} runs them)`
  }
}

/** Returns the reason to write after "stopped"; empty for an interrupt, which a person knows about. */
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

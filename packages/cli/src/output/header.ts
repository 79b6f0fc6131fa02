/** The lines above a transcript: the model, the directory and the permissions. */
import type * as Settings from "@spindle/app/Settings"

/** The subject of a header. */
export interface Subject {
  readonly cwd: string
  readonly settings: Settings.Settings
  readonly isSandboxed: boolean
}

/** Returns the lines that name the model, the provider, the directory, the approval policy and the sandbox. */
export const lines = ({ cwd, isSandboxed, settings }: Subject): ReadonlyArray<string> => {
  const { approvalPolicy, model, provider, reasoningEffort, sandboxMode } = settings
  const isMissing = !isSandboxed && sandboxMode !== "danger-full-access"
  return [
    `model: ${model}${reasoningEffort === undefined ? "" : ` (${reasoningEffort})`}`,
    `provider: ${provider._tag === "Scripted" ? "script" : provider.name}`,
    `directory: ${cwd}`,
    `approval: ${typeof approvalPolicy === "string" ? approvalPolicy : "granular"}`,
    `sandbox: ${sandboxMode}${isMissing ? " (not available)" : ""}`
  ]
}

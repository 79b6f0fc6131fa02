/** Reads the exit code and the output of a command hook, as a pure function. */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { HookEvent } from "./HookSettings.ts"

/** The end of a command. `exitCode` is null if a signal ended it. */
export interface HookEnd {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The decision of a handler. */
export interface HookResult {
  /** `stopped`, `blocked` and `failed` have a reason. `failed` decides nothing. */
  readonly status: "completed" | "stopped" | "blocked" | "failed"
  readonly reason?: string
  /** True if it allows the call or the permission. */
  readonly allows?: true
  /** A text for the model. */
  readonly context?: string
  /** A text for the person. */
  readonly warning?: string
}

const Output = Schema.Struct({
  continue: Schema.optionalKey(Schema.Boolean),
  stopReason: Schema.optionalKey(Schema.String),
  systemMessage: Schema.optionalKey(Schema.String),
  decision: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String),
  hookSpecificOutput: Schema.optionalKey(
    Schema.Struct({
      additionalContext: Schema.optionalKey(Schema.String),
      permissionDecision: Schema.optionalKey(Schema.String),
      permissionDecisionReason: Schema.optionalKey(Schema.String),
      decision: Schema.optionalKey(
        Schema.Struct({ behavior: Schema.String, message: Schema.optionalKey(Schema.String) })
      )
    })
  )
})

const decode = Schema.decodeUnknownExit(Schema.fromJsonString(Output))

// events whose plain output is a text for the model
const plain: ReadonlyArray<HookEvent> = ["SessionStart", "SubagentStart", "UserPromptSubmit"]
// events that nothing can block
const unblockable: ReadonlyArray<HookEvent> = ["SessionStart", "SubagentStart", "Interrupt", "Notification"]
const stops: ReadonlyArray<HookEvent> = ["Stop", "SubagentStop"]

const failure = (reason: string): HookResult => ({ status: "failed", reason })
const isBlank = (text: string | undefined): text is undefined => text === undefined || text.trim() === ""

/**
 * Reads the end of a handler of an event.
 *
 * - Exit code 2 blocks, with standard error as the reason. Any other code than 0 is a failure.
 * - Output that is a JSON object decides by its fields. `continue: false` wins over a block. A block without a reason
 *   is a failure, and its context is dropped.
 * - Other output is a text for the model if the event takes one, and a failure of a stop hook. Otherwise it is ignored.
 */
export const read = (event: HookEvent, { exitCode, stderr, stdout }: HookEnd): HookResult => {
  if (exitCode === 2 && !unblockable.includes(event)) {
    return isBlank(stderr)
      ? failure("it exited with code 2 without a reason on standard error")
      : { status: "blocked", reason: stderr.trim() }
  }
  if (exitCode !== 0) return failure(exitCode === null ? "a signal ended it" : `it exited with code ${exitCode}`)
  const text = stdout.trim()
  if (text === "") return { status: "completed" }
  if (!/^[{[]/.test(text)) {
    if (stops.includes(event)) return failure("its output is not JSON")
    return plain.includes(event) ? { status: "completed", context: text } : { status: "completed" }
  }
  const decoded = decode(text)
  return Exit.isSuccess(decoded) ? readOutput(event, decoded.value) : failure("its output is not valid JSON of a hook")
}

const readOutput = (event: HookEvent, output: typeof Output.Type): HookResult => {
  const { hookSpecificOutput: specific = {} } = output
  const common = {
    ...(isBlank(specific.additionalContext) ? {} : { context: specific.additionalContext }),
    ...(isBlank(output.systemMessage) ? {} : { warning: output.systemMessage })
  }
  if (output.continue === false) {
    return { status: "stopped", reason: output.stopReason ?? "a hook stopped this", ...common }
  }
  const denial = denialOf(event, output)
  if (denial !== undefined) {
    return isBlank(denial.reason)
      ? failure("it blocks without a reason")
      : { status: "blocked", reason: denial.reason, ...common }
  }
  const allows = event === "PermissionRequest" && specific.decision?.behavior === "allow"
  return { status: "completed", ...(allows ? { allows } : {}), ...common }
}

/** Returns the reason of a block in any of the forms of the events; undefined if nothing is blocked. */
const denialOf = (
  event: HookEvent,
  { decision, hookSpecificOutput: specific, reason }: typeof Output.Type
): { readonly reason: string | undefined } | undefined => {
  if (unblockable.includes(event)) return undefined
  if (decision === "block") return { reason }
  if (event === "PreToolUse" && specific?.permissionDecision === "deny") {
    return { reason: specific.permissionDecisionReason }
  }
  if (event === "PermissionRequest" && specific?.decision?.behavior === "deny") {
    return { reason: specific.decision.message }
  }
  return undefined
}

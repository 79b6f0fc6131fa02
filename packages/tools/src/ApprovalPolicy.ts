/**
 * Decides what happens before a call runs: it runs, a person is asked, or it is refused.
 *
 * The decision is a pure function of the approval policy, the rules, the sandbox and the request of the call. It is
 * made before the call, and again after the sandbox has blocked the call.
 */
import type { Permission, Ruling } from "@spindle/core/Authority"
import type { RuleDecision } from "./CommandRules.ts"

/** The reasons for which a person may be asked. A question for any other reason is refused. */
export interface Granular {
  /** True if a person may be asked to run something outside the sandbox. */
  readonly sandboxApproval: boolean
  /** True if a person may be asked because a rule says so. */
  readonly rules: boolean
}

/**
 * The cases in which a person is asked:
 *
 * - `never`: nobody is asked; calls that need approval are refused
 * - `on-request`: about calls that the sandbox cannot contain, and when the model asks to leave the sandbox
 * - `on-failure`: about calls that the sandbox cannot contain, and after the sandbox has blocked a command
 * - `untrusted`: about everything but commands that only read
 * - {@link Granular}: as `on-request` and `on-failure`, but only for some reasons
 */
export type ApprovalPolicy = "never" | "on-request" | "on-failure" | "untrusted" | Granular

/**
 * The containment of a call: a sandbox, nothing because the user chose full access (`full-access`), or nothing because
 * this host has no sandbox (`missing`).
 */
export type Containment = "sandbox" | "full-access" | "missing"

/** The facts about a call. */
export interface Circumstances {
  readonly policy: ApprovalPolicy
  readonly containment: Containment
  /** The annotation of the tool, which applies to each of its calls. */
  readonly annotation: Permission
  /** The decision of the strictest rule that matches; undefined if none does. */
  readonly rule?: { readonly decision: RuleDecision; readonly justification?: string | undefined } | undefined
  /** True if the call only reads. */
  readonly isSafe?: boolean | undefined
  /** True if the model asks to run it outside the sandbox. */
  readonly isEscalated?: boolean | undefined
  /** True if the sandbox has blocked it before. */
  readonly wasBlocked?: boolean | undefined
}

/** The reason for which a person is asked. */
type Cause = "escalated" | "blocked" | "missing" | "untrusted"

/** The name of a policy. */
export const nameOf = (policy: ApprovalPolicy): string => (typeof policy === "string" ? policy : "granular")

const policySays = (permission: Permission, reason?: string): Ruling => ({ permission, source: "policy", reason })

/** Decides what happens before a call runs. */
export const decide = (call: Circumstances): Ruling => {
  const { annotation, containment, rule } = call
  if (annotation === "deny") return policySays("deny", "this tool is not allowed")
  if (rule !== undefined) return decideByRule(call, rule)
  if (annotation === "allow") return policySays("allow")
  const cause = causeOf(call)
  if (cause === undefined) return policySays("allow")
  if (cause === "escalated" && !mayEscalate(call.policy)) {
    const advice = "run the command without sandbox_permissions"
    return policySays(
      "deny",
      `the approval policy is ${nameOf(call.policy)}, which allows no way out of the sandbox: ${advice}`
    )
  }
  return mayAsk(call.policy, cause)
    ? policySays("ask", reasons[cause])
    : policySays("deny", `the approval policy is ${nameOf(call.policy)}${containment === "missing" ? missing : ""}`)
}

const missing = ", and there is no sandbox"

const decideByRule = ({ policy }: Circumstances, rule: NonNullable<Circumstances["rule"]>): Ruling => {
  const why = rule.justification === undefined ? "" : `: ${rule.justification}`
  if (rule.decision === "allow") return { permission: "allow", source: "rule" }
  if (rule.decision === "forbid")
    return { permission: "deny", source: "rule", reason: `a rule forbids this command${why}` }
  return mayAsk(policy, "rule")
    ? { permission: "ask", source: "rule", reason: `a rule asks about this command${why}` }
    : policySays("deny", `a rule asks about this command, and the approval policy is ${nameOf(policy)}${why}`)
}

const reasons: { readonly [cause in Cause]: string } = {
  escalated: "the model asks to run it outside the sandbox",
  blocked: "the sandbox blocked it",
  missing: "there is no sandbox to contain it",
  untrusted: "it may do more than read"
}

/** Returns why a person has to be asked; undefined if nobody has to. */
const causeOf = ({ containment, isEscalated, isSafe, policy, wasBlocked }: Circumstances): Cause | undefined => {
  if (containment === "sandbox" && wasBlocked === true) return "blocked"
  if (containment === "sandbox" && isEscalated === true) return "escalated"
  if (isSafe === true) return undefined
  if (policy === "untrusted") return "untrusted"
  return containment === "missing" ? "missing" : undefined
}

/** True if the model may ask to run something outside the sandbox. */
export const mayEscalate = (policy: ApprovalPolicy): boolean => typeof policy !== "string" || policy === "on-request"

/** True if a person may be asked about hosts that a command was denied. */
export const mayAskForHosts = (policy: ApprovalPolicy): boolean =>
  typeof policy === "string" ? policy !== "never" : policy.sandboxApproval

const mayAsk = (policy: ApprovalPolicy, cause: Cause | "rule"): boolean => {
  if (typeof policy !== "string") return cause === "rule" ? policy.rules : policy.sandboxApproval
  // the model has asked for its needs before
  if (policy === "on-request") return cause !== "blocked"
  return policy !== "never"
}

/**
 * Delegates: child sessions that ask upward, end with their parent, and never hang it.
 */
export * as Bridge from "./Bridge.ts"
export * as DelegateError from "./DelegateError.ts"
export * as Limits from "./Limits.ts"
export * as RemoteApprovals from "./RemoteApprovals.ts"
export * as Reviewer from "./Reviewer.ts"
export * as Roles from "./Roles.ts"
export * as Status from "./Status.ts"
export * as Delegate from "./Delegate.ts"
export * as SubAgents from "./SubAgents.ts"
export * as SubAgentTools from "./SubAgentTools.ts"

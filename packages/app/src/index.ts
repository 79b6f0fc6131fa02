/**
 * What every face of Spindle shares. Each module is a namespace; see the README for where to begin.
 */
export * as Accounts from "./Accounts.ts"
export * as App from "./App.ts"
export * as CodingAgent from "./CodingAgent.ts"
export * as Exec from "./Exec.ts"
export * as Models from "./Models.ts"
export * as SessionLease from "./SessionLease.ts"
export * as Settings from "./Settings.ts"
export * as TelemetrySettings from "./settings/telemetry.ts"
export * as StoredSessions from "./StoredSessions.ts"
export * as Submission from "./Submission.ts"
export * as Tracing from "./Tracing.ts"
export * as Tree from "./view/Tree.ts"
export * as Call from "./view/Call.ts"
export * as Thread from "./view/Thread.ts"
export * as ThreadItem from "./view/ThreadItem.ts"
export * as Damage from "./view/Damage.ts"

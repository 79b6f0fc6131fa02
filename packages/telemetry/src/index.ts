/**
 * Traces and metrics of sessions. `OpenTelemetry`, which needs the SDK, is imported by its own path.
 */
export * as Measures from "./Measures.ts"
export * as Metrics from "./Metrics.ts"
export * as Redaction from "./Redaction.ts"
export * as SessionLogs from "./SessionLogs.ts"
export * as SessionMetrics from "./SessionMetrics.ts"
export type { SpanData } from "./SpanData.ts"
export * as SpanTree from "./SpanTree.ts"
export * as Telemetry from "./Telemetry.ts"

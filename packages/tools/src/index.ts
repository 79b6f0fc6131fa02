/**
 * What a coding agent needs: commands in their own process groups, and patches. Each module is a namespace; see the
 * README for where to begin.
 */
export * as ApplyPatch from "./ApplyPatch.ts"
export * as BoundedOutput from "./BoundedOutput.ts"
export * as CodingTools from "./CodingTools.ts"
export * as ExecCommand from "./ExecCommand.ts"
export * as Patch from "./Patch.ts"
export * as ProcessGroups from "./ProcessGroups.ts"
export * as Signals from "./Signals.ts"
export { ToolFailure } from "./ToolFailure.ts"
export * as Utf8 from "./Utf8.ts"

/**
 * What tests of agent sessions need. Each module is a namespace; see the README for where to begin.
 */
export * as Interrupts from "./Interrupts.ts"
export * as ResponsesScript from "./ResponsesScript.ts"
export * as ResponsesServer from "./ResponsesServer.ts"
export * as ScriptedModel from "./ScriptedModel.ts"
export * as SessionHarness from "./SessionHarness.ts"

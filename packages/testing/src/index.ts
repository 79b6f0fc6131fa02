/**
 * What tests of agent sessions need. Each module is a namespace; see the README for where to begin.
 */
export * as Faults from "./Faults.ts"
export * as Interrupts from "./Interrupts.ts"
export * as Laws from "./Laws.ts"
export * as Replay from "./Replay.ts"
export * as ResponsesScript from "./ResponsesScript.ts"
export * as ResponsesServer from "./ResponsesServer.ts"
export * as ScriptedModel from "./ScriptedModel.ts"
export * as SessionFaults from "./SessionFaults.ts"
export * as SessionHarness from "./SessionHarness.ts"
export * as SessionPrograms from "./SessionPrograms.ts"
export * as Simulation from "./Simulation.ts"
export * as Vitest from "./Vitest.ts"

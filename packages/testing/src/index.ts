/**
 * Tools for tests of agent sessions. Each module is a namespace; the README has an introduction.
 * Modules that need Node or vitest are imported by file: `ResponsesServer`, `JournalSuite`, `SessionSuite`.
 */
export * as Faults from "./Faults.ts"
export * as Interrupts from "./Interrupts.ts"
export * as Laws from "./Laws.ts"
export * as Replay from "./Replay.ts"
export * as ResponsesScript from "./ResponsesScript.ts"
export * as ScriptedModel from "./ScriptedModel.ts"
export * as SessionFaults from "./SessionFaults.ts"
export * as SessionHarness from "./SessionHarness.ts"
export * as SessionPrograms from "./SessionPrograms.ts"
export * as Simulation from "./Simulation.ts"
export * as Vitest from "./Vitest.ts"

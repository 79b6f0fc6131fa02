/**
 * What tests of agent sessions need. Each module is a namespace; see the README for where to begin.
 */
export * as ResponsesScript from "./ResponsesScript.ts"
export * as ResponsesServer from "./ResponsesServer.ts"

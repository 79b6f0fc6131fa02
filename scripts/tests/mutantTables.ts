// The tables of the mutants, one for each package that has some: what finds each mutant, and what it breaks (decision 20).
import { mutants as ofCore } from "../../packages/core/test/explore/mutants.ts"
import { mutants as ofApp } from "../../packages/app/test/explore/mutants.ts"
import { mutants as ofDelegates } from "../../packages/delegate/test/explore/mutants.ts"
import { mutants as ofMcp } from "../../packages/mcp/test/explore/mutants.ts"
import { mutants as ofKeys } from "../../packages/openai/test/explore/mutants.ts"
import { mutants as ofTools } from "../../packages/tools/test/explore/mutants.ts"

/** The tables by their titles. */
export const mutantTables = {
  "Mutants of core": ofCore,
  "Mutants that delegates need": ofDelegates,
  "Mutants of MCP servers": ofMcp,
  "Mutants of keys that change": ofKeys,
  "Mutants that the tasks of the application need": ofApp,
  "Mutants of tools": ofTools
}

/** Runs trees, and programs that return what is wrong, under the explorer. */
import { IdGenerator, sequential } from "@spindle/core/Ids"
import type * as Interrupts from "@spindle/testing/Interrupts"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TreeLaws from "../trees/treeLaws.ts"
import * as TreeRun from "../trees/treeRun.ts"
import type { NodeSpec, Step, TreeSpec } from "../trees/treeSpec.ts"

/** An exploration that shows a fault. */
export type Case = Interrupts.Exploration<any, unknown>

type Program = Effect.Effect<string | undefined, unknown, Scope.Scope>

/** Explores a program that returns what is wrong, by clause. Without actions it runs once, in order. */
export const shows = (program: Program | ((stage: Interrupts.Stage) => Program)): Case => ({
  actions: [],
  modes: ["before"],
  maxShrinks: 0,
  program: (stage) =>
    Effect.scoped(typeof program === "function" ? program(stage) : program).pipe(
      Effect.provideService(IdGenerator, sequential("id"))
    ),
  law: (exit) => (exit._tag === "Failure" ? `the program failed: ${exit.cause}` : exit.value)
})

/** Returns a finding if something is wrong. */
export const found = (isWrong: boolean, what: string): string | undefined => (isWrong ? what : undefined)

/** Makes one session of a tree that lives 300 ms at most. */
export const node = (name: string, kind: NodeSpec["kind"], ...steps: ReadonlyArray<Step>): NodeSpec => ({
  name,
  kind,
  deadline: 300,
  steps
})

/** Starts children, and waits for them. */
export const spawn = (...children: ReadonlyArray<NodeSpec>): Step => ({ _tag: "Spawn", children, wait: true })

/** Explores a tree under actions at each of its steps. */
export const explored = (
  root: ReadonlyArray<Step>,
  spec: Partial<Omit<TreeSpec, "root">> = {}
): Interrupts.Exploration<TreeRun.TreeHistory, unknown> => ({
  modes: ["before"],
  program: (stage) => TreeRun.run({ root, hits: [], concurrent: 10, journalMillis: 0, ...spec }, stage),
  law: (exit) => (exit._tag === "Failure" ? `the program failed: ${exit.cause}` : TreeLaws.broken(exit.value, true))
})

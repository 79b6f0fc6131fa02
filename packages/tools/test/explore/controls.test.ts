/**
 * Negative controls: each mutant of the restoration and of the process table is found. `Snapshots.crash.test.ts` and
 * `processTable.test.ts` find nothing in the unchanged sources.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect } from "effect"
import { loadMutant, titleOf } from "../../../core/test/fixtures/mutants.ts"
import type * as Cases from "./cases.ts"
import { mutants } from "./mutants.ts"
import { prepareOnce } from "./restorations.ts"

const prepared = prepareOnce()

/** Loads the explorations with a mutant of the sources. */
const loadWorld = (name: string) => loadMutant<typeof Cases>(new URL("./cases.ts", import.meta.url), name)

describe("S12, X1 a mutant is found", () => {
  for (const [name, { breaks, by }] of Object.entries(mutants)) {
    it.live(
      titleOf(name),
      () =>
        Effect.gen(function* () {
          const { cases } = yield* Effect.promise(() => loadWorld(name))
          const found = cases[by]
          const exit = yield* Effect.exit(Effect.isEffect(found) ? found : found(yield* prepared))
          assert.isTrue(exit._tag === "Failure", "the mutant was not found")
          if (exit._tag === "Failure") assert.match((Cause.squash(exit.cause) as Error).message, breaks)
        }),
      600_000
    )
  }
})

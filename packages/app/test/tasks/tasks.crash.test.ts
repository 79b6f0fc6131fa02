/** An undo and a review whose host dies at any record (contract J3, J8, P2). */
import { assert, describe, it } from "@effect/vitest"
import * as Op from "@spindle/core/Op"
import { isTerminal } from "@spindle/core/SessionEvent"
import type { TaskKind } from "@spindle/core/TaskKind"
import * as Harness from "@spindle/testing/SessionHarness"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Effect, Layer } from "effect"
import * as ReviewTask from "../../src/tasks/ReviewTask.ts"
import * as UndoTask from "../../src/tasks/UndoTask.ts"
import { git } from "../fixtures/fakeGit.ts"
import * as Fake from "../fixtures/snapshots.ts"

const options: Harness.HarnessOptions = {
  tasks: [UndoTask.kind as TaskKind, ReviewTask.kind({ cwd: "/r" }) as TaskKind],
  script: () => [ScriptedModel.text('{ "findings": [], "overall_explanation": "fine" }')]
}

/** A session with a change that can be undone, in a world of its host. */
const session = (more: Harness.HarnessOptions = {}) =>
  Effect.gen(function* () {
    const snapshots = Fake.make()
    yield* snapshots.service.begin("session", "/")
    return yield* Effect.provide(Harness.make({ ...options, ...more }), Layer.merge(snapshots.layer, git()))
  })

const operations: { readonly [kind: string]: Op.Op } = {
  undo: Op.startTask("undo", { dryRun: true }),
  "undo, restored": Op.startTask("undo"),
  review: Op.startTask("review", { target: { type: "uncommitted" } })
}

describe("a host that dies", () => {
  for (const [name, op] of Object.entries(operations)) {
    it.effect(`J3 J8 P2 at any record of a task leaves a session that runs the next one: ${name}`, () =>
      Effect.gen(function* () {
        const [sessionId, all] = yield* Effect.scoped(
          Effect.gen(function* () {
            const harness = yield* session()
            yield* harness.session.submit(op)
            yield* harness.session.awaitIdle
            return [harness.session.sessionId, harness.records()] as const
          })
        )
        assert.strictEqual(all.at(-1)?._tag, "TurnCompleted")
        for (let size = 1; size <= all.length; size++) {
          const prefix = all.slice(0, size)
          const position = `cut after record ${size - 1}, ${prefix.at(-1)!._tag}`
          yield* Effect.scoped(
            Effect.gen(function* () {
              const journal = yield* Harness.memoryJournal
              yield* Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), (writer) => writer.append(prefix)))
              const harness = yield* session({ journal, resume: sessionId })
              yield* harness.session.awaitIdle
              yield* harness.session.submit(Op.startTask("review", { target: { type: "uncommitted" } }))
              yield* harness.session.awaitIdle
              const records = [...prefix, ...harness.records()]
              assert.strictEqual(harness.records().findLast(isTerminal)?._tag, "TurnCompleted", position)
              const started = records.filter((one) => one._tag === "TurnStarted").length
              assert.strictEqual(records.filter(isTerminal).length, started, position)
            })
          )
        }
      })
    )
  }
})

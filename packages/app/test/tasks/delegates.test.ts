/** Each kind of tasks, started from the handle of a delegate (contract D4, S3, P1). */
import { assert, describe, it } from "@effect/vitest"
import * as CompactTask from "@spindle/core/CompactTask"
import { Model } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import { Processes } from "@spindle/core/Processes"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import type { TaskKind } from "@spindle/core/TaskKind"
import * as Delegate from "@spindle/delegate/Delegate"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Layer, Stream } from "effect"
import * as ReviewTask from "../../src/tasks/ReviewTask.ts"
import * as UndoTask from "../../src/tasks/UndoTask.ts"
import * as UserShellTask from "../../src/tasks/UserShellTask.ts"
import { git } from "../fixtures/fakeGit.ts"
import { host } from "../fixtures/shellHost.ts"
import * as Fake from "../fixtures/snapshots.ts"

const tasks = [
  CompactTask.kind,
  UndoTask.kind,
  UserShellTask.kind({ cwd: "/r", shell: "/bin/sh" }),
  ReviewTask.kind({ cwd: "/r" })
] as unknown as ReadonlyArray<TaskKind>

const ops: ReadonlyArray<Op.Op> = [
  Op.userInput("one"),
  Op.userInput("two"),
  Op.startTask("compact"),
  Op.startTask("undo"),
  Op.startTask("user_shell", { command: "ls" }),
  Op.startTask("review", { target: { type: "uncommitted" } })
]

describe("the handle of a delegate", () => {
  it.effect("D4 S3 P1 starts a task of each kind, with a receipt and its own turn", () =>
    Effect.gen(function* () {
      const snapshots = Fake.make()
      yield* snapshots.service.begin("session", "/")
      const { service } = host(["out"], { exitCode: 0 })
      // two turns with long answers, a summary, and the answer of the reviewer
      const { model } = ScriptedModel.make((_, index) => [ScriptedModel.text(index < 2 ? "x".repeat(4_000) : "fine")])
      const { agent, handlers } = Harness.agentOf({}, { tasks })
      const root = yield* Harness.make()
      const work = Effect.gen(function* () {
        const child = yield* Delegate.start({ agent, deadline: "1 hour" })
        const receipts: Array<Op.Receipt> = []
        for (const op of ops) {
          receipts.push(yield* child.submit(op))
          yield* child.settled
        }
        yield* child.end()
        return { receipts, events: yield* Stream.runCollect(child.events) }
      }).pipe(
        Effect.provide(
          Layer.mergeAll(
            handlers,
            Layer.succeed(Model, model),
            Layer.succeed(Processes, service),
            snapshots.layer,
            git()
          )
        )
      )
      const running = yield* root.session.start(Task.make("parent", work as Effect.Effect<never>))
      const outcome = yield* running.outcome
      if (outcome._tag !== "Completed") return assert.fail(JSON.stringify(outcome))
      const { events, receipts } = outcome.value as {
        readonly events: ReadonlyArray<SessionEvent>
        readonly receipts: ReadonlyArray<Op.Receipt>
      }
      assert.deepStrictEqual(
        receipts.map(({ _tag }) => _tag),
        ops.map(() => "Started")
      )
      assert.deepStrictEqual(
        events.flatMap((event) => (event._tag === "TurnStarted" ? [event.kind] : [])),
        ["regular", "regular", "compact", "undo", "user_shell", "review"]
      )
      assert.strictEqual(events.filter(({ _tag }) => _tag === "TurnCompleted").length, ops.length)
    })
  )
})

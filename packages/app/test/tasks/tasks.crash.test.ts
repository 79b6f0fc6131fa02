/** An undo, a review and a command of the user whose host dies at any record (contract J3, J8, P2, S12). */
import { assert, describe, it } from "@effect/vitest"
import * as Op from "@spindle/core/Op"
import { isTerminal } from "@spindle/core/SessionEvent"
import { Processes } from "@spindle/core/Processes"
import * as Session from "@spindle/core/Session"
import type { TaskKind } from "@spindle/core/TaskKind"
import * as Harness from "@spindle/testing/SessionHarness"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as ReviewTask from "../../src/tasks/ReviewTask.ts"
import * as UndoTask from "../../src/tasks/UndoTask.ts"
import * as UserShellTask from "../../src/tasks/UserShellTask.ts"
import { git } from "../fixtures/fakeGit.ts"
import { host } from "../fixtures/shellHost.ts"
import * as Fake from "../fixtures/snapshots.ts"

const options: Harness.HarnessOptions = {
  tasks: [
    UndoTask.kind as TaskKind,
    ReviewTask.kind({ cwd: "/r" }) as TaskKind,
    UserShellTask.kind({ cwd: "/r", shell: "/bin/sh" }) as TaskKind
  ],
  script: () => [ScriptedModel.text('{ "findings": [], "overall_explanation": "fine" }')],
  factory: (agent, opened) =>
    Effect.provideService(Session.make(agent, opened), Processes, host(["out"], { exitCode: 0 }).service)
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
  review: Op.startTask("review", { target: { type: "uncommitted" } }),
  "a command": Op.startTask("user_shell", { command: "ls" })
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

  it.effect(
    "J3 P2 S12 at any record of a turn leaves what a command alongside it reported, or that it was cut off",
    () =>
      Effect.gen(function* () {
        const tools = { wait: { run: () => Effect.as(Effect.sleep(1), "done") } }
        const script: ScriptedModel.Script = ({ items }) =>
          items.some(({ _tag }) => _tag === "ToolCall")
            ? [ScriptedModel.text("seen")]
            : [ScriptedModel.call("wait", {}, "a")]
        const [sessionId, all] = yield* Effect.scoped(
          Effect.gen(function* () {
            const harness = yield* session({ tools, script })
            yield* harness.submit("begin")
            yield* harness.session.submit(operations["a command"]!)
            yield* harness.awaitEvent(Harness.hasTag("TaskReported"))
            yield* TestClock.adjust("1 second")
            yield* harness.session.awaitIdle
            return [harness.session.sessionId, harness.records()] as const
          })
        )
        const accepted = all.findIndex((one) => one._tag === "InputAccepted" && one.task !== undefined)
        assert.isAbove(accepted, 0)
        for (let size = accepted + 1; size <= all.length; size++) {
          const prefix = all.slice(0, size)
          yield* Effect.scoped(
            Effect.gen(function* () {
              const journal = yield* Harness.memoryJournal
              yield* Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), (writer) => writer.append(prefix)))
              const harness = yield* session({ journal, resume: sessionId, script: () => [ScriptedModel.text("seen")] })
              yield* harness.submit("next")
              yield* harness.session.awaitIdle
              const { items } = yield* harness.session.snapshot
              const reports = items.filter(
                (item) => item._tag === "UserMessage" && item.fragment?.startsWith("user_shell")
              )
              assert.lengthOf(reports, 1, `cut after record ${size - 1}, ${prefix.at(-1)!._tag}`)
            })
          )
        }
      })
  )
})

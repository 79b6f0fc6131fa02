/** The records of a review in each of its outcomes. */
import { assert, describe, it } from "@effect/vitest"
import * as Op from "@spindle/core/Op"
import type { TaskKind } from "@spindle/core/TaskKind"
import { CurrentTurnContext } from "@spindle/core/TurnContext"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Option } from "effect"
import * as ReviewTask from "../../src/tasks/ReviewTask.ts"
import { git } from "../fixtures/fakeGit.ts"
import { wordsOf } from "../fixtures/words.ts"

const result = JSON.stringify({
  findings: [{ title: "Wrong", body: "It is.", priority: 1, confidence_score: 1 }],
  overall_explanation: "One bug."
})

const start = (target: ReviewTask.ReviewTarget = { type: "uncommitted" }) => Op.startTask("review", { target })

interface Options {
  readonly script?: ScriptedModel.Script
  readonly git?: Parameters<typeof git>[0]
  readonly journal?: Harness.HarnessOptions["journal"]
}

const session = ({ git: own, journal, script = [ScriptedModel.text(result)] }: Options = {}) =>
  Effect.provide(
    Harness.make({ tasks: [ReviewTask.kind({ cwd: "/r" }) as TaskKind], script, ...(journal && { journal }) }),
    git(own)
  )

const words = ({ records }: Pick<Harness.SessionHarness, "records">) => wordsOf(records())

const review = Effect.fnUntraced(function* (options: Options, target?: ReviewTask.ReviewTarget) {
  const harness = yield* session(options)
  yield* harness.session.submit(start(target))
  yield* harness.session.awaitIdle
  return harness
})

describe("a review", () => {
  it.effect("records what the delegate found, and holds its last message back", () =>
    Effect.gen(function* () {
      const harness = yield* review({
        script: [[ScriptedModel.text("I look."), ScriptedModel.call("unknown", {}, "1")], ScriptedModel.text(result)]
      })
      assert.deepStrictEqual(words(harness), [
        "TurnStarted",
        "review.entered",
        "DelegateStarted",
        "DelegateEnded",
        "review.progress",
        "UserMessage",
        "review.exited(output)",
        "AssistantMessage",
        "TurnCompleted"
      ])
      const notes = harness.records().flatMap((one) => (one._tag === "TaskNote" ? [one] : []))
      assert.strictEqual(ReviewTask.outputOf(notes)?.findings[0]?.title, "Wrong")
      assert.deepStrictEqual(
        notes.map(({ message }) => message),
        ["reviewing changes that are not committed", "I look.", undefined]
      )
      const last = harness.records().at(-1)!
      assert.isUndefined(last._tag === "TurnCompleted" ? last.lastMessage : "another end")
      // it sees the change, and tools that only read
      const [request] = harness.requests
      assert.deepStrictEqual(
        request?.tools.map(({ name }) => name),
        ["read_file", "list_files", "search_files"]
      )
      assert.include(JSON.stringify(request?.items), "+two")
    })
  )

  it.effect("runs in a context that only reads, and says how it differs from that of the session", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const context = {
        model: "scripted",
        approvalPolicy: "on-request",
        sandbox: "workspace-write",
        cwd: "/r",
        output: { type: "object" },
        date: "2026-01-01"
      }
      const harness = yield* Effect.provideService(review({ journal }), CurrentTurnContext, () => context)
      const [entered] = harness
        .records()
        .flatMap((one) => (one._tag === "TaskNote" ? Option.toArray(ReviewTask.ReviewEntered.decode(one)) : []))
      assert.deepStrictEqual(entered!.differences, ["approvalPolicy", "output", "sandbox"])
      const [reviewer] = harness.records().flatMap((one) => (one._tag === "DelegateStarted" ? [one.delegateId] : []))
      const { records } = yield* journal.load(reviewer!)
      const contextsIn = (given: typeof records) =>
        given.flatMap((one) => (one._tag === "TurnContextChanged" ? [one.context] : []))
      const { output: _, ...others } = context
      assert.deepStrictEqual(contextsIn(records), [{ ...others, approvalPolicy: "never", sandbox: "read-only" }])
      // the turns of the session keep their context
      assert.deepStrictEqual(contextsIn(harness.records()), [context])
    })
  )

  it.effect("whose delegate fails has left review mode before the end of its turn", () =>
    Effect.gen(function* () {
      const harness = yield* review({ script: [[{ _tag: "Fail", kind: "InvalidRequest" }]] })
      assert.deepStrictEqual(words(harness), [
        "TurnStarted",
        "review.entered",
        "DelegateStarted",
        "DelegateEnded",
        "UserMessage",
        "review.exited",
        "AssistantMessage",
        "TurnFailed"
      ])
    })
  )

  it.effect("that is aborted has left review mode before the end of its turn", () =>
    Effect.gen(function* () {
      const harness = yield* session({ script: [[ScriptedModel.hang]] })
      yield* harness.session.submit(start())
      yield* harness.awaitEvent(Harness.hasTag("DelegateStarted"))
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      const found = words(harness)
      assert.strictEqual(found.at(-1), "TurnAborted")
      assert.deepStrictEqual(found.filter((word) => !["DelegateEnded", "Warning"].includes(word)).slice(0, 6), [
        "TurnStarted",
        "review.entered",
        "DelegateStarted",
        "UserMessage",
        "review.exited",
        "AssistantMessage"
      ])
    })
  )

  const refused = (name: string, options: Options, target: ReviewTask.ReviewTarget, message: string) =>
    it.effect(`fails by name for ${name}`, () =>
      Effect.gen(function* () {
        const harness = yield* review(options, target)
        assert.deepStrictEqual(words(harness), ["TurnStarted", "TurnFailed"])
        const last = harness.records().at(-1)!
        assert.strictEqual(last._tag === "TurnFailed" ? last.error.message : undefined, message)
        assert.deepStrictEqual(harness.requests, [])
      })
    )
  refused(
    "an unknown base",
    { git: { "rev-parse --quiet": undefined } },
    { type: "base", branch: "nope" },
    'git knows no revision "HEAD"'
  )
  refused(
    "an unknown commit",
    { git: { "rev-parse --quiet": undefined } },
    { type: "commit", sha: "nope" },
    'git knows no revision "nope"'
  )
  refused(
    "unrelated branches",
    { git: { "merge-base": undefined } },
    { type: "base", branch: "other" },
    "HEAD and other have no commit in common"
  )
  refused(
    "no changes",
    { git: { diff: "" } },
    { type: "uncommitted" },
    "there is nothing to review: every change is committed"
  )
  refused(
    "no difference from the base",
    { git: { diff: "" } },
    { type: "base", branch: "main" },
    "there is nothing to review: nothing differs from main"
  )

  it.effect("looks at what the person writes, or at one commit", () =>
    Effect.gen(function* () {
      const custom = yield* review({}, { type: "custom", instructions: "is the parser safe?" })
      assert.include(JSON.stringify(custom.requests[0]?.items), "is the parser safe?")
      const commit = yield* review({}, { type: "commit", sha: "c0ffee" })
      assert.include(JSON.stringify(commit.requests[0]?.items), "commit c0ffee")
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { SubmissionId, TurnId } from "@spindle/core/Ids"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Submission from "../src/Submission.ts"
import { callId, record, sessionId, settledBy, turnId, usage } from "./fixtures/events.ts"
import { cleanAbort } from "../../core/test/fixtures/records.ts"

const [mine, other] = [SubmissionId.make("mine"), SubmissionId.make("other")]
const started = (submissionId: SubmissionId) =>
  record({ _tag: "TurnStarted", turnId: TurnId.make(`turn of ${submissionId}`), kind: "regular", submissionId })
const turnOf = (submissionId: SubmissionId) => ({ turnId: TurnId.make(`turn of ${submissionId}`), usage })
const failed = (submissionId: SubmissionId, kept: ReadonlyArray<SubmissionId>) =>
  record({ _tag: "TurnFailed", ...turnOf(submissionId), error: { tag: "E", message: "boom" }, kept })
const aborted = (
  submissionId: SubmissionId,
  reason: "Interrupted" | "Budget",
  kept: ReadonlyArray<SubmissionId> = []
) =>
  record({
    ...cleanAbort,
    ...turnOf(submissionId),
    reason,
    kept
  })

const endOf = (...events: ReadonlyArray<SessionEvent>) => events.reduce(Submission.step, Submission.initial(mine)).end

describe("step", () => {
  it("ends with the turn that the submission started, and with no other", () => {
    const before = [started(other), record({ _tag: "TurnCompleted", ...turnOf(other), lastMessage: "no" })]
    assert.isUndefined(endOf(...before, started(mine)))
    assert.deepStrictEqual(
      endOf(...before, started(mine), record({ _tag: "TurnCompleted", ...turnOf(mine), lastMessage: "yes" })),
      { isCompleted: true, lastMessage: "yes", failure: undefined }
    )
  })

  it("says why its turn failed or was stopped, unless a person stopped it", () => {
    assert.strictEqual(endOf(started(mine), failed(mine, []))?.failure, "boom")
    assert.strictEqual(endOf(started(mine), aborted(mine, "Budget"))?.failure, "the turn was stopped (Budget)")
    assert.deepStrictEqual(endOf(started(mine), aborted(mine, "Interrupted")), {
      isCompleted: false,
      lastMessage: undefined,
      failure: undefined
    })
  })

  it("P2 ends when an earlier turn ends without starting the submission", () => {
    assert.isUndefined(endOf(started(other), failed(other, [])))
    assert.match(
      endOf(started(other), failed(other, [mine]))!.failure!,
      /ran first, and its turn did not complete: boom$/
    )
    assert.isFalse(endOf(started(other), aborted(other, "Interrupted", [mine]))!.isCompleted)
  })

  it("J5 ends with the session when its journal fails", () => {
    assert.strictEqual(endOf({ _tag: "SessionFailed", sessionId, message: "no room" })?.failure, "no room")
  })
})

describe("report", () => {
  const reportOf = (...events: ReadonlyArray<SessionEvent>) =>
    Submission.report(events.reduce(Submission.step, Submission.initial(mine)))

  it("has the notes and decisions of all turns, but no call that was allowed without a question", () => {
    const note = record({ _tag: "TaskNote", turnId, name: "any", data: null })
    const decided = (permission: "allow" | "deny") =>
      record({ _tag: "CallDecided", turnId, callId, permission, source: "policy" })
    const events = [
      started(other),
      note,
      decided("allow"),
      decided("deny"),
      settledBy({ _tag: "Denied" }),
      started(mine),
      record({ _tag: "TurnCompleted", ...turnOf(mine), lastMessage: "yes" })
    ]
    assert.deepStrictEqual(reportOf(...events), {
      isCompleted: true,
      lastMessage: "yes",
      failure: undefined,
      notes: [note],
      decisions: [decided("deny"), settledBy({ _tag: "Denied" })]
    } as Submission.Report)
  })

  it("is that of a failure if the session ended before the turn", () => {
    assert.include(reportOf(started(mine)), { isCompleted: false, failure: "the session ended before the turn" })
  })
})

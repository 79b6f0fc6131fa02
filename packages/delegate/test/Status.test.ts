import { assert, describe, it } from "@effect/vitest"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Status from "@spindle/delegate/Status"
import { cleanAbort } from "../../core/test/fixtures/records.ts"

const usage = { input: 0, cachedInput: 0, output: 0, reasoning: 0, total: 0 }
const record = (event: object): SessionEvent => ({ seq: 0, at: 0, turnId: "t", usage, ...event }) as never
const aborted = (reason: string, lastMessage?: string) =>
  record({
    ...cleanAbort,
    reason,
    lastMessage
  })
const after = (...events: ReadonlyArray<SessionEvent>) => events.reduce(Status.step, Status.pendingInit)
const started = record({ _tag: "TurnStarted", kind: "regular" })

describe("the status of a delegate", () => {
  const cases: ReadonlyArray<
    readonly [status: Status.Status, word: string, wire: Status.WireStatus, settled: boolean]
  > = [
    [after(), "pending_init", "pending_init", false],
    [after(started), "running", "running", false],
    [after(started, record({ _tag: "TurnCompleted", lastMessage: "done" })), "completed", { completed: "done" }, true],
    [after(started, record({ _tag: "TurnCompleted" })), "completed", { completed: null }, true],
    [after(started, aborted("Interrupted", "half")), "interrupted", "interrupted", true],
    [
      after(started, aborted("Deadline", "half")),
      "interrupted",
      { errored: "was stopped at its deadline; its last message: half" },
      true
    ],
    [after(started, aborted("Budget")), "interrupted", { errored: "was stopped: its budget of tokens is spent" }, true],
    [
      after(started, record({ _tag: "TurnFailed", error: { tag: "Defect", message: "a bug" }, kept: [] })),
      "errored",
      { errored: "a bug" },
      true
    ],
    [after(record({ _tag: "SessionFailed", message: "no disk" })), "errored", { errored: "no disk" }, true],
    [Status.shutdown, "shutdown", "shutdown", true],
    [Status.notFound, "not_found", "not_found", true]
  ]
  for (const [status, word, wire, settled] of cases) {
    it(`is ${word} in the words of models: ${JSON.stringify(wire)}`, () =>
      assert.deepStrictEqual(
        [Status.wordOf(status), Status.toWire(status), Status.isSettled(status)],
        [word, wire, settled]
      ))
  }

  it("is recorded in the words of the protocol, with the last message or that of the error", () => {
    const ends = cases.map(([status]) => Status.toEnd(status))
    assert.deepStrictEqual(ends, [
      { status: "pendingInit" },
      { status: "running" },
      { status: "completed", message: "done" },
      { status: "completed" },
      { status: "interrupted", message: "half" },
      { status: "interrupted", message: "half" },
      { status: "interrupted" },
      { status: "errored", message: "a bug" },
      { status: "errored", message: "no disk" },
      { status: "shutdown" },
      { status: "notFound" }
    ])
  })

  it("has a message of bounded length", () => {
    const long = "x".repeat(Status.messageLimit + 3)
    const wire = Status.toWire(after(started, record({ _tag: "TurnCompleted", lastMessage: long })))
    const message = `${"x".repeat(Status.messageLimit)} [3 more characters]`
    assert.deepStrictEqual(wire, { completed: message })
    const end = Status.toEnd(after(started, record({ _tag: "TurnCompleted", lastMessage: long })))
    assert.deepStrictEqual(end, { status: "completed", message })
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Laws from "@spindle/testing/Laws"
import * as SessionPrograms from "@spindle/testing/SessionPrograms"

const plainest: SessionPrograms.SessionProgram = {
  task: "tools",
  operations: [],
  faults: [],
  journalMillis: 1,
  inboxCapacity: 512,
  mode: "before",
  seed: 0
}

/** The tags of the events of each run of a program. */
const tagsOf = (program: Partial<SessionPrograms.SessionProgram>, aborts = 0): ReadonlyArray<ReadonlyArray<string>> => {
  const runs: Array<ReadonlyArray<string>> = []
  const law: Laws.Law = (history) => {
    runs.push(history.events.map(({ _tag }) => _tag))
    return Laws.session(history)
  }
  assert.isUndefined(SessionPrograms.check({ ...plainest, ...program }, { law, aborts }).violation)
  return runs
}

describe("check", () => {
  for (const task of ["answer", "tools", "approval", "custom", "signalled", "straggler"] as const) {
    it(`runs the shape ${task} to its end, and under an abort`, () => {
      const [calm, ...aborted] = tagsOf({ task }, 12)
      assert.include(calm!, "TurnCompleted")
      assert.notInclude(calm!, "TurnAborted")
      assert.lengthOf(aborted, 12)
      assert.isTrue(aborted.some((tags) => tags.includes("TurnAborted")))
    })
  }

  it("runs each operation at its step", () => {
    const hit = (operation: SessionPrograms.Operation, task: SessionPrograms.TaskShape = "approval") =>
      tagsOf({ task, operations: [{ operation, step: 200 }] }).at(-1)!
    assert.include(hit("abort"), "TurnAborted")
    assert.include(hit("queue"), "InputBlocked")
    assert.include(hit("replace"), "TurnAborted")
    assert.isBelow(hit("close").length, hit("steer").length)
  })

  it("makes a fault happen at the n-th time", () => {
    const fault = (one: SessionPrograms.Fault) => tagsOf({ faults: [one] }).at(-1)!
    assert.include(fault({ point: "journal", fault: "fail", nth: 2 }), "SessionFailed")
    assert.include(fault({ point: "journal", fault: "hang", nth: 2 }), "SessionFailed")
    assert.notInclude(fault({ point: "journal", fault: "slow", nth: 2 }), "SessionFailed")
    const requests = (tags: ReadonlyArray<string>) => tags.filter((tag) => tag === "ModelRequested").length
    const calm = requests(tagsOf({}).at(-1)!)
    assert.strictEqual(requests(fault({ point: "model", fault: "drop", nth: 0 })), calm + 1)
    assert.strictEqual(requests(fault({ point: "model", fault: "fail", nth: 1 })), calm + 1)
    assert.strictEqual(requests(fault({ point: "model", fault: "slow", nth: 1 })), calm)
    assert.include(fault({ point: "tool", fault: "hang", nth: 0 }), "TurnAborted")
    assert.include(fault({ point: "tool", fault: "fail", nth: 0 }), "TurnCompleted")
  })

  it("S2 J5 a write that fails while nothing runs may fail the next submission", () => {
    // a straggler ends late, and its end is recorded when its turn is over
    let idleAndFailed = false
    const law: Laws.Law = (history) => {
      idleAndFailed ||= history.idle?.status === "idle" && history.events.at(-1)?._tag === "SessionFailed"
      return Laws.session(history)
    }
    // which write that is, and the schedules that come there, depend on the number of steps of everything
    for (let seed = 71; seed < 200; seed++) {
      for (const nth of [6, 7, 5, 8]) {
        if (idleAndFailed) return
        const faults = [{ point: "journal", fault: "fail", nth }] as const
        const shown = { ...plainest, task: "straggler", journalMillis: 0, faults, seed } as const
        assert.isUndefined(SessionPrograms.check(shown, { law, aborts: 60 }).violation)
      }
    }
    assert.fail("no write failed while nothing ran")
  })

  it("returns a violation that can be repeated from its line", () => {
    const law: Laws.Law = ({ events }) =>
      events.some(({ _tag }) => _tag === "TurnAborted") ? "X there was an abort" : undefined
    const { violation } = SessionPrograms.check(plainest, { law })
    const line = SessionPrograms.format(plainest, violation!)
    const [, program, decisions] = /replay\((\{.*\}), options, (\{.*\})\)$/.exec(line)!
    assert.strictEqual(
      SessionPrograms.replay(JSON.parse(program!), { law }, JSON.parse(decisions!)),
      "X there was an abort"
    )
  })

  it.effect("shrinks a program to what matters", () =>
    Effect.gen(function* () {
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.schema(SessionPrograms.SessionProgram),
        (program) => {
          const law: Laws.Law = ({ events }) => (events.some(({ _tag }) => _tag === "SessionFailed") ? "X" : undefined)
          return Effect.sync(() => SessionPrograms.check(program, { law, aborts: 0 }).violation === undefined)
        },
        { runs: 200, seed: 1 }
      )
      assert.strictEqual(result._tag, "Falsified")
      if (result._tag !== "Falsified") return
      assert.lengthOf(result.shrunkInput.operations, 0)
      assert.lengthOf(result.shrunkInput.faults, 1)
      assert.strictEqual(result.shrunkInput.faults[0]?.point, "journal")
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import type { ProcessId } from "@spindle/core/Ids"
import type { NewRecord, JournalRecord } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Authority from "@spindle/core/Authority"
import * as History from "@spindle/core/History"
import * as SessionState from "@spindle/core/SessionState"
import * as Records from "../fixtures/records.ts"

const {
  accepted,
  aborted,
  asked,
  call,
  completed,
  failed,
  recorded,
  replaced,
  result,
  rolledBack,
  said,
  settled,
  started,
  turnStarted,
  user
} = Records

/** Returns the invariants that the records of a list break; the state continues with all records. */
const violationsOf = (records: ReadonlyArray<JournalRecord>): ReadonlyArray<string> => {
  let state = SessionState.empty
  return records.flatMap((record) => {
    const broken = SessionState.violation(state, record)
    state = SessionState.apply(state, record)
    return broken === undefined ? [] : [broken]
  })
}

/** Returns the invariant that the last record breaks, when all before it are legal. */
const breaks = (...records: ReadonlyArray<NewRecord>): string | undefined => {
  const all = Records.numbered([started, ...records])
  assert.deepStrictEqual(violationsOf(all.slice(0, -1)), [])
  return violationsOf(all)[0]
}

const blocked = (turnId: string, id: string): NewRecord => ({
  _tag: "InputBlocked",
  turnId: Records.turn(turnId),
  submissionId: Records.submission(id)
})

const legal: ReadonlyArray<NewRecord> = [
  started,
  accepted("s1"),
  turnStarted("t1", "s1"),
  recorded("t1", user("hello", "s1")),
  recorded("t1", call("a")),
  recorded("t1", call("b")),
  asked("t1", "q"),
  accepted("s2", "t1"),
  accepted("s3"),
  settled("t1", "q", "session"),
  recorded("t1", result("a")),
  recorded("t1", result("b")),
  recorded("t1", user("more", "s2")),
  completed("t1"),
  { _tag: "StragglerEnded", straggler: { kind: "task", name: "x" }, ofTurn: Records.turn("t1"), afterMillis: 3 },
  turnStarted("t2", "s3"),
  blocked("t2", "s3"),
  accepted("s4", "t2"),
  failed("t2"),
  turnStarted("t3", "s4"),
  recorded("t3", user("again", "s4")),
  accepted("s5", "t3"),
  accepted("s6", "t3"),
  aborted("t3", { returned: ["s5"], dropped: ["s6"] }),
  { _tag: "SessionResumed", cutBytes: 0 },
  rolledBack(1),
  { _tag: "OperationAccepted", submissionId: Records.submission("stop"), op: "Interrupt" },
  turnStarted("t4"),
  { _tag: "TurnContextChanged", turnId: Records.turn("t4"), context: { model: "m", cwd: "/" } },
  { _tag: "TaskNote", turnId: Records.turn("t4"), name: "progress", data: { done: 1 } },
  replaced("t4", [user("hello"), said("a summary")]),
  completed("t4"),
  { _tag: "Warning", message: "careful" }
]

describe("violation", () => {
  it("J3 finds nothing in a legal list of records", () => {
    assert.deepStrictEqual(violationsOf(Records.numbered(legal)), [])
  })

  it("J3 finds nothing in any prefix of it, and ignores records of another version", () => {
    const all = Records.numbered(legal)
    for (let size = 0; size <= all.length; size++) assert.deepStrictEqual(violationsOf(all.slice(0, size)), [])
    const unknown: JournalRecord = { _tag: "Unknown", seq: all.length, at: 0, raw: {} }
    assert.deepStrictEqual(violationsOf([...all, unknown]), [])
  })

  it("1: numbers have no holes, and the first record is SessionStarted and no other is", () => {
    const [first, second] = Records.numbered([started, Records.warning("a")])
    assert.deepStrictEqual(violationsOf([first!, { ...second!, seq: 2 }]), ["1: record 2 instead of 1"])
    assert.deepStrictEqual(violationsOf([first!, { ...second!, seq: 0 }])[0], "1: record 0 instead of 1")
    assert.deepStrictEqual(violationsOf(Records.numbered([Records.warning("a")])), ["1: Warning at 0"])
    assert.strictEqual(breaks(started), "1: SessionStarted at 1")
    assert.match(violationsOf([{ _tag: "Unknown", seq: 0, at: 0, raw: {} }])[0] ?? "", /^1: /)
  })

  it("2: no turn starts inside another (S1)", () => {
    assert.strictEqual(breaks(turnStarted("t1"), turnStarted("t2")), "2: turn t2 starts inside t1")
    assert.strictEqual(breaks(turnStarted("t1"), turnStarted("t1")), "2: turn t1 starts inside t1")
  })

  it("3: records of a turn come while that turn is open (S2)", () => {
    const late: ReadonlyArray<NewRecord> = [
      recorded("t1", said("late")),
      completed("t1"),
      failed("t1"),
      aborted("t1"),
      asked("t1", "q"),
      settled("t1", "q"),
      blocked("t1", "s1"),
      replaced("t1", []),
      { _tag: "TurnContextChanged", turnId: Records.turn("t1"), context: {} },
      { _tag: "TaskNote", turnId: Records.turn("t1"), name: "progress", data: {} },
      {
        _tag: "ModelRequested",
        turnId: Records.turn("t1"),
        requestId: Records.modelRequest("r"),
        attempt: 1,
        provider: "p",
        model: "m"
      }
    ]
    for (const record of late) {
      assert.match(breaks(turnStarted("t1"), completed("t1"), record) ?? "", /^3: .* of turn t1 while no turn is open/)
      assert.match(
        breaks(turnStarted("t1"), completed("t1"), turnStarted("t2"), record) ?? "",
        /^3: .* while t2 is open/
      )
    }
  })

  it("4: a result answers an open call, and no call is open at the end of a turn (I6)", () => {
    assert.match(breaks(turnStarted("t1"), recorded("t1", result("a"))) ?? "", /^4: result of call a/)
    const answered = [turnStarted("t1"), recorded("t1", call("a")), recorded("t1", result("a"))]
    assert.match(breaks(...answered, recorded("t1", result("a"))) ?? "", /^4: /)
    for (const end of [completed("t1"), failed("t1"), aborted("t1")]) {
      assert.strictEqual(breaks(turnStarted("t1"), recorded("t1", call("a")), end), "4: calls a are open")
    }
    // a call of an earlier turn is not open in this one
    assert.match(breaks(...answered, completed("t1"), turnStarted("t2"), recorded("t2", result("a"))) ?? "", /^4: /)
  })

  it("5: a question is settled once, after it was opened, and none is open at the end of a turn (A1)", () => {
    assert.strictEqual(breaks(turnStarted("t1"), settled("t1", "q")), "5: question q is not open")
    const once = [turnStarted("t1"), asked("t1", "q"), settled("t1", "q")]
    assert.strictEqual(breaks(...once, settled("t1", "q")), "5: question q is not open")
    for (const end of [completed("t1"), failed("t1"), aborted("t1")]) {
      assert.strictEqual(breaks(turnStarted("t1"), asked("t1", "q"), end), "5: 1 questions are open")
    }
  })

  it("6: input is carried, blocked, returned or dropped once, after it was accepted (P2)", () => {
    const fates: ReadonlyArray<NewRecord> = [
      recorded("t1", user("hello", "s1")),
      blocked("t1", "s1"),
      aborted("t1", { returned: ["s1"] }),
      aborted("t1", { dropped: ["s1"] })
    ]
    for (const fate of fates) {
      assert.strictEqual(breaks(turnStarted("t1"), fate), "6: input s1 is not waiting")
      for (const before of fates.slice(0, 2)) {
        assert.strictEqual(breaks(accepted("s1"), turnStarted("t1", "s1"), before, fate), "6: input s1 is not waiting")
      }
      assert.isUndefined(breaks(accepted("s1"), turnStarted("t1", "s1"), fate))
    }
  })
})

describe("violation of tasks alongside turns", () => {
  const task = { kind: "watch", params: {}, mode: "alongside" } as const
  const accept = { ...accepted("s1", "t1"), delivery: "wait", task } as NewRecord
  const reported: NewRecord = {
    _tag: "TaskReported",
    turnId: Records.turn("t1"),
    submissionId: Records.submission("s1"),
    fragment: "watched",
    input: []
  }

  it("10: a task alongside a turn reports its result once, before the end of the turn (P2)", () => {
    const running = [turnStarted("t1"), accept]
    const missing = "10: task s1 does not run alongside turn t1"
    assert.strictEqual(breaks(turnStarted("t1"), reported), missing)
    assert.strictEqual(breaks(turnStarted("t1"), accepted("s1", "t1"), reported), missing)
    assert.strictEqual(breaks(...running, reported, reported), missing)
    for (const end of [completed("t1"), failed("t1"), aborted("t1")]) {
      assert.strictEqual(breaks(...running, end), "10: task s1 has not reported its result")
      assert.isUndefined(breaks(...running, reported, end))
    }
  })
})

describe("violation of model requests and rollbacks", () => {
  const requested = (id: string): NewRecord => ({
    _tag: "ModelRequested",
    turnId: Records.turn("t1"),
    requestId: Records.modelRequest(id),
    attempt: 1,
    provider: "p",
    model: "m"
  })
  const responded = (id: string): NewRecord => ({
    _tag: "ModelResponded",
    turnId: Records.turn("t1"),
    requestId: Records.modelRequest(id),
    finish: "stop",
    usage: TokenUsage.zero
  })
  it("7: a turn has one model request at a time, each ends once, and none is open at its end (I7)", () => {
    const begun = [turnStarted("t1"), requested("r")]
    assert.strictEqual(breaks(...begun, requested("r2")), "7: model request r2 while r is open")
    assert.strictEqual(breaks(...begun, responded("r2")), "7: model request r2 is not open")
    assert.strictEqual(breaks(...begun, responded("r"), responded("r")), "7: model request r is not open")
    for (const end of [completed("t1"), failed("t1"), aborted("t1")]) {
      assert.strictEqual(breaks(...begun, end), "7: model request r is open")
      assert.isUndefined(breaks(...begun, responded("r"), requested("r2"), responded("r2"), end))
    }
  })

  it("8: a rollback comes between turns and takes no more turns than there are (J4)", () => {
    const carried = [accepted("s1"), turnStarted("t1", "s1"), recorded("t1", user("hello", "s1"))]
    assert.strictEqual(breaks(...carried, rolledBack(1)), "8: a rollback inside turn t1")
    assert.strictEqual(breaks(...carried, completed("t1"), rolledBack(2)), "8: a rollback of 2 turns of 1")
    assert.isUndefined(breaks(...carried, completed("t1"), rolledBack(1)))
    assert.match(breaks(...carried, completed("t1"), rolledBack(1), rolledBack(1)) ?? "", /^8: .* turns of 0/)
  })
})

describe("violation of replacements", () => {
  it("9: the history is replaced between model requests, while no call is open (I6)", () => {
    const requestId = Records.modelRequest("r")
    const requested: NewRecord = {
      _tag: "ModelRequested",
      turnId: Records.turn("t1"),
      requestId,
      attempt: 1,
      provider: "p",
      model: "m"
    }
    assert.strictEqual(
      breaks(turnStarted("t1"), requested, replaced("t1", [])),
      "9: the history is replaced during model request r"
    )
    const called = [turnStarted("t1"), recorded("t1", call("a"))]
    assert.strictEqual(breaks(...called, replaced("t1", [])), "9: the history is replaced while calls a are open")
    assert.isUndefined(breaks(...called, recorded("t1", result("a")), replaced("t1", [])))
  })
})

/** A turn of the user that says its own name. */
const turnOf = (id: string): ReadonlyArray<NewRecord> => [
  accepted(id),
  turnStarted(id, id),
  recorded(id, user(id, id)),
  recorded(id, said(`re ${id}`)),
  completed(id)
]
const itemsOf = (...records: ReadonlyArray<NewRecord>) =>
  History.toArray(SessionState.fold(Records.numbered([started, ...records])).history)

describe("a history that was replaced", () => {
  const summary = said("a summary")
  const compaction = [turnStarted("compact"), replaced("compact", [summary]), completed("compact")]

  it("J3 is what its record contains, and grows from there", () => {
    assert.deepStrictEqual(itemsOf(...turnOf("one"), ...compaction), [summary])
    assert.deepStrictEqual(itemsOf(...turnOf("one"), ...compaction, ...turnOf("two")), [
      summary,
      user("two", "two"),
      said("re two")
    ])
  })

  it("J4 comes back with a rollback to a point before it, and stays with one to a point after it", () => {
    const records = [...turnOf("one"), ...turnOf("two"), ...compaction, ...turnOf("three")]
    assert.deepStrictEqual(itemsOf(...records, rolledBack(1)), [summary])
    assert.deepStrictEqual(itemsOf(...records, rolledBack(2)), itemsOf(...turnOf("one")))
    assert.deepStrictEqual(itemsOf(...records, rolledBack(1), rolledBack(1)), itemsOf(...turnOf("one")))
    assert.deepStrictEqual(itemsOf(...records, rolledBack(3)), [])
  })

  it("J4 comes back with a rollback of the turn that replaced it in its middle", () => {
    const middle = [
      accepted("two"),
      turnStarted("two", "two"),
      recorded("two", user("two", "two")),
      replaced("two", [summary]),
      recorded("two", said("re two")),
      completed("two")
    ]
    const records = [...turnOf("one"), ...middle]
    assert.deepStrictEqual(itemsOf(...records), [summary, said("re two")])
    assert.strictEqual(SessionState.userTurnCount(SessionState.fold(Records.numbered([started, ...records]))), 2)
    assert.deepStrictEqual(itemsOf(...records, rolledBack(1)), itemsOf(...turnOf("one")))
  })

  it("S5 keeps the last message of the turn that replaced it", () => {
    const state = SessionState.fold(
      Records.numbered([started, turnStarted("t"), recorded("t", said("before")), replaced("t", [])])
    )
    assert.strictEqual(state.turn?.lastMessage, "before")
  })
})

describe("the last message of a turn", () => {
  it("S5 is its newest assistant text that was not cut, and not that of another turn", () => {
    const turn = (...records: ReadonlyArray<NewRecord>) =>
      SessionState.fold(Records.numbered([started, ...turnOf("one"), turnStarted("two"), ...records])).turn
    assert.isUndefined(turn()?.lastMessage)
    assert.isUndefined(turn(recorded("two", said("cut", "aborted")))?.lastMessage)
    assert.strictEqual(turn(recorded("two", said("a")), recorded("two", said("b")))?.lastMessage, "b")
    assert.strictEqual(turn(recorded("two", said("a")), recorded("two", said("b", "superseded")))?.lastMessage, "a")
  })
})

describe("a notice", () => {
  it("J4 makes no turn of the user: a rollback counts the turns around it and takes it with them", () => {
    const noticeTurn = [
      Records.noticed("n", "steer"),
      turnStarted("n", "n"),
      recorded("n", Records.notice("n", "n")),
      recorded("n", said("noted")),
      completed("n")
    ]
    const records = [...turnOf("one"), ...noticeTurn]
    const state = SessionState.fold(Records.numbered([started, ...records]))
    assert.deepStrictEqual([SessionState.userTurnCount(state), state.inbox.length], [1, 0])
    assert.deepStrictEqual(itemsOf(...records, rolledBack(1)), [])
    assert.deepStrictEqual(itemsOf(...records, ...turnOf("two"), rolledBack(1)), itemsOf(...records))
  })

  it("P2 keeps its kind while it waits", () => {
    const { inbox } = SessionState.fold(Records.numbered([started, Records.noticed("n")]))
    assert.deepStrictEqual(
      inbox.map(({ fragment, waits }) => [fragment, waits]),
      [[History.noticeFragment, true]]
    )
  })
})

describe("fold of many rollbacks", () => {
  it("J7 takes time linear in the records: 30,000 turns, then 30,000 rollbacks of one turn", () => {
    const count = 30_000
    const turns = Array.from({ length: count }, (_, index) => turnOf(`${index}`)).flat()
    const records = Records.numbered([started, ...turns, ...Array.from({ length: count }, () => rolledBack(1))])
    let state = SessionState.empty
    let items = 0
    // the work of a rollback shows in how many items it copies: none, so each version shares the one before
    for (const record of records) {
      const { history } = state
      state = SessionState.apply(state, record)
      if (record._tag === "RolledBack") {
        let log: History.ItemLog | undefined = history
        while (log !== undefined && log !== state.history) log = log.before
        assert.strictEqual(log, state.history)
        items++
      }
    }
    assert.deepStrictEqual([items, state.history.length, state.userTurn], [count, 0, undefined])
  })
})

describe("fold", () => {
  it("J3 rebuilds history, inbox, usage, grants and processes", () => {
    const usage = { input: 1, cachedInput: 0, output: 2, reasoning: 0, total: 3 }
    const responded: NewRecord = {
      _tag: "ModelResponded",
      turnId: Records.turn("t1"),
      requestId: Records.modelRequest("r"),
      finish: "stop",
      usage
    }
    const process = "p" as ProcessId
    const state = SessionState.fold(
      Records.numbered([
        started,
        accepted("s1"),
        accepted("s2"),
        turnStarted("t1", "s1"),
        recorded("t1", user("hello", "s1")),
        responded,
        responded,
        recorded("t1", call("a")),
        asked("t1", "q"),
        asked("t1", "q2"),
        settled("t1", "q", "turn"),
        accepted("s3", "t1"),
        {
          _tag: "ProcessStarted",
          processId: process,
          turnId: Records.turn("t1"),
          command: ["ls"],
          cwd: "/",
          keep: true
        }
      ])
    )
    assert.strictEqual(state.sessionId, Records.sessionId)
    assert.strictEqual(state.seq, 13)
    assert.strictEqual(state.turnCount, 1)
    assert.strictEqual(state.usage.total, 6)
    assert.deepStrictEqual(
      state.inbox.map((entry) => [entry.submissionId, entry.turnId]),
      [
        ["s2", undefined],
        ["s3", "t1"]
      ]
    )
    assert.deepStrictEqual(History.toArray(state.history), [user("hello", "s1"), call("a")])
    assert.deepStrictEqual(state.processes, [process])
    const key = Authority.keyOf("shell", { command: "ls" })
    assert.deepStrictEqual(state.grants, [{ scope: "turn", key }])
    const { turn } = state
    assert.deepStrictEqual(
      [turn?.turnId, turn?.startedWith, turn?.startSeq, turn?.itemCount, turn?.historyBefore.length, turn?.produced],
      ["t1", "s1", 3, 2, 0, true]
    )
    assert.deepStrictEqual(turn?.openCalls, [call("a")])
    assert.deepStrictEqual(
      turn?.questions.map((one) => one.questionId),
      ["q2"]
    )
    assert.strictEqual(turn?.usage.total, 6)
  })

  it("J3 the end of a turn releases the input that steered it, removes its grants, and keeps those of the session", () => {
    const ends: ReadonlyArray<NewRecord> = [completed("t1"), failed("t1"), aborted("t1")]
    for (const end of ends) {
      const state = SessionState.fold(
        Records.numbered([
          started,
          turnStarted("t1"),
          asked("t1", "q"),
          settled("t1", "q", "turn"),
          asked("t1", "q2"),
          settled("t1", "q2", "session"),
          accepted("s1", "t1"),
          end
        ])
      )
      assert.isUndefined(state.turn)
      assert.deepStrictEqual(
        state.grants.map((grant) => grant.scope),
        ["session"]
      )
      assert.deepStrictEqual(
        state.inbox.map((entry) => [entry.submissionId, entry.turnId]),
        [["s1", undefined]]
      )
    }
  })

  it("J3 is total when records are missing or repeated, and changes no older state", () => {
    const all = Records.numbered(legal)
    for (let gone = 0; gone < all.length; gone++) SessionState.fold([...all.slice(0, gone), ...all.slice(gone + 1)])
    SessionState.fold([...all, ...all])
    const before = SessionState.fold(all.slice(0, 6))
    const copy = { ...before, items: History.toArray(before.history) }
    SessionState.fold(all)
    all.slice(6).reduce(SessionState.apply, before)
    assert.deepStrictEqual({ ...before, items: History.toArray(before.history) }, copy)
  })
})

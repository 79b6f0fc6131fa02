import { assert, describe, it } from "@effect/vitest"
import { Processes } from "@spindle/core/Processes"
import * as Op from "@spindle/core/Op"
import { QuestionId, SessionId, TurnId } from "@spindle/core/Ids"
import type { KnownRecord, NewRecord } from "@spindle/core/SessionEvent"
import { Turn } from "@spindle/core/Turn"
import * as Timeline from "@spindle/telemetry/Timeline"
import * as TimelinePage from "@spindle/telemetry/TimelinePage"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { caller, processes, traceId } from "./traced.ts"

const root = SessionId.make("root")
const child = SessionId.make("child")
const turnId = TurnId.make("turn")
const question = { _tag: "QuestionOpened", turnId, kind: "command", tool: "exec_command", payload: {} } as const

/** A turn with a question and a process, one that fails, one that is steered and aborted; from its journal. */
const session = Effect.gen(function* () {
  const host = processes()
  const h = yield* Harness.make({
    script: [
      [Model.text("I look. "), Model.call("run", { secret: "<b>&amp;" }, "call-1")],
      [Model.text("Done <script>alert(1)</script>")],
      [Model.fail("Unauthorized")],
      [Model.call("run", {}, "call-2"), Model.gate("open")]
    ],
    tools: {
      run: {
        policy: { approval: "ask", kind: "command" },
        run: () =>
          Effect.flatMap(Turn, (turn) =>
            turn.process({ command: ["sleep", "500"], cwd: "/work", callId: "call-1" as never })
          ).pipe(
            Effect.flatMap((process) => process.exit),
            Effect.orDie,
            Effect.provideService(Processes, host.service)
          )
      }
    }
  })
  yield* h.session.submit(Op.userInput("go"), { trace: caller })
  const first = yield* h.awaitEvent(Harness.tagged("QuestionOpened"))
  yield* TestClock.adjust("2 seconds")
  yield* h.session.submit(Op.answer(first.questionId, { _tag: "Approved", scope: "once" }))
  yield* TestClock.adjust("500 millis")
  yield* h.session.awaitIdle
  yield* TestClock.adjust("1 minute")
  yield* h.run("fails")
  yield* h.submit("is aborted")
  yield* h.model.reached("open")
  yield* h.submit("faster")
  yield* h.session.abort()
  yield* TestClock.adjust("1 second")
  yield* h.session.awaitIdle
  return { sessionId: h.session.sessionId, records: h.records() }
}).pipe(Effect.scoped)

describe("a timeline", () => {
  it.effect("has the turns of a journal with what ran in them, from when to when, and how it ended", () =>
    Effect.gen(function* () {
      const { records, sessionId } = yield* session
      const { turns, usage } = Timeline.make(sessionId, records)
      assert.deepStrictEqual(
        turns.map(({ at, endedAt, kind, number, outcome, reason }) => [number, kind, outcome, reason, endedAt! - at]),
        [
          [1, "regular", "completed", undefined, 2_500],
          [2, "regular", "failed", "ModelFailed: scripted Unauthorized", 0],
          [3, "regular", "aborted", "Interrupted", 0]
        ]
      )
      const [first, , third] = turns
      assert.strictEqual(first!.traceId, traceId)
      assert.deepStrictEqual(
        Timeline.nested(first!.bars).map(({ bar, depth }) => [
          depth,
          bar.kind,
          bar.name,
          bar.status,
          bar.at - first!.at,
          bar.endedAt! - bar.at
        ]),
        [
          [0, "model", "scripted", "tool-calls", 0, 0],
          [0, "tool", "run", "completed", 0, 2_500],
          [1, "approval", "command", "approved", 0, 2_000],
          [1, "process", "500", "exit 0", 2_000, 500],
          [0, "model", "scripted", "stop", 2_500, 0]
        ]
      )
      assert.deepStrictEqual(
        third!.bars.map(({ kind, mood, status }) => [kind, status, mood]),
        [
          ["model", "aborted", "stopped"],
          ["tool", "aborted", "stopped"],
          ["approval", "cancelled", "stopped"]
        ]
      )
      assert.deepStrictEqual(
        third!.marks.map(({ kind, text }) => [kind, text]),
        [
          ["steer", "faster"],
          ["abort", "asked to stop: Interrupted"]
        ]
      )
      assert.strictEqual(
        usage.total,
        turns.reduce((sum, turn) => sum + turn.usage.total, 0)
      )
    })
  )

  it.effect("of a journal that breaks off has what is open without an end", () =>
    Effect.gen(function* () {
      const { records, sessionId } = yield* session
      const cut = records.findIndex((record) => record._tag === "ProcessStarted") + 1
      const [turn] = Timeline.make(sessionId, records.slice(0, cut)).turns
      assert.deepStrictEqual([turn!.outcome, turn!.endedAt], ["open", undefined])
      assert.deepStrictEqual(
        turn!.bars.map(({ endedAt, kind, status }) => [kind, status, endedAt === undefined]),
        [
          ["model", "tool-calls", false],
          ["tool", "open", true],
          ["approval", "approved", false],
          ["process", "open", true]
        ]
      )
    })
  )

  it("says which delegate asks, and of one further below by way of whom", () => {
    const records: ReadonlyArray<NewRecord> = [
      { _tag: "TurnStarted", turnId, kind: "regular" },
      { _tag: "DelegateStarted", turnId, delegateId: child, name: "Ada", linked: true, depth: 1 },
      { ...question, questionId: QuestionId.make("own"), path: [root] },
      { ...question, questionId: QuestionId.make("of the child"), path: [root, child] },
      { ...question, questionId: QuestionId.make("below it"), path: [root, child, SessionId.make("grandchild")] }
    ]
    const { turns } = Timeline.make(
      root,
      records.map((record, seq): KnownRecord => ({ seq, at: seq, ...record }))
    )
    assert.deepStrictEqual(
      turns[0]!.bars.map(({ name }) => name),
      ["Ada", "command", "command (Ada)", "command (Ada)"]
    )
  })

  it("of an empty journal is empty", () => {
    const { notes, turns } = Timeline.make("none" as SessionId, [])
    assert.deepStrictEqual([turns, notes], [[], []])
  })
})

describe("its page", () => {
  const page = Effect.map(session, ({ records, sessionId }) => TimelinePage.render(Timeline.make(sessionId, records)))

  it.effect("needs nothing from elsewhere, and runs nothing", () =>
    Effect.gen(function* () {
      const html = yield* page
      assert.match(html, /^<!doctype html>/)
      assert.include(html, "default-src 'none'; style-src 'unsafe-inline'")
      assert.notMatch(html, /<(script|link|img|iframe|object|embed)\b/i)
      assert.notMatch(html, /\b(src|href)="(?!#)/)
      assert.notMatch(html, /url\(|@import/)
    })
  )

  it.effect("escapes whatever the journal says", () =>
    Effect.gen(function* () {
      const html = yield* page
      assert.include(html, "Done &#60;script&#62;alert(1)&#60;/script&#62;")
      assert.include(html, "&#60;b&#62;&#38;amp;")
    })
  )

  it.effect("shows each turn with its outcome, its bars and what was said", () =>
    Effect.gen(function* () {
      const html = yield* page
      for (const text of [
        'id="turn-1" class="turn completed"',
        'id="turn-2" class="turn failed"',
        'id="turn-3" class="turn aborted"',
        "ModelFailed: scripted Unauthorized",
        "asks: command",
        "500 ms · exit 0",
        "What was said"
      ]) {
        assert.include(html, text)
      }
      assert.strictEqual(html.match(/class="bar /g)?.length, 5 + 1 + 3)
    })
  )
})

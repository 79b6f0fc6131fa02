import { assert, describe, it } from "@effect/vitest"
import { type ProcessId, SessionId, SubmissionId, type TurnId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import type { KnownRecord, JournalRecord, SessionEvent } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Laws from "@spindle/testing/Laws"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"

const { call, gate, pieces, text } = ScriptedModel

/**
 * A session with everything that laws examine: tool calls, a request, steered and queued input, an abort, a
 * replacement.
 */
const history = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const journal = yield* SessionHarness.memoryJournal
  const harness = yield* SessionHarness.make({
    journal,
    tools: { look: { run: () => Effect.succeed("seen"), policy: { approval: "ask" } } },
    script: [
      [...text("I ", "look"), call("look", {}, "a")],
      [...text("done")],
      [...pieces("so ", "far"), gate("never")],
      [text("next")]
    ]
  }).pipe(Effect.provideService(Scope.Scope, scope))
  const { abort, history: seen, noteIdle, submit } = yield* Laws.observe(harness, journal)
  yield* submit(Op.userInput("hi"))
  const { questionId } = yield* harness.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
  yield* submit(Op.userInput("more"))
  yield* submit(Op.answer(questionId, { _tag: "Approved", scope: "once" }))
  yield* harness.session.awaitIdle
  yield* submit(Op.userInput("again"))
  yield* harness.model.awaitGate("never")
  yield* submit(Op.userInput("queued", { delivery: "queue" }))
  yield* abort
  yield* harness.session.awaitIdle
  yield* noteIdle
  yield* Effect.forkChild(Scope.close(scope, Exit.void))
  yield* TestClock.adjust("1 minute")
  return yield* seen
})

type Change = (history: Laws.History) => Laws.History

/** Other events, numbered anew. */
const events =
  (change: (events: ReadonlyArray<SessionEvent>) => ReadonlyArray<SessionEvent>): Change =>
  (seen) => {
    let seq = 0
    return { ...seen, events: change(seen.events).map((event) => ("seq" in event ? { ...event, seq: seq++ } : event)) }
  }
const without = (is: (event: SessionEvent) => boolean) => events((all) => all.filter((event) => !is(event)))
const last = (all: ReadonlyArray<SessionEvent>, tag: SessionEvent["_tag"]) =>
  all.findLast((event) => event._tag === tag) as JournalRecord
const swapped = (of: (all: ReadonlyArray<SessionEvent>) => SessionEvent, by: (event: any) => SessionEvent) =>
  events((all) => all.map((event) => (event === of(all) ? by(event) : event)))
const repeated = (tag: SessionEvent["_tag"]) =>
  events((all) => all.flatMap((event) => (event === last(all, tag) ? [event, event] : [event])))
const record = (fields: object) => ({ seq: 0, at: 0, ...fields }) as unknown as KnownRecord
const turnId = "none" as TurnId
const isMarker = (event: SessionEvent) =>
  event._tag === "ItemRecorded" && event.item._tag === "UserMessage" && event.item.fragment !== undefined

/** For each law histories that break it. */
const broken: { readonly [clause: string]: ReadonlyArray<Change> } = {
  S1: [without(({ _tag }) => _tag === "TurnCompleted")],
  S2: [
    events((all) => [...all, record({ _tag: "ModelRequested", turnId: (last(all, "TurnAborted") as any).turnId })]),
    without(({ _tag }) => _tag === "TurnAborted"),
    events((all) => [{ _tag: "SessionFailed", sessionId: SessionId.make("s"), message: "" }, ...all])
  ],
  S3: [without(({ _tag }) => _tag === "TurnStarted")],
  S4: [
    events((all) => [
      ...all,
      record({ _tag: "TurnStarted", turnId, kind: "other" }),
      { ...(last(all, "TurnAborted") as any), reason: "Replaced" }
    ])
  ],
  S7: [(seen) => ({ ...seen, fiberCount: 2 })],
  I1: [(seen) => ({ ...seen, abortCount: 2 }), (seen) => ({ ...seen, abortCount: 0 })],
  I2: [
    (seen) => ({ ...seen, streaming: 1 }),
    swapped(
      (all) => last(all, "ModelRequested"),
      (event) => ({ ...event, at: event.at + 1 })
    )
  ],
  I3: [
    events((all) => [
      ...all,
      record({
        _tag: "StragglerEnded",
        ofTurn: (last(all, "TurnAborted") as any).turnId,
        straggler: { kind: "task", name: "stuck" },
        afterMillis: 1
      })
    ])
  ],
  I4: [(seen) => ({ ...seen, opened: 2, closed: 1 })],
  I5: [without(isMarker)],
  I6: [
    without((event) => event._tag === "ItemRecorded" && event.item._tag === "ToolResult"),
    (seen) => ({ ...seen, requests: seen.requests!.map((one) => ({ ...one, items: one.items.slice(0, -2) })) })
  ],
  I7: [
    without((event) => event._tag === "ItemRecorded" && event.item._tag === "AssistantMessage"),
    without((event) => event._tag === "TextDelta" && event.offset === 0)
  ],
  P1: [(seen) => ({ ...seen, receipts: [...seen.receipts!, { ...(seen.receipts![0] as any), turnId }] as any })],
  P2: [
    without(({ _tag }) => _tag === "InputAccepted"),
    (seen) => ({ ...seen, final: { ...seen.final!, waiting: [] } }),
    swapped(
      (all) => last(all, "TurnAborted"),
      (event) => ({ ...event, kept: [] })
    )
  ],
  P3: [
    events((all) => {
      const inputs = all
        .filter(({ _tag }) => _tag === "InputAccepted")
        .map((one: any) => ({ ...one, turnId: undefined }))
      return [...inputs.toReversed(), ...all.filter(({ _tag }) => _tag !== "InputAccepted")]
    })
  ],
  P4: [
    (seen) => ({
      ...seen,
      receipts: [
        {
          _tag: "Steered",
          submissionId: SubmissionId.make("gone"),
          turnId: (seen.events.find(({ _tag }) => _tag === "TurnCompleted") as any).turnId
        }
      ]
    })
  ],
  P6: [repeated("InputAccepted")],
  A1: [repeated("QuestionOpened"), repeated("QuestionSettled"), without(({ _tag }) => _tag === "QuestionSettled")],
  A2: [
    swapped(
      (all) => last(all, "QuestionSettled"),
      (event) => ({ ...event, decision: { _tag: "Cancelled", by: "abort" } })
    )
  ],
  A5: [
    swapped(
      (all) => last(all, "QuestionSettled"),
      (event) => ({ ...event, decision: { _tag: "Abort" } })
    )
  ],
  J1: [(seen) => ({ ...seen, journal: seen.journal!.slice(1) })],
  J3: [
    events((all) => [...all, record({ _tag: "TurnCompleted", turnId, usage: TokenUsage.zero })]),
    (seen) => ({ ...seen, final: { ...seen.final!, items: [] } })
  ],
  J8: [
    without((event) => event._tag === "ItemRecorded" && event.item._tag === "ToolCall"),
    without(({ _tag }) => _tag === "ModelRequested")
  ],
  X1: [
    (seen) => ({
      ...seen,
      processes: ["p" as ProcessId],
      events: [
        ...seen.events,
        record({
          _tag: "ProcessStarted",
          processId: "p",
          turnId: (seen.events.find(({ _tag }) => _tag === "TurnCompleted") as any).turnId,
          keep: false
        })
      ]
    })
  ],
  W2: [(seen) => ({ ...seen, subscribed: seen.subscribed!.slice(0, -1) })]
}

describe("Laws", () => {
  it.effect("hold of a session that keeps its contract, of its journal alone, and of nothing at all", () =>
    Effect.gen(function* () {
      const seen = yield* history
      assert.deepStrictEqual(Laws.violations(seen), [])
      assert.isAbove(seen.abortCount!, 0)
      assert.strictEqual(Laws.session({ events: seen.journal! }), undefined)
      assert.strictEqual(Laws.session({ events: [] }), undefined)
      // and of each beginning of the journal, as a crash leaves it
      for (let length = 0; length < seen.journal!.length; length++) {
        assert.strictEqual(Laws.session({ events: seen.journal!.slice(0, length) }), undefined, `${length}`)
      }
    })
  )

  for (const [clause, law] of Object.entries(Laws.all)) {
    it.effect(`${clause} is broken by a history that breaks it, and says so`, () =>
      Effect.gen(function* () {
        const seen = yield* history
        const changes = broken[clause] ?? []
        assert.isAbove(changes.length, 0)
        for (const [index, change] of changes.entries()) {
          const found = law(change(seen))
          assert.isTrue(found?.startsWith(`${clause} `), `${index}: ${found}`)
          assert.include(Laws.violations(change(seen)), found)
        }
      })
    )
  }
})

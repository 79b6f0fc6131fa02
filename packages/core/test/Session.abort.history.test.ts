import { assert, describe, it } from "@effect/vitest"
import { Model } from "@spindle/core/Model"
import { Processes } from "@spindle/core/Processes"
import type { AbortReason } from "@spindle/core/Outcome"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import type { JournalRecord, SessionEvent } from "@spindle/core/SessionEvent"
import * as History from "@spindle/core/History"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { journalWith } from "./fixtures/journals.ts"
import { abortedOf, assertTurns, itemsOf, markersOf, terminals } from "./fixtures/turns.ts"

const reasons: ReadonlyArray<AbortReason> = ["Interrupted", "Replaced", "Deadline", "Budget", "Parent", "Shutdown"]
const nothing = Task.make("nothing", Effect.never)
const speaks = Task.make(
  "says",
  Effect.andThen(
    Effect.flatMap(Turn, (turn) => turn.say("something")),
    Effect.never
  )
)
const halfway = [ScriptedModel.pieces("half ", "way"), ScriptedModel.gate("half"), ScriptedModel.hang]

/** Runs a turn that is aborted while its model waits at a gate. */
const abortAt = Effect.fnUntraced(function* (
  h: SessionHarness.SessionHarness,
  gate: string,
  reason: AbortReason = "Interrupted"
) {
  yield* h.submit("go")
  yield* h.model.awaitGate(gate)
  yield* h.session.abort(reason)
  yield* h.session.awaitIdle
  assertTurns(h.events)
  return itemsOf(h.events)
})

describe("the marker", () => {
  it.effect(
    "I5 is always written for Interrupted, and for every other reason if the model had produced something",
    () =>
      Effect.gen(function* () {
        for (const reason of reasons) {
          for (const task of [nothing, speaks]) {
            const h = yield* SessionHarness.make()
            yield* h.session.start(task)
            yield* h.session.abort(reason)
            yield* h.session.awaitIdle
            const markers = markersOf(itemsOf(h.events))
            assert.lengthOf(markers, reason === "Interrupted" || task === speaks ? 1 : 0, `${reason} ${task.kind}`)
          }
        }
      })
  )

  it.effect("I5 reasoning and calls count as something produced, words of the user do not", () =>
    Effect.gen(function* () {
      for (const [step, expected] of [
        [ScriptedModel.reasoning("hm"), 1],
        [[ScriptedModel.call("wait", {}, "a")], 1],
        [ScriptedModel.pieces("text that has not ended"), 1],
        [[], 0]
      ] as const) {
        const h = yield* SessionHarness.make({
          script: [[step, ScriptedModel.gate("here"), ScriptedModel.hang]],
          tools: { wait: { run: () => Effect.never } }
        })
        assert.lengthOf(markersOf(yield* abortAt(h, "here", "Budget")), expected)
      }
    })
  )

  it.effect("I5 is the last item, gives the reason, and is part of the next model request", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({ script: [halfway, [ScriptedModel.text("on we go")]] })
      yield* abortAt(h, "half", "Deadline")
      const [marker] = markersOf(itemsOf(h.events).slice(-1))
      assert.include(marker, "the deadline passed")
      yield* h.run("again")
      assert.deepStrictEqual(markersOf(h.requests[1]!.items), [marker])
    })
  )

  it.effect("I5 names stragglers and kept processes, and names none if the abort left nothing running", () =>
    Effect.gen(function* () {
      const processes: Processes = {
        start: ({ processId }) =>
          Effect.succeed({ processId, pid: 41, output: Stream.empty, exit: Effect.never, gone: Effect.never }),
        end: () => Effect.void
      }
      const h = yield* SessionHarness.make()
      const deaf = Task.make(
        "deaf",
        Effect.uninterruptible(
          Effect.gen(function* () {
            const turn = yield* Turn
            yield* Effect.asVoid(turn.onAbort({ kind: "process", name: "make all", run: () => Effect.never }))
            yield* turn.process({ command: ["npm", "start"], cwd: "/", keep: true })
            return yield* Effect.never
          })
        )
      )
      yield* Effect.provideService(h.session.start(deaf), Processes, processes)
      yield* h.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
      const [marker] = markersOf(itemsOf(h.events))
      assert.include(marker, "Still running: deaf, make all, npm start (pid 41).")
      assert.lengthOf(abortedOf(h.events).keptProcesses, 1)
      const clean = yield* SessionHarness.make()
      yield* clean.session.start(nothing)
      yield* clean.session.abort()
      yield* clean.session.awaitIdle
      assert.notInclude(markersOf(itemsOf(clean.events))[0], "Still running")
    })
  )

  it.effect("I5 is written for Interrupted and at the close only under the policy of the reference", () =>
    Effect.gen(function* () {
      const counts = yield* Effect.forEach(reasons, (reason) =>
        Effect.gen(function* () {
          const h = yield* SessionHarness.make({ policy: SessionPolicy.reference })
          yield* h.session.start(speaks)
          yield* h.session.abort(reason)
          yield* h.session.awaitIdle
          return markersOf(itemsOf(h.events)).length
        })
      )
      assert.deepStrictEqual(counts, [1, 0, 0, 0, 0, 1])
    })
  )

  it.effect("I5 is in the journal, with everything before it, when TurnAborted is published", () =>
    Effect.gen(function* () {
      const written: Array<JournalRecord> = []
      const journal = yield* journalWith((append, records) =>
        Effect.andThen(
          Effect.andThen(Effect.yieldNow, append),
          Effect.sync(() => void written.push(...records))
        )
      )
      const h = yield* SessionHarness.make({ journal, script: [halfway] })
      let seen: ReadonlyArray<JournalRecord> | undefined
      const isAborted = SessionHarness.hasTag("TurnAborted")
      // the predicate runs while the event is being published
      yield* Effect.forkChild(
        h.awaitEvent((event): event is Extract<SessionEvent, { readonly _tag: "TurnAborted" }> => {
          if (isAborted(event)) seen = [...written]
          return isAborted(event)
        }),
        { startImmediately: true }
      )
      yield* abortAt(h, "half")
      const items = itemsOf(seen ?? [])
      assert.deepStrictEqual(items, itemsOf(h.events))
      assert.lengthOf(markersOf(items.slice(-1)), 1)
      const stored = (yield* journal.load(h.session.sessionId)).records
      assert.deepStrictEqual(
        stored.map((record) => record.seq),
        stored.map((_, index) => index)
      )
      assert.deepStrictEqual(stored, h.records())
    })
  )
})

describe("calls and results", () => {
  const statusOf = (events: ReadonlyArray<SessionEvent>) =>
    itemsOf(events).flatMap((item) => (item._tag === "ToolResult" ? [[item.callId as string, item.status]] : []))

  it.effect("I6 an open call gets a result with the reason and how long it had run", () =>
    Effect.gen(function* () {
      for (const reason of reasons) {
        const h = yield* SessionHarness.make({
          script: [[ScriptedModel.call("wait", {}, "a"), ScriptedModel.gate("open"), ScriptedModel.hang]],
          tools: { wait: { run: () => Effect.never } }
        })
        yield* h.submit("go")
        yield* h.model.awaitGate("open")
        yield* TestClock.adjust("3200 millis")
        yield* h.session.abort(reason)
        yield* h.session.awaitIdle
        const result = itemsOf(h.events).find((item) => item._tag === "ToolResult")
        assert.deepStrictEqual(
          [result?.callId as string, result?.name, result?.status, result?.aborted],
          ["a", "wait", "aborted", { reason, afterMillis: 3_200 }]
        )
        assert.match(String(result?.output), /^Wall time: 3\.2 seconds\naborted/)
        assertTurns(h.events)
      }
    })
  )

  it.effect("I6 parallel calls keep the results they had, open ones are aborted, in the order of the calls", () =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<void>()
      const h = yield* SessionHarness.make({
        script: [
          [
            ScriptedModel.call("wait", {}, "a"),
            ScriptedModel.call("quick", {}, "b"),
            ScriptedModel.call("wait", {}, "c"),
            ScriptedModel.call("fail", {}, "d")
          ],
          [ScriptedModel.text("later")]
        ],
        tools: {
          wait: { run: () => Effect.never },
          quick: { run: () => Effect.succeed("kept") },
          fail: { run: () => Effect.andThen(Deferred.succeed(done, undefined), Effect.fail("broken")) }
        }
      })
      yield* h.submit("go")
      yield* Deferred.await(done)
      yield* h.awaitEvent(SessionHarness.hasTag("ModelResponded"))
      yield* h.session.abort()
      yield* h.session.awaitIdle
      assert.deepStrictEqual(statusOf(h.events), [
        ["a", "aborted"],
        ["b", "completed"],
        ["c", "aborted"],
        ["d", "failed"]
      ])
      assertTurns(h.events)
      yield* h.run("again")
      for (const { items } of h.requests) assert.isUndefined(History.defect(items))
      assert.include(JSON.stringify(h.requests[1]!.items), "kept")
    })
  )

  it.effect(
    "I6 an abort in the middle of a response settles a finished call, an open one and one not yet complete",
    () =>
      Effect.gen(function* () {
        const h = yield* SessionHarness.make({
          script: [
            [
              ScriptedModel.call("quick", {}, "a"),
              ScriptedModel.call("wait", {}, "b"),
              ScriptedModel.pieces("and now "),
              ScriptedModel.gate("middle"),
              ScriptedModel.call("quick", {}, "c")
            ],
            [ScriptedModel.text("later")]
          ],
          tools: { wait: { run: () => Effect.never }, quick: { run: () => Effect.succeed("kept") } }
        })
        yield* abortAt(h, "middle")
        assert.deepStrictEqual(statusOf(h.events), [
          ["a", "completed"],
          ["b", "aborted"]
        ])
        yield* h.run("again")
        assert.isUndefined(History.defect(h.requests[1]!.items))
        const { records } = { records: h.records() }
        assert.deepStrictEqual(itemsOf(records), (yield* h.session.snapshot).items)
      })
  )

  it.effect(
    "I6 a call that waits for its approval, or for an exclusive call before it, is aborted and never denied",
    () =>
      Effect.gen(function* () {
        const h = yield* SessionHarness.make({
          script: [
            [
              ScriptedModel.call("alone", {}, "a"),
              ScriptedModel.call("asks", {}, "b"),
              ScriptedModel.call("alone", {}, "c")
            ]
          ],
          tools: {
            alone: { run: () => Effect.never, policy: { concurrency: "exclusive" } },
            asks: { run: () => Effect.never, policy: { approval: "ask" } }
          }
        })
        yield* h.submit("go")
        yield* h.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
        yield* h.session.abort()
        yield* h.session.awaitIdle
        assert.deepStrictEqual(statusOf(h.events), [
          ["a", "aborted"],
          ["b", "aborted"],
          ["c", "aborted"]
        ])
        const settled = h.events.find((event) => event._tag === "QuestionSettled")
        assert.deepStrictEqual(settled?.decision, { _tag: "Cancelled", by: "abort" })
        assertTurns(h.events)
      })
  )
})

describe("what a client has seen", () => {
  const streamedText = (events: ReadonlyArray<SessionEvent>, tag: "TextDelta" | "ReasoningDelta") =>
    events.flatMap((event) => (event._tag === tag ? [event.text] : [])).join("")

  it.effect("I7 text that was cut off is kept, marked as partial, and is not a last message", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({ script: [halfway, [ScriptedModel.text("on")]] })
      const items = yield* abortAt(h, "half")
      const text = items.find((item) => item._tag === "AssistantMessage")
      assert.deepStrictEqual([text?.text, text?.partial], ["half way", "aborted"])
      assert.strictEqual(text?.text, streamedText(h.events, "TextDelta"))
      assert.isUndefined(abortedOf(h.events).lastMessage)
      yield* h.run("again")
      assert.include(JSON.stringify(h.requests[1]!.items), "half way")
    })
  )

  it.effect("I7 what was streamed is a prefix of what a resume shows, after an abort and after a close", () =>
    Effect.gen(function* () {
      for (const how of ["abort", "close"] as const) {
        const journal = yield* SessionHarness.memoryJournal
        const scope = yield* Scope.make()
        const thinking = ScriptedModel.reasoning("thought").slice(0, 1)
        const h = yield* Effect.provideService(
          SessionHarness.make({ journal, script: [[...thinking, ...halfway]] }),
          Scope.Scope,
          scope
        )
        yield* h.submit("go")
        yield* h.model.awaitGate("half")
        if (how === "abort") yield* h.session.abort()
        yield* Scope.close(scope, Exit.void)
        const again = yield* SessionHarness.make({ journal, resume: h.session.sessionId })
        const { items } = yield* again.session.snapshot
        const textOf = (tag: "AssistantMessage" | "Reasoning") =>
          items.flatMap((item) => (item._tag === tag ? [item.text] : [])).join("")
        assert.strictEqual(streamedText(h.events, "TextDelta"), "half way")
        assert.isTrue(textOf("AssistantMessage").startsWith(streamedText(h.events, "TextDelta")))
        assert.isTrue(textOf("Reasoning").startsWith(streamedText(h.events, "ReasoningDelta")))
        assert.lengthOf(markersOf(items), 1)
      }
    })
  )

  it.effect("I7 usage that was not reported is estimated, marked as estimated, and counted in turn and session", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({ script: [halfway] })
      yield* abortAt(h, "half")
      const responded = h.events.find((event) => event._tag === "ModelResponded")
      assert.deepStrictEqual([responded?.finish, responded?.estimated], ["aborted", true])
      assert.isAbove(responded!.usage.input, 0)
      assert.strictEqual(responded!.usage.output, 2)
      assert.deepStrictEqual(abortedOf(h.events).usage, responded!.usage)
      assert.deepStrictEqual((yield* h.session.snapshot).usage, responded!.usage)
    })
  )

  it.effect(
    "I7 usage that was reported is counted as reported, even if the abort comes before the stream has closed",
    () =>
      Effect.gen(function* () {
        const h = yield* SessionHarness.make()
        const usage = { input: 7, cachedInput: 0, output: 3, reasoning: 0, total: 10 }
        const isReported = yield* Deferred.make<void>()
        const model: Model = {
          ...h.model.model,
          stream: () =>
            Stream.concat(
              Stream.make(
                { _tag: "TextDelta" as const, id: "t", delta: "all" },
                { _tag: "Finish" as const, reason: "stop" as const, usage }
              ),
              Stream.fromEffectDrain(Effect.andThen(Deferred.succeed(isReported, undefined), Effect.never))
            )
        }
        const task = Task.make(
          "samples",
          Effect.flatMap(Turn, (turn) =>
            turn.sample({ instructions: undefined, tools: [], output: undefined }, 1, () => Effect.void)
          )
        )
        yield* Effect.provideService(h.session.start(task), Model, model)
        yield* Deferred.await(isReported)
        yield* h.session.abort()
        yield* h.session.awaitIdle
        const responded = h.events.find((event) => event._tag === "ModelResponded")
        assert.deepStrictEqual(responded?.usage, usage)
        assert.isUndefined(responded?.estimated)
        assert.deepStrictEqual(terminals(h.events)[0]?.usage, usage)
      })
  )

  it.effect("I7 usage of the requests before the abort is kept as it was reported", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({
        script: [
          [
            ScriptedModel.call("quick", {}, "a"),
            ScriptedModel.finish({ input: 5, output: 5, total: 10 }, "tool-calls")
          ],
          halfway
        ],
        tools: { quick: { run: () => Effect.succeed("ok") } }
      })
      yield* abortAt(h, "half")
      const [first, second] = h.events.filter((event) => event._tag === "ModelResponded")
      assert.deepStrictEqual([first?.usage.total, first?.estimated, second?.estimated], [10, undefined, true])
      assert.strictEqual(abortedOf(h.events).usage.total, 10 + second!.usage.total)
    })
  )
})

/** Tasks that run alongside a turn (contract S4, S6, S7, I2, I3, P1, P2, P4, P5, P6, J3). */
import { assert, describe, it } from "@effect/vitest"
import { Alongside } from "@spindle/core/Alongside"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import type { ModelRequest } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import * as SessionState from "@spindle/core/SessionState"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import * as Laws from "@spindle/testing/Laws"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Data, Deferred, Effect, Exit, Option, Schema, Scope, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { fates, id, reasonOf, running, send, staying } from "../fixtures/submissions.ts"
import { abortedOf, assertTurns, terminals } from "../fixtures/turns.ts"
import { keepSpans } from "../fixtures/spans.ts"

const params = Schema.Struct({ name: Schema.String })
type Run = (name: string) => Effect.Effect<unknown, unknown, Alongside>

const watching = (run: Run) => TaskKind.makeAlongside("watch", { params, run: ({ name }) => run(name) })

const report = (text: string) => Effect.flatMap(Alongside, (task) => task.report({ name: "watched", text }))

/** A kind whose tasks report when the test says what, and the ids of the tasks that have started. */
const reporting = () => {
  const [begun, end] = [Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<string>()]
  const started: Array<string> = []
  const kind = watching(() =>
    Effect.flatMap(Alongside, ({ taskId }) => {
      started.push(taskId)
      return Effect.andThen(
        Deferred.succeed(begun, undefined),
        Effect.flatMap(Deferred.await(end), (text) => Effect.andThen(report(text), report("again")))
      ).pipe(Effect.withSpan("reporting"))
    })
  )
  return { begun: Deferred.await(begun), end: (text: string) => Deferred.succeed(end, text), started, tasks: [kind] }
}

const start = (
  { session }: Pick<Harness.SessionHarness, "session">,
  name: string,
  options?: Parameters<typeof Op.startTask>[2]
) => session.submit({ id: id(name), op: Op.startTask("watch", { name }, options) })

const isFragment = (name: string) => (item: Item) => item._tag === "UserMessage" && item.fragment === name
const textsOf = (items: ReadonlyArray<Item>, fragment = "watched") =>
  items.flatMap((item) =>
    item._tag === "UserMessage" && isFragment(fragment)(item) ? [Input.textOf(item.content)] : []
  )
const fragmentsIn = (request: ModelRequest | undefined, fragment?: string) => textsOf(request?.items ?? [], fragment)

/** Every law of sessions over the records and receipts of a harness. */
const assertLaws = Effect.fnUntraced(function* (
  { events, session }: Pick<Harness.SessionHarness, "events" | "session">,
  receipts: ReadonlyArray<Op.Receipt>
) {
  assertTurns(events)
  assert.isUndefined(Laws.session({ events, receipts, final: yield* session.snapshot }))
})

/** What the session reports about the task `ada`. */
const about = (how: string) => `The task watch {"name":"ada"} ${how}. It reported no result.`

describe("a task alongside a turn", () => {
  it.effect("S4 P1 P5 runs next to the turn, whose next request has its result, without hooks", () =>
    Effect.gen(function* () {
      const { end, started, tasks } = reporting()
      const asked: Array<string> = []
      const userPromptSubmit = (_: unknown, text: string) =>
        Effect.sync(() => {
          asked.push(text)
          return { block: false, contexts: [] }
        })
      const harness = yield* running({ tasks, hooks: { userPromptSubmit } })
      const receipt = yield* start(harness, "ada")
      assert.deepStrictEqual(receipt, { _tag: "Steered", submissionId: id("ada"), turnId: harness.turnId })
      yield* end("seen")
      yield* harness.awaitEvent(Harness.hasTag("TaskReported"))
      yield* harness.model.open("held")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(started, ["ada"])
      assert.deepStrictEqual(fragmentsIn(harness.requests[0]), [])
      assert.deepStrictEqual(fragmentsIn(harness.requests[1]), ["seen"])
      assert.deepStrictEqual(asked, ["first"])
      assert.lengthOf(terminals(harness.events), 1)
      assert.deepStrictEqual(fates(harness.records())["ada"], ["carried by 1"])
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect("P2 P4 is awaited by a turn that takes no more input, and the next turn gets the result", () =>
    Effect.gen(function* () {
      const { end, tasks } = reporting()
      const harness = yield* Harness.make({ tasks, script: () => Model.text("fine") })
      const over = yield* Deferred.make<string | undefined>()
      yield* harness.session.start(staying(over))
      const receipts = [yield* start(harness, "ada")]
      yield* Deferred.succeed(over, "done")
      receipts.push(yield* send(harness.session, "later"))
      assert.strictEqual(receipts[1]!._tag, "Queued")
      yield* end("seen")
      yield* harness.session.awaitIdle
      const ends = harness.records().filter(({ _tag }) => _tag === "TaskReported" || _tag === "TurnCompleted")
      assert.deepStrictEqual(
        ends.map(({ _tag }) => _tag),
        ["TaskReported", "TurnCompleted", "TurnCompleted"]
      )
      assert.deepStrictEqual(fates(harness.records())["ada"], ["carried by 2"])
      assert.deepStrictEqual(fragmentsIn(harness.requests.at(-1)), ["seen"])
      yield* assertLaws(harness, receipts)
    })
  )

  it.effect("P2 waits for the next turn without starting one, even past a failed turn", () =>
    Effect.gen(function* () {
      const { end, tasks } = reporting()
      const harness = yield* Harness.make({ tasks, script: () => Model.text("fine") })
      const gate = yield* Deferred.make<void>()
      yield* harness.session.start(Task.make("dies", Effect.andThen(Deferred.await(gate), Effect.die("a bug"))))
      const receipt = yield* start(harness, "ada")
      yield* Deferred.succeed(gate, undefined)
      yield* end("seen")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(
        terminals(harness.events).map(({ _tag }) => _tag),
        ["TurnFailed"]
      )
      assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [id("ada")])
      yield* harness.run("next")
      assert.deepStrictEqual(fragmentsIn(harness.requests[0]), ["seen"])
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect("P2 adds its result to a turn that records what is left without a request", () =>
    Effect.gen(function* () {
      const { end, tasks } = reporting()
      const harness = yield* running({ tasks, policy: SessionPolicy.reference })
      yield* start(harness, "ada")
      yield* harness.model.open("held")
      yield* end("seen")
      yield* harness.session.awaitIdle
      assert.lengthOf(terminals(harness.events), 1)
      assert.deepStrictEqual(textsOf((yield* harness.session.snapshot).items), ["seen"])
      assertTurns(harness.events)
    })
  )

  it.effect("S3 S6 is its own turn while the session is idle, and its result is an item", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        tasks: [watching((name) => Effect.andThen(report(name), report("again")))]
      })
      const receipt = yield* start(harness, "ada")
      assert.strictEqual(receipt._tag, "Started")
      yield* harness.session.awaitIdle
      const started = harness.records().find((record) => record._tag === "TurnStarted")
      assert.deepInclude(started, { kind: "watch", submissionId: id("ada"), carried: true })
      assert.deepStrictEqual(textsOf((yield* harness.session.snapshot).items), ["ada"])
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect("S4 waits like input if the client asks for it, and is rejected where its kind does not allow it", () =>
    Effect.gen(function* () {
      const { end, started, tasks } = reporting()
      const turnOnly = TaskKind.make("turnOnly", { params, task: () => Task.make("turnOnly", Effect.void) })
      const harness = yield* running({ tasks: [...tasks, turnOnly] })
      const receipt = yield* start(harness, "ada", { mode: "queue" })
      assert.deepStrictEqual(receipt, { _tag: "Queued", submissionId: id("ada"), position: 0 })
      assert.deepStrictEqual(started, [])
      const rejected = yield* harness.session.submit(Op.startTask("turnOnly", { name: "b" }, { mode: "alongside" }))
      assert.deepStrictEqual(reasonOf(rejected), {
        _tag: "TaskModeNotAllowed",
        kind: "turnOnly",
        mode: "alongside",
        allowed: ["queue", "replace"]
      })
      yield* harness.model.open("held")
      yield* end("seen")
      yield* harness.session.awaitIdle
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect("I2 is interrupted by an abort of its turn, and what it reports then is kept for the next turn", () =>
    Effect.gen(function* () {
      for (const reports of [true, false]) {
        const begun = yield* Deferred.make<void>()
        const run = Effect.onInterrupt(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never), () =>
          reports ? report("half") : Effect.void
        )
        const harness = yield* running({ tasks: [watching(() => run)] })
        const receipts = [yield* start(harness, "ada", { input: Input.text("words") })]
        yield* Deferred.await(begun)
        yield* harness.session.abort()
        yield* harness.session.awaitIdle
        assert.deepInclude(abortedOf(harness.events), { returned: [], kept: [id("ada")], stragglers: [] })
        receipts.push(yield* send(harness.session, "next"))
        yield* harness.session.awaitIdle
        const { items } = yield* harness.session.snapshot
        const texts = reports ? textsOf(items) : textsOf(items, "watch")
        assert.deepStrictEqual(texts, [reports ? "half" : `${about("was cut off")}\n\nwords`])
        yield* assertLaws(harness, receipts)
      }
    })
  )

  it.effect("I3 is named as a straggler if it does not end, and reports nothing any longer", () =>
    Effect.gen(function* () {
      const [begun, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const run = Effect.uninterruptible(
        Effect.andThen(Deferred.succeed(begun, undefined), Effect.andThen(Deferred.await(gate), report("late")))
      )
      const harness = yield* running({ tasks: [watching(() => run)] })
      const receipt = yield* start(harness, "ada")
      yield* Deferred.await(begun)
      yield* harness.session.abort()
      yield* TestClock.adjust("200 millis")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(abortedOf(harness.events).stragglers, [{ kind: "task", name: "watch" }])
      yield* Deferred.succeed(gate, undefined)
      yield* harness.awaitEvent(Harness.hasTag("StragglerEnded"))
      yield* harness.run("next")
      const { items } = yield* harness.session.snapshot
      assert.deepStrictEqual([textsOf(items), textsOf(items, "watch")], [[], [about("was cut off")]])
      yield* assertLaws(harness, [receipt])
    })
  )

  class NoDisk extends Data.TaggedError("NoDisk")<{ readonly message: string }> {}

  it.effect("S5 P2 is reported if it fails, dies or reports nothing, and its turn does not notice", () =>
    Effect.gen(function* () {
      const runs: ReadonlyArray<readonly [string, Run]> = [
        ["failed: no disk", () => Effect.fail(new NoDisk({ message: "no disk" }))],
        ["failed: a bug", () => Effect.die("a bug")],
        ["has ended", () => Effect.void]
      ]
      for (const [how, run] of runs) {
        const harness = yield* running({ tasks: [watching(run)] })
        yield* start(harness, "ada")
        yield* harness.awaitEvent(Harness.hasTag("TaskReported"))
        yield* harness.model.open("held")
        yield* harness.session.awaitIdle
        assert.strictEqual(terminals(harness.events)[0]?._tag, "TurnCompleted")
        assert.deepStrictEqual(fragmentsIn(harness.requests[1], "watch"), [about(how)])
      }
    })
  )

  it.effect("S6 is awaited by a turn that an observer of its record ends", () =>
    Effect.gen(function* () {
      const end = yield* Deferred.make<string | undefined>()
      const harness = yield* Harness.make({
        tasks: [watching(report)],
        onEvent: ({ _tag }) => void (_tag === "InputAccepted" && Deferred.doneUnsafe(end, Effect.succeed("done")))
      })
      yield* harness.session.start(staying(end))
      yield* Effect.yieldNow
      yield* start(harness, "ada")
      yield* harness.session.awaitIdle
      yield* harness.run("next")
      const { items } = yield* harness.session.snapshot
      assert.deepStrictEqual(textsOf(items), ["ada"])
    })
  )

  it.effect("S4 waits for its own turn while the turn in the slot is being aborted", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ tasks: [watching(report)] })
      const gate = yield* Deferred.make<void>()
      yield* harness.session.start(Task.make("stubborn", Effect.uninterruptible(Deferred.await(gate))))
      yield* harness.session.abort()
      const receipt = yield* start(harness, "ada")
      assert.strictEqual(receipt._tag, "Queued")
      yield* Deferred.succeed(gate, undefined)
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(abortedOf(harness.events).kept, [id("ada")])
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect(
    "S7 P6 is cut off when the session closes, and after the resume has the same receipt and does not run again",
    () =>
      Effect.gen(function* () {
        const { begun, started, tasks } = reporting()
        const journal = yield* Harness.memoryJournal
        const scope = yield* Scope.make()
        const first = yield* Effect.provideService(running({ journal, tasks }), Scope.Scope, scope)
        const receipt = yield* start(first, "ada")
        assert.deepStrictEqual(yield* start(first, "ada"), receipt)
        yield* begun
        yield* Scope.close(scope, Exit.void)
        const again = yield* Harness.make({
          journal,
          tasks,
          resume: first.session.sessionId,
          script: () => Model.text("fine")
        })
        assert.deepStrictEqual(yield* start(again, "ada"), receipt)
        yield* again.run("next")
        assert.deepStrictEqual(fragmentsIn(again.requests[0], "watch"), [about("was cut off")])
        assert.deepStrictEqual(started, ["ada"])
      })
  )

  it.effect("J3 P2 P6 is not lost when the host dies at any record", () =>
    Effect.gen(function* () {
      const { end, tasks } = reporting()
      const quick = TaskKind.makeAlongside("quick", { params, run: ({ name }) => report(name) })
      const options = { tasks: [...tasks, quick], script: () => Model.text("fine") }
      const all = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* running({ tasks: options.tasks })
          yield* start(harness, "ada")
          yield* harness.session.submit({ id: id("bob"), op: Op.startTask("quick", { name: "bob" }) })
          yield* harness.awaitEvent(Harness.hasTag("TaskReported"))
          yield* harness.model.open("held")
          yield* end("seen")
          yield* harness.session.awaitIdle
          yield* harness.run("next")
          return harness.records()
        })
      )
      const { sessionId } = all.find((record) => record._tag === "SessionStarted")!
      for (let size = 1; size <= all.length; size++) {
        const prefix: ReadonlyArray<JournalRecord> = all.slice(0, size)
        const position = `cut after record ${size - 1}, ${prefix.at(-1)!._tag}`
        yield* Effect.scoped(
          Effect.gen(function* () {
            const journal = yield* Harness.memoryJournal
            yield* Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), (writer) => writer.append(prefix)))
            const harness = yield* Harness.make({ ...options, journal, resume: sessionId })
            yield* harness.run("last")
            const { records } = yield* journal.load(sessionId)
            const accepted = prefix.filter((record) => record._tag === "InputAccepted" && record.task !== undefined)
            const { items, status, waiting } = yield* harness.session.snapshot
            const carried = items
              .filter(({ _tag }) => _tag === "UserMessage")
              .filter((item) => isFragment("watched")(item) || isFragment("watch")(item) || isFragment("quick")(item))
            assert.lengthOf(carried, accepted.length, position)
            assert.deepStrictEqual([status, waiting], ["idle", []], position)
            let state = SessionState.empty
            for (const record of records) {
              assert.isUndefined(SessionState.violation(state, record), position)
              state = SessionState.apply(state, record)
            }
          })
        )
      }
    })
  )
})

describe("the span of a task alongside a turn", () => {
  for (const [how, isAborted] of [
    ["that completes", false],
    ["that is aborted", true]
  ] as const) {
    it.effect(`O1 S4 is below the turn and above what the task does, in a turn ${how}`, () =>
      Effect.gen(function* () {
        const { spans, tracer } = keepSpans()
        yield* Effect.gen(function* () {
          const { begun, end, tasks } = reporting()
          const harness = yield* running({ tasks })
          yield* start(harness, "ada")
          yield* begun
          if (isAborted) yield* harness.session.abort()
          else yield* end("seen")
          yield* harness.model.open("held")
          yield* harness.session.awaitIdle
        }).pipe(Effect.scoped, Effect.provideService(Tracer.Tracer, tracer))
        const named = (name: string) => spans.find((span) => span.name === name)!
        const parentOf = (span: Tracer.Span) => Option.getOrUndefined(span.parent)?.spanId
        const task = named("session_task.watch")
        assert.strictEqual(parentOf(task), named("session_task.turn").spanId)
        assert.strictEqual(parentOf(named("reporting")), task.spanId)
        assert.strictEqual(task.attributes.get("submission.id"), "ada")
        assert.isTrue(spans.every(({ status }) => status._tag === "Ended"))
      })
    )
  }
})

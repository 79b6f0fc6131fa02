import { assert, describe, it } from "@effect/vitest"
import type { SubmissionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import * as History from "@spindle/core/History"
import * as SessionState from "@spindle/core/SessionState"
import * as Op from "@spindle/core/Op"
import { Turn } from "@spindle/core/Turn"
import * as Delegate from "@spindle/delegate/Delegate"
import type { DelegateRefused } from "@spindle/delegate/DelegateError"
import * as Limits from "@spindle/delegate/Limits"
import * as Laws from "@spindle/testing/Laws"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import * as TestClock from "effect/testing/TestClock"
import { nodeOf } from "../src/internal/tree.ts"
import * as Family from "./fixtures/family.ts"
import { keepSpans } from "../../core/test/fixtures/spans.ts"

const once = (text = "one", options: Partial<Delegate.OneShotOptions<never, never>> = {}) =>
  Delegate.runOnce({ ...Family.endless, ...options, input: Input.text(text) } as never) as Effect.Effect<
    string | undefined,
    Delegate.StartError,
    Family.Services
  >

const within = (limits: Partial<Limits.Limits>) =>
  Effect.provideService(Limits.Limits, { ...Limits.defaults, ...limits })

const refusal = (error: unknown) => {
  const { allowed, at, limit, path } = error as DelegateRefused
  return { limit, allowed, at, path }
}

const hanging = (): ScriptedModel.Answer => [ScriptedModel.pieces("half"), ScriptedModel.hang]

describe("limits of a tree", () => {
  it.effect("D6 bound how many work at the same time, and a slot is free as soon as its delegate has settled", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const { path } = { path: [family.root.session.sessionId] }
      const error = yield* family.run(
        Effect.gen(function* () {
          // they have settled, and are not closed
          for (let count = 0; count < 5; count++) {
            const child = yield* Delegate.start(Family.endless)
            yield* child.submit(Op.userInput("one"))
            yield* child.settled
          }
          yield* Delegate.start(Family.endless)
          yield* Delegate.start(Family.endless)
          return yield* Effect.flip(Delegate.start(Family.endless))
        }).pipe(within({ concurrent: 2 }))
      )
      assert.deepStrictEqual(refusal(error), { limit: "concurrent", allowed: 2, at: path[0]!, path })
    })
  )

  it.effect("D6 one that has settled needs a free slot to continue", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const seen = yield* family.run(
        Effect.gen(function* () {
          const first = yield* Delegate.start(Family.endless)
          yield* first.submit(Op.userInput("one"))
          yield* first.settled
          const second = yield* Delegate.start(Family.endless)
          const error = yield* Effect.flip(first.submit(Op.userInput("two")))
          yield* second.end()
          yield* first.submit(Op.userInput("three"))
          return { error, status: yield* first.settled }
        }).pipe(within({ concurrent: 1 }))
      )
      assert.strictEqual(refusal(seen.error).limit, "concurrent")
      assert.deepInclude(seen.status, { message: "echo three" })
    })
  )

  it.effect(
    "D6 P6 a submission that comes again, or is refused, keeps no slot, even if nobody waits for its receipt",
    () =>
      Effect.gen(function* () {
        const family = yield* Family.make()
        const id = "mine" as SubmissionId
        yield* family.run(
          Effect.gen(function* () {
            const child = yield* Delegate.start(Family.endless)
            const receipt = yield* child.submit({ id, op: Op.userInput("one") })
            yield* child.settled
            for (const again of [child.submit({ id, op: Op.userInput("one") }), child.submit(Op.userInput(""))]) {
              yield* Effect.raceFirst(again, Effect.yieldNow)
              yield* child.settled
            }
            assert.deepStrictEqual(yield* child.submit({ id, op: Op.userInput("one") }), receipt)
            yield* child.settled
            yield* Delegate.start(Family.endless)
          }).pipe(within({ concurrent: 1 }))
        )
      })
  )

  it.effect("D6 bound how many are started in all; 0 means none", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      for (const lifetime of [0, 1, 3]) {
        // the limits of a root are those of its first start
        const own = lifetime === 0 ? family : yield* Family.make()
        const error = yield* own.run(
          Effect.gen(function* () {
            for (let count = 0; count < lifetime; count++) yield* once()
            return yield* Effect.flip(once())
          }).pipe(within({ lifetime }))
        )
        assert.deepInclude(refusal(error), { limit: "lifetime", allowed: lifetime })
      }
    })
  )

  it.effect("D6 bound the levels, and the limit of any session above holds", () =>
    Effect.gen(function* () {
      const levels: Array<string> = []
      const family = yield* Family.make({
        script: (request) =>
          Family.isAnswered(request)
            ? [ScriptedModel.text("back")]
            : [ScriptedModel.call("down", {}, `d${levels.length}`)]
      })
      const tools: ReturnType<typeof Family.withTools> = Family.withTools({
        down: {
          run: () =>
            Effect.suspend(() => {
              levels.push("tried")
              return Effect.as(
                Effect.catchTag(
                  Delegate.runOnce({ ...Family.endless, agent: tools.agent, input: Input.text("go") }),
                  "DelegateRefused",
                  (error) => Effect.sync(() => void levels.push(`${error.limit} ${error.path.length}`))
                ),
                "ok"
              )
            }) as Effect.Effect<unknown, unknown, never>
        }
      })
      yield* family.run(
        tools
          .provide(Delegate.runOnce({ ...Family.endless, agent: tools.agent, input: Input.text("go") }))
          .pipe(within({ depth: 3 }))
      )
      assert.deepStrictEqual(levels, ["tried", "tried", "tried", "depth 4"])
    })
  )

  it.effect(
    "D6 tokens: what works when they are spent is stopped and hands back what it had; nothing new is started",
    () =>
      Effect.gen(function* () {
        const family = yield* Family.make({
          script: (request) =>
            Family.asked(request) === "spend"
              ? [ScriptedModel.text("paid"), ScriptedModel.finish({ total: 100 })]
              : hanging()
        })
        const seen = yield* family.run(
          Effect.gen(function* () {
            const working = yield* Delegate.start(Family.endless)
            yield* working.submit(Op.userInput("work"))
            yield* family.awaitTold((event) => event._tag === "TextDelta")
            yield* once("spend")
            return { status: yield* working.settled, error: yield* Effect.flip(once()) }
          }).pipe(within({ tokens: 100 }))
        )
        assert.deepStrictEqual(seen.status, { _tag: "Interrupted", reason: "Budget", message: "half" })
        assert.deepInclude(refusal(seen.error), { limit: "tokens", allowed: 100 })
      })
  )

  it.effect("D6 a spawn in a turn that is stopping fails with a named error", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const refused = yield* Deferred.make<unknown>()
      yield* family.start(
        Effect.onInterrupt(Effect.never, () =>
          Effect.flatMap(Effect.flip(once()), (error) => Deferred.succeed(refused, error))
        )
      )
      yield* family.root.session.abort()
      assert.deepInclude(refusal(yield* Deferred.await(refused)), { limit: "aborted" })
      assert.lengthOf(family.sessions(), 1)
    })
  )

  it.effect("D6 a child lives no longer than its parent", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) => (Family.asked(request) === "down" ? [ScriptedModel.call("down", {}, "d")] : hanging())
      })
      const tools = Family.withTools({
        down: { run: () => once("work", { deadline: "1 hour" }) as Effect.Effect<unknown, unknown, never> }
      })
      const running = yield* Effect.forkChild(
        family.run(
          tools.provide(
            Effect.flip(
              Delegate.runOnce({
                agent: tools.agent,
                deadline: "1 minute",
                input: Input.text("down")
              })
            )
          )
        )
      )
      const grandchild = yield* family.awaitTold((event) => event._tag === "TextDelta")
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* Fiber.join(running), { _tag: "DelegateFailed" })
      assert.strictEqual(Family.terminalOf(family.told(grandchild))?._tag, "TurnAborted")
    })
  )
})

describe("detached delegates", () => {
  it.effect("D7 keep running when their turn ends, and report to the parent's inbox when they settle", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) =>
          Family.asked(request) === "watch"
            ? [ScriptedModel.gate("dawn"), ScriptedModel.text("all quiet")]
            : Family.echo(request)
      })
      const child = yield* family.run(
        Effect.tap(Delegate.start({ ...Family.endless, detached: true, name: "watch" }), (started) =>
          started.submit(Op.userInput("watch"))
        )
      )
      assert.strictEqual((yield* child.status)._tag, "Running")
      yield* family.model.open("dawn")
      yield* family.awaitTold((event, id) => id === family.root.session.sessionId && event._tag === "InputAccepted")
      // it starts no turn
      assert.deepStrictEqual(family.root.tags().slice(-2), ["TurnCompleted", "InputAccepted"])
      yield* family.root.run("news?")
      const request = JSON.stringify(family.model.requests.at(-1)!.items)
      assert.include(request, "subagent_notification")
      assert.include(request, "all quiet")
      assert.include(request, child.delegateId)
    })
  )

  it.effect("D7 P5 J4 report in a notice, which is not the user's words: no hook sees it, no rollback counts it", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const family = yield* Family.make({
        hooks: {
          userPromptSubmit: (_, text) =>
            Effect.sync(() => void seen.push(text)).pipe(Effect.as({ block: false, contexts: [] }))
        }
      })
      yield* family.run(
        Effect.flatMap(Delegate.start({ ...Family.endless, detached: true, wake: true }), (child) =>
          child.submit(Op.userInput("watch"))
        )
      )
      const isOfRoot = (id: string) => id === family.root.session.sessionId
      yield* family.awaitTold((event, id) => isOfRoot(id) && event._tag === "ModelRequested")
      yield* family.root.session.awaitIdle
      assert.deepStrictEqual(seen, ["watch"])
      const { items } = yield* family.root.session.snapshot
      assert.deepStrictEqual(
        items.flatMap((item) => (item._tag === "UserMessage" ? [item.fragment] : [])),
        [History.noticeFragment]
      )
      assert.strictEqual(SessionState.userTurnCount(SessionState.fold(family.root.records())), 0)
    })
  )

  it.effect("D7 wake an idle parent if they were asked to", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      yield* family.run(
        Effect.flatMap(Delegate.start({ ...Family.endless, detached: true, wake: true }), (child) =>
          child.submit(Op.userInput("watch"))
        )
      )
      yield* family.awaitTold((event, id) => id === family.root.session.sessionId && event._tag === "ModelRequested")
      yield* family.root.session.awaitIdle
      assert.include(JSON.stringify(family.model.requests.at(-1)!.items), "echo watch")
    })
  )

  it.effect(
    "D5 D6 a one-shot delegate whose input is rejected fails with a named error, ends, and releases its slot",
    () =>
      Effect.gen(function* () {
        const family = yield* Family.make()
        const [error, answer] = yield* family.run(
          within({ concurrent: 1 })(Effect.all([Effect.flip(once(" ")), once("two")]))
        )
        assert.deepInclude(error as object, {
          _tag: "DelegateFailed",
          reason: { _tag: "Refused", rejection: "EmptyInput" }
        })
        assert.include(error.message, "rejected its input: EmptyInput")
        assert.strictEqual(answer, "echo two")
      })
  )

  it.effect("D6 D7 release the slot of input that is rejected, and report nothing for it", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const receipts = yield* family.run(
        Effect.gen(function* () {
          const child = yield* Delegate.start({ ...Family.endless, detached: true })
          yield* child.submit(Op.userInput("one"))
          yield* child.settled
          const empty = yield* child.submit(Op.userInput(" "))
          // the only slot is free
          const other = yield* Delegate.start({ ...Family.endless, detached: true })
          yield* other.end()
          return [empty._tag, (yield* child.settled)._tag]
        }).pipe(within({ concurrent: 1 }))
      )
      assert.deepStrictEqual(receipts, ["Rejected", "Completed"])
      const notices = family.root.events.filter(
        (event) => event._tag === "InputAccepted" && JSON.stringify(event).includes("echo one")
      )
      assert.lengthOf(notices, 1)
    })
  )

  it.effect("D7 report at their own deadline", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: hanging })
      yield* family.run(
        Effect.flatMap(Delegate.start({ ...Family.endless, detached: true, deadline: "1 hour" }), (child) =>
          child.submit(Op.userInput("watch"))
        )
      )
      yield* family.awaitTold((event) => event._tag === "TextDelta")
      yield* TestClock.adjust("1 hour")
      yield* family.awaitTold((event, id) => id === family.root.session.sessionId && event._tag === "InputAccepted")
      assert.include(JSON.stringify(family.root.events.findLast(({ _tag }) => _tag === "InputAccepted")), "deadline")
    })
  )

  it.effect("D7 keep running when their turn is aborted, which names them", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: hanging })
      yield* family.start(
        Effect.flatMap(Delegate.start({ ...Family.endless, detached: true, name: "night watch" }), (child) =>
          Effect.andThen(child.submit(Op.userInput("watch")), Effect.never)
        )
      )
      const childId = yield* family.awaitTold((event) => event._tag === "TextDelta")
      yield* family.root.session.abort()
      yield* family.root.session.awaitIdle
      const terminal = Family.terminalOf(family.root.events)
      assert.deepStrictEqual(terminal?._tag === "TurnAborted" && terminal.keptDelegates, [childId])
      assert.include(JSON.stringify((yield* family.root.session.snapshot).items), "night watch")
      assert.isUndefined(Family.terminalOf(family.told(childId)))
    })
  )
})

describe("bad input", () => {
  it.effect("a delegate that cannot be opened leaves nothing", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const seen = yield* family.run(
        Effect.gen(function* () {
          const missing = { _tag: "Resumed", delegateId: "nobody" as never } as const
          const error = yield* Effect.flip(Delegate.start({ ...Family.endless, begin: missing }))
          // its slot is free
          yield* Delegate.start(Family.endless)
          return error
        }).pipe(within({ concurrent: 1 }))
      )
      assert.strictEqual(seen._tag === "SessionNotFound" && (seen.sessionId as string), "nobody")
      assert.deepStrictEqual(
        family.root.tags().filter((tag) => tag.startsWith("Delegate")),
        ["DelegateStarted", "DelegateEnded", "DelegateStarted", "DelegateEnded"]
      )
    })
  )

  it.effect("input to a delegate that has ended fails with a named error", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const error = yield* family.run(
        Effect.gen(function* () {
          const child = yield* Delegate.start(Family.endless)
          yield* child.end()
          return yield* Effect.flip(child.submit(Op.userInput("late")))
        })
      )
      assert.strictEqual(error._tag, "DelegateClosed")
    })
  )

  it.effect("D5 an answer that does not have the requested form fails with its text", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: () => [ScriptedModel.text(`{"score":"high"}`)] })
      const output = Schema.Struct({ score: Schema.Finite })
      const error = yield* Effect.flip(
        family.run(Delegate.runOnce({ ...Family.endless, input: Input.text("rate"), output }))
      )
      assert.deepInclude(error as object, { _tag: "DelegateFailed", partial: `{"score":"high"}` })
      const fine = yield* Family.make({ script: () => [ScriptedModel.text(`{"score":7}`)] })
      const answer = yield* fine.run(Delegate.runOnce({ ...Family.endless, input: Input.text("rate"), output }))
      assert.deepStrictEqual(answer, { score: 7 })
      assert.strictEqual(fine.model.requests[0]?.output?.name, "answer")
    })
  )
})

describe("the beginning of a delegate", () => {
  it.effect("J4 forked: the history of its parent up to now, with the call that started it answered", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) => {
          const text = Family.asked(request)
          if (text === "secret is 7") return [ScriptedModel.text("noted")]
          if (text === "delegate" && !Family.isAnswered(request)) return [ScriptedModel.call("start", {}, "start")]
          return [ScriptedModel.text(`seen ${JSON.stringify(request.items).includes("secret is 7")}`)]
        },
        tools: {
          start: {
            run: () =>
              Delegate.runOnce({
                ...Family.endless,
                begin: { _tag: "Forked" },
                input: Input.text("what is the secret?")
              }) as Effect.Effect<unknown, unknown, never>
          }
        }
      })
      yield* family.root.run("secret is 7")
      yield* family.root.run("delegate")
      const [, childId] = family.sessions()
      assert.deepInclude(Family.terminalOf(family.told(childId!)), { lastMessage: "seen true" })
      const { records } = yield* family.journal.load(childId!)
      assert.deepInclude(records[0] as object, { _tag: "SessionStarted", forkedFrom: family.root.session.sessionId })
      assert.include(JSON.stringify(records), "You are the new delegate")
    })
  )

  it.effect("J4 P2 forked: the copy does not get the input that waits for its parent", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const status = yield* family.run(
        Effect.gen(function* () {
          yield* family.root.session.submit(Op.userInput("for the parent", { delivery: "queue" }))
          const child = yield* Delegate.start({ ...Family.endless, begin: { _tag: "Forked" } })
          yield* child.submit(Op.userInput("for the child"))
          const settled = yield* child.settled
          return { settled, waiting: (yield* child.snapshot).waiting }
        })
      )
      assert.deepStrictEqual(status, { settled: { _tag: "Completed", message: "echo for the child" }, waiting: [] })
      yield* family.root.session.awaitIdle
      assert.deepInclude(Family.terminalOf(family.root.events), { lastMessage: "echo for the parent" })
    })
  )

  it.effect("A1 J4 forked: the open questions of the parent's session are not questions of the copy", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      yield* family.run(
        Effect.gen(function* () {
          const { session } = yield* Turn
          const scope = yield* session.scope
          yield* Effect.forkIn(session.ask({ kind: "permissions", payload: null }), scope, { startImmediately: true })
        })
      )
      const childId = yield* family.run(
        Effect.map(Delegate.start({ ...Family.endless, begin: { _tag: "Forked" } }), ({ delegateId }) => delegateId)
      )
      const { records } = yield* family.journal.load(childId)
      const asked = records.filter(({ _tag }) => _tag === "QuestionOpened" || _tag === "QuestionSettled")
      assert.deepStrictEqual(
        asked.map(({ _tag }) => _tag),
        ["QuestionOpened", "QuestionSettled"]
      )
      assert.isBelow(asked[1]!.seq, records.find(({ _tag }) => _tag === "SessionResumed")!.seq)
      assert.isUndefined(Laws.session({ events: records }))
    })
  )

  it.effect("resumed: a delegate that was closed continues with its own history", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) => [ScriptedModel.text(`${request.items.length} items`)]
      })
      const first = yield* family.run(
        Effect.tap(Delegate.start(Family.endless), (child) =>
          Effect.andThen(child.submit(Op.userInput("one")), child.settled)
        )
      )
      const status = yield* family.run(
        Effect.gen(function* () {
          const begin = { _tag: "Resumed", delegateId: first.delegateId } as const
          const child = yield* Delegate.start({ ...Family.endless, begin })
          yield* child.submit(Op.userInput("two"))
          return yield* child.settled
        })
      )
      assert.deepStrictEqual(status, { _tag: "Completed", message: "3 items" })
    })
  )

  it.effect("D1 resumed: one that has not ended is refused with a named error, and stays under control", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const { error, id, isOpen } = yield* family.run(
        Effect.gen(function* () {
          const child = yield* Delegate.start(Family.endless)
          const { delegateId: id } = child
          const error = yield* Effect.flip(
            Delegate.start({ ...Family.endless, begin: { _tag: "Resumed", delegateId: id } })
          )
          const { session } = yield* Turn
          const isOpen = (yield* nodeOf(session)).find(id) === child
          yield* child.end()
          return { error, id, isOpen }
        })
      )
      assert.deepInclude(error, { _tag: "SessionBusy", sessionId: id })
      assert.isTrue(isOpen)
      const told = family.root.events.filter((event) => "delegateId" in event && event.delegateId === id)
      assert.deepStrictEqual(Family.tags(told), ["DelegateStarted", "DelegateEnded"])
    })
  )

  it.effect("its first record names its purpose, its parent and its depth", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      yield* family.run(once("one", { source: "review", deadline: Duration.minutes(1) }))
      const [rootId, childId] = family.sessions()
      const started = family.told(childId!)[0]
      assert.deepInclude(started?._tag === "SessionStarted" && started.meta, {
        source: "review",
        name: "review",
        parent: rootId!,
        depth: "1"
      })
    })
  )
})

describe("telemetry", () => {
  it.effect("O1 the span of a delegate is below the operation that started it, and above everything that it does", () =>
    Effect.gen(function* () {
      const { spans, tracer } = keepSpans()
      yield* Effect.gen(function* () {
        const family = yield* Family.make()
        yield* family.run(
          Effect.gen(function* () {
            yield* once()
            const child = yield* Delegate.start({ ...Family.endless, detached: true })
            yield* child.submit(Op.userInput("two"))
            yield* child.settled
            yield* child.end()
          })
        )
      }).pipe(Effect.provideService(Tracer.Tracer, tracer))
      const named = (name: string) => spans.filter((span) => span.name === name)
      const above = ({ parent }: Tracer.Span) =>
        spans.find(({ spanId }) => spanId === Option.getOrUndefined(parent)?.spanId)
      const [asking] = named("session_task.delegating")
      const delegates = named("spindle.delegate")
      assert.deepStrictEqual(
        delegates.map(({ attributes }) => [attributes.get("spindle.delegate.mode"), attributes.get("spindle.outcome")]),
        [
          ["linked", "completed"],
          ["detached", "completed"]
        ]
      )
      for (const [index, turn] of named("session_task.turn").entries()) {
        assert.strictEqual(above(turn)!.name, "op.dispatch.user_input")
        assert.strictEqual(above(above(turn)!), delegates[index])
        assert.strictEqual(above(delegates[index]!), asking)
      }
      assert.isTrue(spans.every(({ status, traceId }) => status._tag === "Ended" && traceId === asking!.traceId))
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import type { QuestionId, SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Input from "@spindle/core/Input"
import { Turn } from "@spindle/core/Turn"
import { TurnContextRule } from "@spindle/core/TurnContext"
import * as Delegate from "@spindle/delegate/Delegate"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import type * as SessionHarness from "@spindle/testing/SessionHarness"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Family from "./fixtures/family.ts"

type Opened = Extract<SessionEvent, { readonly _tag: "QuestionOpened" }>

const openedAt = (family: Family.Family, sessionId: SessionId): ReadonlyArray<Opened> =>
  family.told(sessionId).filter((event) => event._tag === "QuestionOpened")

const settledAt = (family: Family.Family, sessionId: SessionId) =>
  family.told(sessionId).flatMap((event) => (event._tag === "QuestionSettled" ? [event.decision] : []))

/** Calls `reach` once with the input, then says how the call ended. */
const reaching: ScriptedModel.Script = (request) => {
  const last = request.items.at(-1)
  return last?._tag === "ToolResult"
    ? [ScriptedModel.text(`${last.status}: ${String(last.output)}`)]
    : [ScriptedModel.call("reach", { for: Family.asked(request) }, `call ${Family.asked(request)}`)]
}

const reach = (policy: SessionHarness.TestTool["policy"] = { approval: "ask" }) => {
  let runs = 0
  const tools = Family.withTools({
    reach: {
      run: () =>
        Effect.sync(() => {
          runs++
          return "reached"
        }),
      policy: { kind: "permissions", ...policy }
    }
  })
  return { ...tools, runs: () => runs }
}

/** Delegates at several levels, each started by a tool of the one above. The last one calls `reach`. */
const chain = () => {
  const handles = new Map<SessionId, Delegate.Interactive>()
  const run = ({ to }: { readonly to?: unknown }): Effect.Effect<unknown, unknown, never> =>
    Effect.gen(function* () {
      const child = yield* Delegate.start({ ...Family.endless, agent: tools.agent })
      handles.set(child.delegateId, child)
      yield* child.submit(Op.userInput(String(to)))
      const status = yield* child.settled
      return status._tag === "Completed" ? status.message : status
    }) as Effect.Effect<unknown, unknown, never>
  const tools = Family.withTools({
    down: { run },
    reach: { run: () => Effect.succeed("reached"), policy: { approval: "ask" } }
  })
  return { ...tools, handles, begin: (levels: number) => run({ to: levels === 1 ? "deep" : `down ${levels - 1}` }) }
}

/** As `reaching`, one level down for each number. */
const descending: ScriptedModel.Script = (request, index) => {
  const levels = Number(/^down (\d+)$/.exec(Family.asked(request))?.[1] ?? 0)
  const last = request.items.at(-1)
  if (levels === 0) return reaching(request, index)
  if (last?._tag === "ToolResult") return [ScriptedModel.text(String(last.output))]
  return [ScriptedModel.call("down", { to: levels === 1 ? "deep" : `down ${levels - 1}` }, `down ${levels}`)]
}

const awaitRequest = (family: Family.Family, at: SessionId) =>
  Effect.map(
    family.awaitTold((event, id) => id === at && event._tag === "QuestionOpened"),
    () => openedAt(family, at).at(-1)!
  )

describe("a question of a delegate", () => {
  it.effect("A3 is visible at the root with its path, tool and arguments, and the root answers it", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: reaching })
      const tools = reach()
      const { sessionId } = family.root.session
      const running = yield* Effect.forkChild(
        family.run(tools.provide(Delegate.runOnce({ ...Family.endless, agent: tools.agent, input: Input.text("one") })))
      )
      const request = yield* awaitRequest(family, sessionId)
      const [, childId] = family.sessions()
      assert.deepStrictEqual(
        [request.path, request.callId as string, request.tool, request.payload, request.kind],
        [[sessionId, childId!], "call one", "reach", { for: "one" }, "permissions"]
      )
      // it is one question: the same id wherever it is shown
      assert.strictEqual(openedAt(family, childId!)[0]?.questionId, request.questionId)
      assert.deepStrictEqual(openedAt(family, childId!)[0]?.path, request.path)
      const receipt = yield* family.root.session.submit(
        Op.answer(request.questionId, { _tag: "Approved", scope: "once" })
      )
      assert.strictEqual(receipt._tag, "Accepted")
      assert.strictEqual(yield* Fiber.join(running), "completed: reached")
      assert.strictEqual(tools.runs(), 1)
      const late = yield* family.root.session.submit(Op.answer(request.questionId, { _tag: "Denied" }))
      assert.deepInclude(late, {
        _tag: "Rejected",
        reason: { _tag: "UnknownQuestion", questionId: request.questionId }
      })
    })
  )

  it.effect("A3 A4 a grant of less than was asked for reaches the delegate unchanged", () =>
    Effect.gen(function* () {
      const answers: Array<unknown> = []
      const asking = Family.withTools({
        reach: {
          run: () =>
            Effect.flatMap(Turn, (turn) =>
              Effect.map(
                turn.ask({ kind: "permissions", payload: { network: true, write: ["/tmp"] } }),
                (answer) => void answers.push(answer)
              )
            )
        }
      })
      const family = yield* Family.make({ script: reaching })
      const run = Delegate.runOnce({ ...Family.endless, agent: asking.agent, input: Input.text("one") })
      const running = yield* Effect.forkChild(family.run(asking.provide(run)))
      const { questionId } = yield* awaitRequest(family, family.root.session.sessionId)
      const less: Op.Decision = { _tag: "Approved", scope: "turn", permissions: { network: true } }
      yield* family.root.session.submit(Op.answer(questionId, less))
      yield* Fiber.join(running)
      assert.deepStrictEqual(answers, [less])
      for (const id of family.sessions()) assert.deepStrictEqual(settledAt(family, id), [less])
    })
  )

  it.effect("A3 denying it denies that call, and nothing else", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: reaching })
      const tools = reach()
      const running = yield* Effect.forkChild(
        family.run(
          tools.provide(
            Effect.forEach(
              ["one", "two"],
              (text) => Delegate.runOnce({ ...Family.endless, agent: tools.agent, input: Input.text(text) }),
              { concurrency: "unbounded" }
            )
          )
        )
      )
      const { session } = family.root
      yield* family.awaitTold(
        (event, id) => id === session.sessionId && openedAt(family, id).length === 2 && event._tag === "QuestionOpened"
      )
      // siblings wait concurrently and are answered in the other order
      for (const request of openedAt(family, session.sessionId).toReversed()) {
        const isFirst = (request.payload as { for: string }).for === "one"
        yield* session.submit(
          Op.answer(
            request.questionId,
            isFirst ? { _tag: "Denied", reason: "no" } : { _tag: "Approved", scope: "once" }
          )
        )
      }
      assert.deepStrictEqual(yield* Fiber.join(running), ["denied: rejected: no", "completed: reached"])
    })
  )

  it.effect("A3 an open question blocks no other event of its delegate", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) =>
          Family.isAnswered(request)
            ? [ScriptedModel.text("done")]
            : [ScriptedModel.call("reach", {}, "a"), ScriptedModel.call("look", {}, "b")]
      })
      const tools = Family.withTools({
        reach: { run: () => Effect.succeed("reached"), policy: { approval: "ask" } },
        look: { run: () => Effect.flatMap(Turn, (turn) => Effect.as(turn.warn("looked"), "looked")) }
      })
      yield* family.start(
        tools.provide(
          Effect.gen(function* () {
            const child = yield* Delegate.start({ ...Family.endless, agent: tools.agent })
            yield* child.submit(Op.userInput("go"))
            return yield* Effect.never
          })
        )
      )
      yield* awaitRequest(family, family.root.session.sessionId)
      yield* family.awaitTold((event) => event._tag === "Warning" && event.message === "looked")
      yield* family.root.session.abort()
    })
  )

  for (const levels of [1, 2, 3, 4, 5]) {
    it.effect(`A3 at depth ${levels} reaches the root, and any ancestor answers it`, () =>
      Effect.gen(function* () {
        for (let answering = 0; answering <= levels; answering++) {
          const family = yield* Family.make({ script: descending })
          const tools = chain()
          const running = yield* Effect.forkChild(family.run(tools.provide(tools.begin(levels))))
          const request = yield* awaitRequest(family, family.root.session.sessionId)
          assert.lengthOf(request.path, levels + 1)
          // the asker itself is the last of the path
          const at = request.path[answering]!
          const session = tools.handles.get(at) ?? family.root.session
          const receipt = yield* session.submit(Op.answer(request.questionId, { _tag: "Approved", scope: "once" }))
          assert.strictEqual(receipt._tag, "Accepted")
          assert.strictEqual(yield* Fiber.join(running), "completed: reached")
          for (const sessionId of request.path) {
            assert.lengthOf(openedAt(family, sessionId), 1)
            assert.lengthOf(settledAt(family, sessionId), 1)
          }
        }
      })
    )
  }

  it.effect("A2 the abort of the parent settles it on both sides as cancelled, which is not a refusal", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: reaching })
      const tools = reach()
      yield* family.start(
        tools.provide(Delegate.runOnce({ ...Family.endless, agent: tools.agent, input: Input.text("one") }))
      )
      const { session } = family.root
      yield* awaitRequest(family, session.sessionId)
      const [, childId] = family.sessions()
      yield* session.abort()
      yield* session.awaitIdle
      for (const sessionId of [session.sessionId, childId!]) {
        assert.deepStrictEqual(settledAt(family, sessionId), [{ _tag: "Cancelled", by: "abort" }])
      }
      const result = family
        .told(childId!)
        .find((event) => event._tag === "ItemRecorded" && event.item._tag === "ToolResult")
      assert.deepInclude((result as { readonly item: object }).item, { status: "aborted" })
    })
  )

  it.effect(
    "A2 has a deadline; unanswered permissions grant nothing, and unanswered questions are answered with nothing",
    () =>
      Effect.gen(function* () {
        const family = yield* Family.make({ script: reaching })
        const asking = Family.withTools({
          reach: {
            run: () =>
              Effect.flatMap(Turn, (turn) =>
                Effect.map(turn.ask({ kind: "question", payload: "which?" }), (answer) => JSON.stringify(answer))
              )
          }
        })
        const running = yield* Effect.forkChild(
          family.run(
            asking.provide(Delegate.runOnce({ ...Family.endless, agent: asking.agent, input: Input.text("one") }))
          )
        )
        yield* awaitRequest(family, family.root.session.sessionId)
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual(yield* Fiber.join(running), `completed: {"_tag":"Answered","answers":{}}`)
        const tools = reach()
        const refused = yield* Effect.forkChild(
          family.run(
            tools.provide(
              Delegate.runOnce({
                ...Family.endless,
                agent: tools.agent,
                input: Input.text("two"),
                config: { questionDeadline: "1 minute" }
              })
            )
          )
        )
        yield* family.awaitTold((event) => event._tag === "QuestionOpened" && event.kind === "permissions")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(refused), "denied: not approved: nobody answered in time")
        assert.strictEqual(tools.runs(), 0)
      })
  )

  it.effect("A5 the decision Abort stops the turn that it was given to, and everything below", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: reaching })
      const tools = reach()
      const running = yield* family.start(
        tools.provide(Delegate.runOnce({ ...Family.endless, agent: tools.agent, input: Input.text("one") }))
      )
      const request = yield* awaitRequest(family, family.root.session.sessionId)
      yield* family.root.session.submit(Op.answer(request.questionId, { _tag: "Abort" }))
      assert.deepInclude(yield* running.outcome, { _tag: "Aborted", reason: "Interrupted" })
      const [, childId] = family.sessions()
      const terminal = Family.terminalOf(family.told(childId!))
      assert.strictEqual(terminal?._tag, "TurnAborted")
    })
  )

  it.effect("A4 no delegate asks again for what an ancestor granted", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: reaching })
      const tools = reach()
      const once = Delegate.runOnce({ ...Family.endless, agent: tools.agent, input: Input.text("same") })
      const running = yield* Effect.forkChild(family.run(tools.provide(Effect.forEach([1, 2, 3], () => once))))
      const request = yield* awaitRequest(family, family.root.session.sessionId)
      yield* family.root.session.submit(Op.answer(request.questionId, { _tag: "Approved", scope: "turn" }))
      yield* Fiber.join(running)
      assert.strictEqual(tools.runs(), 3)
      assert.lengthOf(openedAt(family, family.root.session.sessionId), 1)
    })
  )

  it.effect("A3 a review decides first, and leaves the rest to the person", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: reaching })
      const tools = reach()
      const reviewed: Array<QuestionId> = []
      const run = (text: string) =>
        Delegate.runOnce({
          ...Family.endless,
          agent: tools.agent,
          input: Input.text(text),
          review: (request) =>
            Effect.sync(() => {
              reviewed.push(request.questionId)
              return text === "easy" ? ({ _tag: "Approved", scope: "once" } as const) : undefined
            })
        })
      const running = yield* Effect.forkChild(family.run(tools.provide(Effect.forEach(["easy", "hard"], run))))
      const request = yield* awaitRequest(family, family.root.session.sessionId)
      assert.deepStrictEqual(request.payload, { for: "hard" })
      yield* family.root.session.submit(Op.answer(request.questionId, { _tag: "Denied" }))
      assert.deepStrictEqual(yield* Fiber.join(running), ["completed: reached", "denied: rejected by user"])
      assert.lengthOf(reviewed, 2)
    })
  )

  const detached = (family: Family.Family, options: Partial<Delegate.DelegateOptions<never>> = {}) => {
    const tools = reach()
    const started = Effect.tap(
      Delegate.start({ ...Family.endless, ...options, agent: tools.agent, detached: true }),
      (child) => child.submit(Op.userInput("one"))
    )
    return family.run(tools.provide(started) as Effect.Effect<Delegate.Interactive, unknown, Family.Services>)
  }

  it.effect("A3 D7 a question of a detached delegate is shown and answered at the root while the root is idle", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: reaching })
      const { session } = family.root
      const child = yield* detached(family)
      yield* session.awaitIdle
      const request = yield* awaitRequest(family, session.sessionId)
      assert.deepInclude(request, { tool: "reach", payload: { for: "one" }, path: child.path })
      assert.deepStrictEqual(
        openedAt(family, child.delegateId).map(({ questionId }) => questionId),
        [request.questionId]
      )
      assert.strictEqual((yield* session.snapshot).status, "idle")
      // the end of a turn does not settle it
      yield* family.run(Effect.void)
      yield* session.submit(Op.answer(request.questionId, { _tag: "Approved", scope: "once" }))
      assert.deepInclude(yield* child.settled, { _tag: "Completed", message: "completed: reached" })
      assert.lengthOf(openedAt(family, session.sessionId), 1)
    })
  )

  it.effect(
    "A3 A5 what a detached delegate of a detached one asks is at an idle root, and Abort stops only who asked",
    () =>
      Effect.gen(function* () {
        const family = yield* Family.make({
          script: (request) =>
            Family.asked(request) === "delegate" && !Family.isAnswered(request)
              ? [ScriptedModel.call("start", {}, "start")]
              : reaching(request, 0)
        })
        const { session } = family.root
        const inner = reach()
        const outer = Family.withTools({
          start: {
            run: () =>
              Effect.as(
                Effect.tap(Delegate.start({ ...Family.endless, agent: inner.agent, detached: true }), (child) =>
                  child.submit(Op.userInput("two"))
                ) as Effect.Effect<Delegate.Interactive, unknown, Turn>,
                "started"
              )
          }
        })
        const child = yield* family.run(
          inner.provide(
            outer.provide(
              Effect.tap(Delegate.start({ ...Family.endless, agent: outer.agent, detached: true }), (started) =>
                started.submit(Op.userInput("delegate"))
              )
            )
          ) as Effect.Effect<Delegate.Interactive, unknown, Family.Services>
        )
        yield* session.awaitIdle
        const request = yield* awaitRequest(family, session.sessionId)
        assert.lengthOf(request.path, 3)
        assert.deepInclude(yield* child.settled, { _tag: "Completed" })
        yield* session.submit(Op.answer(request.questionId, { _tag: "Abort" }))
        const asker = request.path[2]!
        yield* family.awaitTold((event, id) => id === asker && event._tag === "TurnAborted")
        yield* family.awaitTold((event, id) => id === child.delegateId && event._tag === "QuestionSettled")
        assert.isUndefined(family.told(child.delegateId).find((event) => event._tag === "TurnAborted"))
        for (const id of request.path) assert.deepStrictEqual(settledAt(family, id), [{ _tag: "Abort" }])
      })
  )

  for (const [how, end] of [
    ["its delegate is closed", (child: Delegate.Interactive) => child.end()],
    ["its deadline is over", () => TestClock.adjust("10 seconds")]
  ] as const) {
    it.effect(`A1 D7 a question of a detached delegate is settled at both ends when ${how}`, () =>
      Effect.gen(function* () {
        const family = yield* Family.make({ script: reaching })
        const child = yield* detached(family, { deadline: "10 seconds" })
        const request = yield* awaitRequest(family, family.root.session.sessionId)
        yield* family.root.session.awaitIdle
        assert.deepStrictEqual(settledAt(family, family.root.session.sessionId), [])
        yield* end(child)
        yield* child.awaitClosed
        assert.deepStrictEqual(settledAt(family, child.delegateId), [{ _tag: "Cancelled", by: "abort" }])
        assert.deepStrictEqual(settledAt(family, family.root.session.sessionId), [{ _tag: "Cancelled", by: "end" }])
        const late = yield* family.root.session.submit(Op.answer(request.questionId, { _tag: "Denied" }))
        assert.deepInclude(late, { _tag: "Rejected" })
      })
    )
  }
})

describe("the authority of a delegate", () => {
  /** A tool that runs a delegate of this agent once. */
  const startOnce = ({ agent, provide }: ReturnType<typeof reach>): SessionHarness.TestTool => ({
    run: () => {
      const once = Delegate.runOnce({ ...Family.endless, agent, input: Input.text("one") })
      return Effect.scoped(provide(once)) as Effect.Effect<unknown, unknown, Turn>
    }
  })

  it.effect("A4 is never more than that of the agent that starts it", () =>
    Effect.gen(function* () {
      const child = reach({ approval: "allow" })
      // the parent's model starts a delegate by a tool; the parent may not reach itself
      const family = yield* Family.make({
        script: (request) =>
          Family.asked(request) === "delegate" && !Family.isAnswered(request)
            ? [ScriptedModel.call("start", {}, "start")]
            : reaching(request, 0),
        tools: {
          start: startOnce(child),
          reach: { run: () => Effect.succeed("no"), policy: { approval: "deny" } }
        }
      })
      const terminal = yield* family.root.run("delegate")
      assert.strictEqual(child.runs(), 0)
      assert.include(JSON.stringify(terminal), "the policy forbids reach")
    })
  )

  it.effect("A4 follows from the context of the turn that starts it, which an input may have changed", () =>
    Effect.gen(function* () {
      const child = reach({ approval: (_, { approvalPolicy }) => (approvalPolicy === "never" ? "deny" : "allow") })
      const family = yield* Effect.provideService(
        Family.make({
          script: (request) =>
            Family.asked(request) === "delegate" && !Family.isAnswered(request)
              ? [ScriptedModel.call("start", {}, `start ${request.items.length}`)]
              : reaching(request, 0),
          tools: {
            start: startOnce(child)
          }
        }),
        TurnContextRule,
        () => undefined
      )
      const { events, session } = family.root
      const contexts = [{ approvalPolicy: "never" }, { approvalPolicy: "on-request" }]
      for (const context of contexts) {
        yield* session.submit(Op.userInput("delegate", { context }))
        yield* session.awaitIdle
      }
      assert.strictEqual(child.runs(), 1)
      const children = events.flatMap((event) => (event._tag === "DelegateStarted" ? [event.delegateId] : []))
      assert.deepStrictEqual(
        children.map((id) =>
          family.told(id).flatMap((event) => (event._tag === "TurnContextChanged" ? [event.context] : []))
        ),
        contexts.map((context) => [context])
      )
    })
  )
})

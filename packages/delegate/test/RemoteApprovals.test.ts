import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import type { Approvals } from "@spindle/core/Approvals"
import type { QuestionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { Turn } from "@spindle/core/Turn"
import * as Bridge from "@spindle/delegate/Bridge"
import type { Review } from "@spindle/delegate/Delegate"
import * as Reviewer from "@spindle/delegate/Reviewer"
import * as RemoteApprovals from "@spindle/delegate/RemoteApprovals"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as FakeChild from "./fixtures/fakeChild.ts"
import * as Family from "./fixtures/family.ts"

const emptyGrant: Op.Decision = { _tag: "Approved", scope: "turn", permissions: {} }
const settle = TestClock.adjust(0)
const submissionsOf = ({ received }: FakeChild.FakeChild) =>
  received.flatMap((one) => (one._tag === "Submission" ? [one.submission.op] : []))

/** Makes a bridge to a played child with these approvals. */
const bridged = Effect.fnUntraced(function* (decider: Approvals) {
  const fake = yield* FakeChild.make()
  const bridge = yield* Bridge.make(yield* RemoteApprovals.route(fake.child, decider))
  return { fake, bridge }
})

/** Starts a turn with a played child that asks `question`. `review` decides before the parent is asked. */
const playing = Effect.fnUntraced(function* (
  family: Family.Family,
  question: SessionEvent,
  review: Effect.Effect<Review | undefined, never, Family.Services> = Effect.undefined
) {
  const played = yield* Deferred.make<FakeChild.FakeChild>()
  const running = yield* family.start(
    Effect.gen(function* () {
      const turn = yield* Turn
      const { bridge, fake } = yield* bridged(RemoteApprovals.askParent(turn.ask, yield* review))
      yield* Deferred.succeed(played, fake)
      yield* fake.emit(question)
      yield* bridge.ended
    })
  )
  return { running, fake: yield* Deferred.await(played) }
})

describe("the tests of the seed", () => {
  const permissions = { ...FakeChild.question("question-1"), callId: "tool-call-1" } as SessionEvent

  it.effect("A3 handle_request_permissions_uses_tool_call_id_for_round_trip", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const { fake } = yield* playing(family, permissions)
      yield* family.awaitTold((event) => event._tag === "QuestionOpened")
      const opened = family.root.events.find((event) => event._tag === "QuestionOpened")
      assert.deepInclude(opened as object, {
        questionId: "question-1",
        callId: "tool-call-1",
        payload: { network: { enabled: true }, write: ["/tmp"] }
      })
      // less than was asked for
      const decision = { _tag: "Approved", scope: "turn", permissions: { network: { enabled: true } } } as const
      yield* family.root.session.submit(Op.answer("question-1" as QuestionId, decision))
      yield* settle
      assert.deepStrictEqual(submissionsOf(fake), [Op.answer("question-1" as QuestionId, decision)])
      yield* family.root.session.abort()
    })
  )

  it.effect("A2 D2 permissions that a parent was asked for are an empty grant when its turn is aborted", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const { fake, running } = yield* playing(family, permissions)
      yield* family.awaitTold((event) => event._tag === "QuestionOpened")
      yield* family.root.session.abort()
      yield* running.outcome
      assert.deepStrictEqual(
        fake.received.map((one) => (one._tag === "Submission" ? one.submission.op : one)),
        [
          Op.answer("question-1" as QuestionId, emptyGrant),
          { _tag: "Interrupt", reason: "Parent" },
          { _tag: "Shutdown" }
        ]
      )
    })
  )
})

describe("the tests of the reference with a guardian", () => {
  const guardian = Agent.make({ instructions: "Guard." })

  /** A remote child whose questions a guardian decides first, with this verdict. */
  const guarded = Effect.fnUntraced(function* (verdict: ScriptedModel.Answer, request: SessionEvent) {
    const assessed: Array<unknown> = []
    const family = yield* Family.make({
      script: (asked) => {
        assessed.push(JSON.parse(Family.asked(asked)))
        return verdict
      }
    })
    const review = Reviewer.fromAgent({ agent: guardian, deadline: "1 minute" })
    return { family, assessed, ...(yield* playing(family, request, review)) }
  })

  const command = {
    ...FakeChild.question("approval-1"),
    kind: "command",
    callId: "call-1",
    tool: "exec_command",
    payload: { cmd: "rm -rf build" }
  } as SessionEvent

  it.effect("A2 handle_exec_approval_uses_call_id_for_guardian_review_and_approval_id_for_reply", () =>
    Effect.gen(function* () {
      const { assessed, fake, family, running } = yield* guarded([ScriptedModel.hang], command)
      yield* settle
      assert.deepInclude(assessed[0] as object, { call_id: "call-1", arguments: { cmd: "rm -rf build" } })
      const review = family.root.events.find((event) => event._tag === "DelegateStarted")
      assert.strictEqual(review?._tag === "DelegateStarted" && review.turnId, running.turnId)
      yield* family.root.session.abort()
      yield* running.outcome
      assert.deepStrictEqual(submissionsOf(fake), [Op.answer("approval-1" as QuestionId, { _tag: "Abort" })])
      assert.notInclude(family.root.tags(), "QuestionOpened")
    })
  )

  // the reference remembers each call and joins a question to it by id; here the question carries the name and the
  // arguments of its call
  const elicitation = {
    ...FakeChild.question("elicitation-1"),
    kind: "elicitation",
    callId: "call-2",
    tool: "mcp__files__delete",
    payload: { path: "notes.txt" }
  } as SessionEvent

  it.effect("A2 delegated_mcp_guardian_abort_returns_synthetic_decline_answer", () =>
    Effect.gen(function* () {
      const { assessed, fake, family, running } = yield* guarded([ScriptedModel.hang], elicitation)
      yield* settle
      assert.deepInclude(assessed[0] as object, {
        call_id: "call-2",
        tool: "mcp__files__delete",
        arguments: { path: "notes.txt" }
      })
      yield* family.root.session.abort()
      yield* running.outcome
      const declined = { _tag: "Denied", reason: "the session that was asked has stopped" } as const
      assert.deepStrictEqual(submissionsOf(fake), [Op.answer("elicitation-1" as QuestionId, declined)])
    })
  )

  it.effect("A3 a guardian decides an elicitation that names its call", () =>
    Effect.gen(function* () {
      for (const [decision, expected] of [
        ["approve", { _tag: "Approved", scope: "once" }],
        ["deny", { _tag: "Denied", reason: "because" }]
      ] as const) {
        const verdict = [ScriptedModel.text(JSON.stringify({ decision, reason: "because" }))]
        const { fake, family } = yield* guarded(verdict, elicitation)
        yield* settle
        assert.deepStrictEqual(submissionsOf(fake), [Op.answer("elicitation-1" as QuestionId, expected)])
        assert.notInclude(family.root.tags(), "QuestionOpened")
        yield* family.root.session.abort()
      }
    })
  )

  it.effect("A2 a question of a child gets an empty answer when its parent stops", () =>
    Effect.gen(function* () {
      const question = { ...FakeChild.question("question-1"), kind: "question" } as SessionEvent
      const { fake, family, running } = yield* guarded([ScriptedModel.hang], question)
      yield* family.awaitTold((event) => event._tag === "QuestionOpened")
      yield* family.root.session.abort()
      yield* running.outcome
      assert.deepStrictEqual(submissionsOf(fake), [
        Op.answer("question-1" as QuestionId, { _tag: "Answered", answers: {} })
      ])
    })
  )
})

describe("route", () => {
  it.effect("A2 D2 when the bridge ends, the child gets an answer to each open question before it has to stop", () =>
    Effect.gen(function* () {
      const { bridge, fake } = yield* bridged({ decide: () => Effect.never })
      const kinds = ["command", "patch", "permissions", "question", "elicitation"]
      yield* fake.emit(...kinds.map((kind) => ({ ...FakeChild.question(kind), kind }) as SessionEvent))
      yield* settle
      yield* bridge.end("Parent")
      const expected: ReadonlyArray<Op.Decision> = [
        { _tag: "Abort" },
        { _tag: "Abort" },
        emptyGrant,
        { _tag: "Answered", answers: {} },
        { _tag: "Denied", reason: "the session that was asked has stopped" }
      ]
      assert.deepStrictEqual(
        submissionsOf(fake),
        expected.map((decision, index) => Op.answer(kinds[index] as QuestionId, decision))
      )
      assert.deepStrictEqual(fake.received.slice(kinds.length), [
        { _tag: "Interrupt", reason: "Parent" },
        { _tag: "Shutdown" }
      ])
    })
  )

  it.effect("A3 decides questions concurrently, and forwards everything else meanwhile", () =>
    Effect.gen(function* () {
      const gates = new Map<string, Deferred.Deferred<void>>()
      for (const id of ["a", "b"]) gates.set(id, yield* Deferred.make<void>())
      const { bridge, fake } = yield* bridged({
        decide: ({ questionId }) =>
          Effect.as(Deferred.await(gates.get(questionId)!), { _tag: "Denied", reason: questionId } as const)
      })
      yield* fake.emit(FakeChild.question("a"), FakeChild.question("b"), FakeChild.warning(3))
      const seen = yield* Stream.runHead(bridge.events)
      assert.strictEqual(seen._tag === "Some" && seen.value._tag, "Warning")
      yield* Deferred.succeed(gates.get("b")!, undefined)
      yield* settle
      assert.deepStrictEqual(submissionsOf(fake), [Op.answer("b" as QuestionId, { _tag: "Denied", reason: "b" })])
      yield* Deferred.succeed(gates.get("a")!, undefined)
      yield* settle
      assert.lengthOf(submissionsOf(fake), 2)
    })
  )

  it.effect("A3 withdraws a question that the child has settled, and open questions at the end", () =>
    Effect.gen(function* () {
      const withdrawn: Array<string> = []
      let played: FakeChild.FakeChild | undefined
      const decider: Approvals = {
        decide: ({ questionId }) =>
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => void withdrawn.push(questionId)))
      }
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { fake } = yield* bridged(decider)
          played = fake
          yield* fake.emit(FakeChild.question("a"), FakeChild.question("b"))
          yield* settle
          yield* fake.emit({
            _tag: "QuestionSettled",
            seq: 2,
            at: 0,
            turnId: "t" as never,
            questionId: "a" as QuestionId,
            decision: { _tag: "Cancelled", by: "abort" }
          })
          yield* settle
          assert.deepStrictEqual(withdrawn, ["a"])
          assert.deepStrictEqual(submissionsOf(fake), [])
        })
      )
      assert.deepStrictEqual(withdrawn, ["a", "b"])
      assert.deepStrictEqual(submissionsOf(played!), [Op.answer("b" as QuestionId, emptyGrant)])
    })
  )

  it.effect("A2 a death of the approvals is logged and withdraws the question at the child", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const broken: Approvals = { decide: () => Effect.die(new Error("no decider")) }
      const { fake } = yield* Effect.provide(bridged(broken), Logger.layer([logger]))
      yield* fake.emit(FakeChild.question("a"), FakeChild.warning(1))
      yield* settle
      assert.deepStrictEqual(submissionsOf(fake), [Op.answer("a" as QuestionId, emptyGrant)])
      assert.lengthOf(logged, 1)
      assert.include(String(logged[0]), "the approvals for question a of a delegate died")
    })
  )

  it.effect("A3 names the asker by its path from the root", () =>
    Effect.gen(function* () {
      const paths: Array<unknown> = []
      const { fake } = yield* bridged({
        decide: ({ path }) =>
          Effect.andThen(
            Effect.sync(() => void paths.push(path)),
            Effect.never
          )
      })
      yield* fake.emit(FakeChild.question("a"), { ...FakeChild.question("b"), path: ["child", "grandchild"] } as never)
      yield* settle
      assert.deepStrictEqual(paths, [
        ["root", "child"],
        ["root", "child", "grandchild"]
      ])
    })
  )

  it.effect("A2 leaves a question that nobody answered in time to the child", () =>
    Effect.gen(function* () {
      const { fake } = yield* bridged({ decide: () => Effect.succeed({ _tag: "Cancelled", by: "deadline" }) })
      yield* fake.emit(FakeChild.question("a"))
      yield* settle
      assert.deepStrictEqual(submissionsOf(fake), [])
    })
  )
})

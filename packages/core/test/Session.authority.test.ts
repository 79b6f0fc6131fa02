import { assert, describe, it } from "@effect/vitest"
import * as Op from "@spindle/core/Op"
import { isTerminal } from "@spindle/core/SessionEvent"
import * as Authority from "@spindle/core/Authority"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Exit, Schema, Scope } from "effect"
import { assertTurns } from "./fixtures/turns.ts"

/** Each turn makes these calls of `tool`, one answer after the other, and then speaks. */
const turnsOf =
  (...calls: ReadonlyArray<string>): Model.Script =>
  ({ items }) => {
    const begins = items.findLastIndex((item) => item._tag === "UserMessage" && item.fragment === undefined)
    const round = items.slice(begins).filter((item) => item._tag === "ToolCall").length
    const of = calls[round]
    return of === undefined ? [Model.text("done")] : [Model.call("tool", { of }, `${begins}.${round}`)]
  }

/** A session whose tool has to be asked for, and whose requests are all approved for `scope`. */
const approving = (scope: "once" | "turn" | "session", options: Harness.HarnessOptions = {}) =>
  Harness.make({
    script: turnsOf("a", "a", "b"),
    tools: {
      tool: {
        run: () => Effect.succeed("ran"),
        parameters: { of: Schema.String },
        policy: { approval: "ask", kind: "command" }
      }
    },
    approvals: { decide: () => Effect.succeed({ _tag: "Approved", scope }) },
    ...options
  })

const askedFor = (harness: Harness.SessionHarness) =>
  harness.records().flatMap((record) => (record._tag === "QuestionOpened" ? [record.payload] : []))

const a = { of: "a" }
const b = { of: "b" }

describe("a grant", () => {
  for (const [granted, first, second, resumed] of [
    ["once", [a, a, b], [a, a, b], [a, a, b]],
    ["turn", [a, b], [a, b], [a, b]],
    ["session", [a, b], [], []]
  ] as const) {
    it.effect(`A4 for ${granted} holds in its turn, the next, and after a resume for what it says`, () =>
      Effect.gen(function* () {
        const journal = yield* Harness.memoryJournal
        const scope = yield* Scope.make()
        const harness = yield* Effect.provideService(approving(granted, { journal }), Scope.Scope, scope)
        yield* harness.run("one")
        assert.deepStrictEqual(askedFor(harness), [...first])
        yield* harness.run("two")
        assert.deepStrictEqual(askedFor(harness).slice(first.length), [...second])
        yield* Scope.close(scope, Exit.void)
        const again = yield* approving(granted, { journal, resume: harness.session.sessionId })
        yield* again.run("three")
        assert.deepStrictEqual(askedFor(again), [...resumed])
        const ran = again.records().filter((one) => one._tag === "ItemRecorded" && one.item._tag === "ToolResult")
        assert.lengthOf(ran, 3)
      })
    )
  }

  it.effect("A4 for a turn does not outlive a turn that the host died in", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const harness = yield* approving("turn", { journal })
      yield* harness.run("one")
      const { records } = yield* journal.load(harness.session.sessionId)
      // the host died before the terminal record
      const cut = records.slice(0, records.findIndex(isTerminal))
      const other = yield* Harness.memoryJournal
      const { sessionId } = harness.session
      yield* Effect.scoped(Effect.flatMap(other.open(sessionId, "create"), (writer) => writer.append(cut)))
      const again = yield* approving("turn", { journal: other, resume: sessionId })
      yield* again.run("two")
      assert.deepStrictEqual(askedFor(again), [a, b])
    })
  )

  it.effect("A4 for a session stands after a rollback of the turn in which it was given", () =>
    Effect.gen(function* () {
      const harness = yield* approving("session")
      yield* harness.run("one")
      yield* harness.session.submit(Op.rollback(1))
      yield* harness.run("two")
      assert.deepStrictEqual(askedFor(harness), [a, b])
    })
  )
})

describe("authority on its way down", () => {
  const { meet } = Authority
  const Permission = Schema.Literals(["allow", "ask", "deny"])
  /** A node declares a permission of its own and hangs below one of the nodes before it. */
  const Tree = Schema.Array(
    Schema.Struct({ own: Permission, below: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 })) })
  ).check(Schema.isMinLength(1))
  const permissions = ["deny", "ask", "allow"] as const
  const width = (permission: Authority.Permission) => permissions.indexOf(permission)

  /** The effective permission of each node, and the declarations on its way from the root. */
  const effective = (tree: typeof Tree.Type) => {
    const nodes: Array<{ readonly holds: Authority.Permission; readonly path: ReadonlyArray<Authority.Permission> }> =
      []
    for (const { below, own } of tree) {
      const parent = nodes[below % Math.max(1, nodes.length)]
      nodes.push({
        holds: parent === undefined ? own : meet(parent.holds, own),
        path: [...(parent?.path ?? []), own]
      })
    }
    return nodes
  }

  it.prop(
    "A4 only narrows: in a tree of parents and children nobody may more than any of its ancestors",
    [Tree],
    ([tree]) => {
      for (const { holds, path } of effective(tree)) {
        assert.strictEqual(width(holds), Math.min(...path.map(width)))
      }
    }
  )

  it.prop(
    "A4 narrows below a node when its declaration narrows, and nowhere else",
    [Tree, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))],
    ([tree, drawn]) => {
      const at = drawn % tree.length
      const before = effective(tree)
      const after = effective(tree.map((node, index) => (index === at ? { ...node, own: "deny" as const } : node)))
      const parents = tree.map(({ below }, index) => (index === 0 ? undefined : below % index))
      const isBelow = (index: number | undefined): boolean =>
        index !== undefined && (index === at || isBelow(parents[index]))
      after.forEach(({ holds }, index) => assert.strictEqual(holds, isBelow(index) ? "deny" : before[index]!.holds))
    }
  )

  it.prop("A4 does not depend on the order in which a path is met", [Schema.Array(Permission)], ([path]) => {
    const down = path.reduce(meet, "allow")
    const up = path.reduceRight((below, own) => meet(own, below), "allow" as Authority.Permission)
    assert.strictEqual(down, up)
    assert.strictEqual(path.toSorted().reduce(meet, "allow"), down)
  })
})

describe("a decision about one of three calls", () => {
  /** Three calls side by side that wait for a decision each; answers the session and the requests by call. */
  const three = Effect.gen(function* () {
    const ran: Array<unknown> = []
    const harness = yield* Harness.make({
      script: (_, index) =>
        index === 0 ? ["a", "b", "c"].map((of) => Model.call("tool", { of }, of)) : [Model.text("done")],
      tools: {
        tool: {
          run: ({ of }) => Effect.sync(() => ran.push(of)),
          parameters: { of: Schema.String },
          policy: { approval: "ask" }
        }
      }
    })
    yield* harness.submit("go")
    yield* harness.awaitEvent(
      (event): event is Extract<typeof event, { readonly _tag: "QuestionOpened" }> =>
        event._tag === "QuestionOpened" && event.callId === "c"
    )
    const decide = (callId: string, decision: Op.Decision) => {
      const asked = harness.records().find((one) => one._tag === "QuestionOpened" && one.callId === callId)
      return asked?._tag === "QuestionOpened"
        ? harness.session.submit(Op.answer(asked.questionId, decision))
        : Effect.die(`${callId} was not asked for`)
    }
    const results = () =>
      harness
        .records()
        .flatMap((record) =>
          record._tag === "ItemRecorded" && record.item._tag === "ToolResult"
            ? [[record.item.callId as string, record.item.status]]
            : []
        )
    return { harness, ran, decide, results }
  })
  const approved: Op.Decision = { _tag: "Approved", scope: "once" }

  it.effect("A5 denying it spares its siblings", () =>
    Effect.gen(function* () {
      const { decide, harness, ran, results } = yield* three
      yield* decide("b", { _tag: "Denied", reason: "not that" })
      yield* decide("c", approved)
      yield* decide("a", approved)
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(ran.toSorted(), ["a", "c"])
      assert.deepStrictEqual(results(), [
        ["a", "completed"],
        ["b", "denied"],
        ["c", "completed"]
      ])
      assert.strictEqual(harness.records().findLast(isTerminal)?._tag, "TurnCompleted")
      assert.lengthOf(harness.requests, 2)
      assertTurns(harness.events)
    })
  )

  it.effect(
    "A5 Abort aborts the turn as Interrupted: siblings are cancelled, what ran is kept, the queue does not start",
    () =>
      Effect.gen(function* () {
        const { decide, harness, ran, results } = yield* three
        yield* decide("a", approved)
        yield* harness.session.submit(Op.userInput("later", { delivery: "queue" }))
        assert.strictEqual((yield* decide("b", { _tag: "Abort" }))._tag, "Accepted")
        yield* harness.session.awaitIdle
        const last = harness.records().findLast(isTerminal)
        assert.strictEqual(last?._tag === "TurnAborted" && last.reason, "Interrupted")
        assert.deepStrictEqual(ran, ["a"])
        assert.deepStrictEqual(results(), [
          ["a", "completed"],
          ["b", "aborted"],
          ["c", "aborted"]
        ])
        const decisions = harness
          .records()
          .flatMap((one) => (one._tag === "QuestionSettled" ? [one.decision._tag] : []))
        assert.deepStrictEqual(decisions, ["Approved", "Abort", "Cancelled"])
        assert.lengthOf((yield* harness.session.snapshot).waiting, 1)
        assert.lengthOf(harness.requests, 1)
        assertTurns(harness.events)
      })
  )
})

describe("a tool that needs approval", () => {
  const asked = (needsApproval: Harness.TestTool["needsApproval"], approval: Authority.Permission) =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        script: turnsOf("a", "b"),
        tools: {
          tool: {
            run: () => Effect.succeed("ran"),
            parameters: { of: Schema.String },
            policy: { approval },
            ...(needsApproval === undefined ? {} : { needsApproval })
          }
        },
        approvals: { decide: () => Effect.succeed({ _tag: "Approved", scope: "once" }) }
      })
      yield* harness.run("one")
      return askedFor(harness)
    })

  it.effect("A4 is asked for although its policy allows it: the narrower of the two holds", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* asked(undefined, "allow"), [])
      assert.deepStrictEqual(yield* asked(false, "ask"), [a, b])
      assert.deepStrictEqual(yield* asked(true, "allow"), [a, b])
      assert.deepStrictEqual(yield* asked(true, "deny"), [])
    })
  )

  it.effect("A4 may decide by its arguments and by what was said, also as an effect", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const byArguments: Harness.TestTool["needsApproval"] = ({ of }: { of: string }, { messages, toolCallId }) => {
        seen.push(`${toolCallId} ${messages.at(0)?.role}`)
        return of === "b"
      }
      assert.deepStrictEqual(yield* asked(byArguments, "allow"), [b])
      assert.deepStrictEqual(seen, ["0.0 user", "0.1 user"])
      assert.deepStrictEqual(yield* asked(({ of }: { of: string }) => Effect.succeed(of === "a"), "allow"), [a])
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { CallId, ItemId, ModelRequestId, QuestionId, SessionId, TurnId } from "@spindle/core/Ids"
import type { KnownRecord, NewRecord } from "@spindle/core/SessionEvent"
import type * as NoteKind from "@spindle/core/NoteKind"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as ReviewTask from "../../src/tasks/ReviewTask.ts"
import * as Tree from "../../src/view/Tree.ts"

const id = (name: string) => SessionId.make(name)
const turnId = TurnId.make("turn")
const record = (event: NewRecord, at = 0): KnownRecord => ({ seq: 0, at, ...event })
const startedBy = (call: { readonly callId?: CallId }, delegateId: string, name: string) =>
  record({ _tag: "DelegateStarted", turnId, delegateId: id(delegateId), name, linked: true, depth: 1, ...call })
const started = (delegateId: string, name: string) => startedBy({}, delegateId, name)
const turn = record({ _tag: "TurnStarted", turnId, kind: "regular" }, 100)
const callId = CallId.make("wait")
const waits = record({
  _tag: "ItemRecorded",
  turnId,
  item: {
    _tag: "ToolCall",
    id: ItemId.make("0.0"),
    callId,
    name: "any",
    params: {},
    display: { _tag: "Agent", operation: "wait", targets: [id("b")] }
  }
})
const waited = record({
  _tag: "ItemRecorded",
  turnId,
  item: { _tag: "ToolResult", id: ItemId.make("0.1"), callId, name: "any", status: "completed", output: "" }
})
const path = [id("root"), id("a"), id("b")]
const question = { turnId, questionId: QuestionId.make("question") }
const asked = record({ ...question, _tag: "QuestionOpened", kind: "command", payload: null, path })

type Played = readonly [from: string, event: KnownRecord]

const play = (...events: ReadonlyArray<Played>) => {
  let tree = Tree.initial(id("root"))
  const changes: Array<Tree.Change> = []
  for (const [from, event] of events) {
    const [next, change] = Tree.step(tree, id(from), event)
    tree = next
    if (change !== undefined) changes.push(change)
  }
  return { tree, changes }
}
const family = [
  ["root", turn],
  ["root", started("a", "Ada")],
  ["a", turn],
  ["a", started("b", "Alan")],
  ["b", turn]
] as const
const activities = (tree: Tree.Tree) =>
  Tree.workingAgents(tree).map((agent) => [agent.name, agent.questionCount, ...Tree.awaitedNames(tree, agent)])

describe("step", () => {
  it("knows which agents work, whom they wait for and who asks", () => {
    assert.deepStrictEqual(activities(play(["root", turn], ["root", started("a", "Ada")]).tree), [])
    assert.deepStrictEqual(activities(play(...family).tree), [
      ["Ada", 0],
      ["Alan", 0]
    ])
    assert.deepStrictEqual(activities(play(...family, ["a", waits]).tree), [
      ["Ada", 0, "Alan"],
      ["Alan", 0]
    ])
    assert.deepStrictEqual(activities(play(...family, ["a", waits], ["a", waited]).tree), [
      ["Ada", 0],
      ["Alan", 0]
    ])
  })

  it("counts a question for the agent that asks, not for those that pass it on", () => {
    const { tree } = play(...family, ["b", asked], ["a", asked])
    assert.deepStrictEqual(activities(tree), [
      ["Ada", 0],
      ["Alan", 1]
    ])
    assert.deepStrictEqual(Tree.namesOf(tree, path), ["Ada", "Alan"])
    assert.deepStrictEqual(Tree.namesOf(tree, [id("root")]), [])
    const settled = record({ ...question, _tag: "QuestionSettled", decision: { _tag: "Denied" } })
    assert.deepStrictEqual(activities(play(...family, ["b", asked], ["b", settled]).tree)[1], ["Alan", 0])
  })

  it("reports starts and ends of agents, and nothing of the root", () => {
    const usage = { input: 0, cachedInput: 0, output: 0, reasoning: 0, total: 0 }
    const done = record({ _tag: "TurnCompleted", turnId, lastMessage: "fine", usage }, 1_600)
    const { changes, tree } = play(...family, ["b", done], ["root", done])
    assert.deepStrictEqual(
      changes.map((change) => [change._tag, change.agent.name, change.agent.depth]),
      [
        ["Started", "Ada", 1],
        ["Started", "Alan", 2],
        ["Completed", "Alan", 2]
      ]
    )
    assert.include(changes[2], { millis: 1_500, lastMessage: "fine" })
    assert.deepStrictEqual(activities(tree), [["Ada", 0]])
  })

  describe("the reviewer of a review", () => {
    const finding = { title: "Wrong", body: "", priority: 1, confidence_score: 1 }
    const output: ReviewTask.ReviewOutput = {
      findings: [finding],
      overall_correctness: "",
      overall_explanation: "",
      overall_confidence_score: 1
    }
    const lastMessage = JSON.stringify({ findings: [{ title: "Wrong", body: "" }] })
    const done = record({ _tag: "TurnCompleted", turnId, lastMessage, usage: TokenUsage.zero }, 1_600)
    const note = <A>(kind: NoteKind.NoteKind<A>, data: A) =>
      record({ _tag: "TaskNote", turnId, name: kind.name, data: kind.encode(data) as null })
    const entered = note(ReviewTask.ReviewEntered, { target: { type: "uncommitted" }, hint: "changes" })
    const found = note(ReviewTask.ReviewExited, { output })
    const ended = (...events: ReadonlyArray<Played>) =>
      play(...events).changes.flatMap((change) =>
        change._tag === "Completed" ? [[change.agent.name, change.millis, change.lastMessage]] : []
      )

    it("is shown with the output that its task has recorded, not with its own message", () => {
      const events = [
        ["root", entered],
        ["root", started("a", "review")],
        ["a", turn],
        ["a", done]
      ] as const
      const { changes, tree } = play(...events)
      assert.deepStrictEqual([changes.length, activities(tree)], [1, []])
      assert.deepStrictEqual(ended(...events, ["root", found]), [["review", 1_500, "[P1] Wrong"]])
      assert.lengthOf(ended(...events, ["root", found], ["root", found]), 1)
      // without an output the review has not come to an end
      assert.deepStrictEqual(ended(...events, ["root", note(ReviewTask.ReviewExited, {})]), [
        ["review", 1_500, undefined]
      ])
    })

    it("is shown without a message if it ends after its review", () => {
      const exited = note(ReviewTask.ReviewExited, {})
      assert.deepStrictEqual(
        ended(["root", entered], ["root", started("a", "review")], ["a", turn], ["root", exited], ["a", done]),
        [["review", 1_500, undefined]]
      )
    })

    it("is shown without a message if its review is cut off before it exits", () => {
      const events = [
        ["root", entered],
        ["root", started("a", "review")],
        ["a", turn],
        ["a", done],
        ["root", record({ _tag: "DelegateEnded", delegateId: id("a"), status: "completed", message: lastMessage })]
      ] as const
      const crashed = record(
        {
          _tag: "TurnAborted",
          turnId,
          reason: "Shutdown",
          requestedAt: 2_000,
          returned: [],
          kept: [],
          dropped: [],
          stragglers: [],
          keptProcesses: [],
          usage: TokenUsage.zero,
          crashed: true
        },
        2_000
      )
      assert.deepStrictEqual(ended(...events, ["root", crashed]), [["review", 1_500, undefined]])
      assert.lengthOf(ended(...events, ["root", crashed], ["root", crashed]), 1)
      assert.deepStrictEqual(ended(...events, ["root", found], ["root", crashed]), [["review", 1_500, "[P1] Wrong"]])
    })

    it("is not an agent that has its name, or that a tool starts during a review", () => {
      assert.deepStrictEqual(ended(["root", started("a", "review")], ["a", turn], ["a", done]), [
        ["review", 1_500, lastMessage]
      ])
      const ofCall = startedBy({ callId }, "a", "review")
      assert.deepStrictEqual(ended(["root", entered], ["root", ofCall], ["a", turn], ["a", done]), [
        ["review", 1_500, lastMessage]
      ])
      assert.deepStrictEqual(
        ended(["root", entered], ["root", found], ["root", started("a", "review")], ["a", turn], ["a", done]),
        [["review", 1_500, lastMessage]]
      )
    })
  })

  it("counts the tokens of all agents, and none of the root", () => {
    const usage = { input: 90, cachedInput: 0, output: 10, reasoning: 0, total: 100 }
    const requestId = ModelRequestId.make("request")
    const responded = record({ _tag: "ModelResponded", turnId, requestId, finish: "stop", usage })
    const { tree } = play(...family, ["root", responded], ["a", responded], ["b", responded], ["other", responded])
    assert.strictEqual(tree.agentTokens, 200)
  })

  it("ignores sessions of other trees", () => {
    const tree = Tree.initial(id("root"))
    assert.deepStrictEqual(Tree.step(tree, id("other"), started("a", "Ada")), [tree, undefined])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { type Approvals, approveAll, denyAll } from "@spindle/core/Approvals"
import type { Ruling } from "@spindle/core/Authority"
import * as Op from "@spindle/core/Op"
import * as RecordCodec from "@spindle/core/RecordCodec"
import * as SessionState from "@spindle/core/SessionState"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Schema } from "effect"
import * as Records from "../fixtures/records.ts"

/** A tool that runs `commands`, each of which is a key. */
const tool = (policy: Partial<NonNullable<Harness.TestTool["policy"]>> = {}): Harness.TestTool => ({
  run: () => Effect.succeed("ran"),
  parameters: { commands: Schema.Array(Schema.String) },
  policy: {
    approval: "ask",
    kind: "command",
    keys: (params) => (params as { readonly commands: ReadonlyArray<string> }).commands,
    ...policy
  }
})

/** A script in which each response runs one line of commands. */
const script = (...lines: ReadonlyArray<ReadonlyArray<string>>) => [
  ...lines.map((commands, index) => [Model.call("tool", { commands }, `c${index}`)]),
  [Model.text("done")]
]

const approving = (scope: "once" | "turn" | "session"): Approvals => ({
  decide: () => Effect.succeed({ _tag: "Approved", scope })
})

/** How each call was decided, in the order of the records. */
const decisions = (harness: Harness.SessionHarness) =>
  harness.records().flatMap((record) => {
    if (record._tag === "QuestionSettled") return [`${record.decision._tag} by ${record.source ?? "nobody"}`]
    if (record._tag !== "CallDecided") return []
    const why = record.reason === undefined ? "" : `: ${record.reason}`
    return [`${record.callId} ${record.permission} by ${record.source}${why}`]
  })

const results = (harness: Harness.SessionHarness) =>
  harness
    .records()
    .flatMap((record) =>
      record._tag === "ItemRecorded" && record.item._tag === "ToolResult" ? [record.item.output as string] : []
    )

const run = (options: Harness.HarnessOptions) =>
  Effect.gen(function* () {
    const harness = yield* Harness.make(options)
    yield* harness.submit("go")
    yield* harness.session.awaitIdle
    let state = SessionState.empty
    for (const record of harness.records()) {
      assert.isUndefined(SessionState.violation(state, record))
      state = SessionState.apply(state, record)
    }
    return harness
  })

describe("a grant with keys", () => {
  it.effect("A4 covers a later call if all of its keys were granted", () =>
    Effect.gen(function* () {
      const harness = yield* run({
        script: script(["a", "b"], ["b"], ["b", "a"], ["a", "c"], ["c"]),
        tools: { tool: tool() },
        approvals: approving("session")
      })
      assert.deepStrictEqual(decisions(harness), [
        "Approved by user",
        "c1 allow by cache",
        "c2 allow by cache",
        "Approved by user",
        "c4 allow by cache"
      ])
      assert.deepStrictEqual(results(harness), ["ran", "ran", "ran", "ran", "ran"])
    })
  )

  it.effect("A4 once covers nothing later, and a call without keys is asked about each time", () =>
    Effect.gen(function* () {
      const once = yield* run({ script: script(["a"], ["a"]), tools: { tool: tool() }, approvals: approving("once") })
      assert.deepStrictEqual(decisions(once), ["Approved by user", "Approved by user"])
      const none = yield* run({ script: script([], []), tools: { tool: tool() }, approvals: approving("session") })
      assert.deepStrictEqual(decisions(none), ["Approved by user", "Approved by user"])
    })
  )

  it.effect("A4 for a turn ends with it", () =>
    Effect.gen(function* () {
      const harness = yield* run({
        script: [...script(["a"], ["a"]), ...script(["a"])],
        tools: { tool: tool() },
        approvals: approving("turn")
      })
      yield* harness.submit("again")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(decisions(harness), ["Approved by user", "c1 allow by cache", "Approved by user"])
    })
  )
})

describe("a decision is recorded with its source", () => {
  const decided = (options: Harness.HarnessOptions) =>
    Effect.map(run({ script: script(["a"]), ...options }), (harness) => [...decisions(harness), ...results(harness)])

  it.effect("of the decider of the session", () =>
    Effect.gen(function* () {
      const tools = { tool: tool() }
      assert.deepStrictEqual(yield* decided({ tools, approvals: approveAll }), ["Approved by policy", "ran"])
      assert.deepStrictEqual(yield* decided({ tools, approvals: denyAll("no") }), ["Denied by policy", "rejected: no"])
      const reviewer: Approvals = { decide: () => Effect.succeed({ _tag: "Denied", source: "reviewer" }) }
      assert.deepStrictEqual(yield* decided({ tools, approvals: reviewer }), ["Denied by reviewer", "rejected by user"])
    })
  )

  it.effect("of a client", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: script(["a"]), tools: { tool: tool() } })
      yield* harness.submit("go")
      const { questionId } = yield* harness.awaitEvent(Harness.hasTag("QuestionOpened"))
      const amendment = [["a"]]
      yield* harness.session.submit(Op.answer(questionId, { _tag: "Approved", scope: "session", amendment }))
      yield* harness.session.awaitIdle
      const settled = harness.records().find((record) => record._tag === "QuestionSettled")
      assert.deepInclude(settled, { source: "user", decision: { _tag: "Approved", scope: "session", amendment } })
    })
  )

  it.effect("of a policy and of a rule, with their reason for the model", () =>
    Effect.gen(function* () {
      const ruled = (ruling: Ruling) => decided({ tools: { tool: tool({ approval: () => ruling }) } })
      assert.deepStrictEqual(yield* ruled({ permission: "allow", source: "rule" }), ["c0 allow by rule", "ran"])
      assert.deepStrictEqual(yield* ruled({ permission: "deny", source: "rule", reason: "it is slow" }), [
        "c0 deny by rule: it is slow",
        "denied: it is slow"
      ])
      assert.deepStrictEqual(yield* ruled({ permission: "deny", source: "policy" }), [
        "c0 deny by policy",
        "denied: the policy forbids tool"
      ])
    })
  )

  it.effect("of the policy that always denies, and none of one that always allows", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* decided({ tools: { tool: tool({ approval: "deny" }) } }), [
        "c0 deny by policy",
        "denied: the policy forbids tool"
      ])
      assert.deepStrictEqual(yield* decided({ tools: { tool: tool({ approval: () => "allow" }) } }), ["ran"])
    })
  )

  it.effect("of a hook", () =>
    Effect.gen(function* () {
      const hooks = { preToolUse: () => Effect.succeed({ deny: true, reason: "not now" }) }
      assert.deepStrictEqual(yield* decided({ tools: { tool: tool() }, hooks }), [
        "c0 deny by hook: not now",
        "denied: not now"
      ])
    })
  )

  it("J6 and a journal without sources and keys is read as before", () => {
    const lines = Records.numbered([
      Records.started,
      Records.turnStarted("t"),
      Records.asked("t", "q"),
      Records.settled("t", "q", "session")
    ])
    const read = lines.map((record) => RecordCodec.decodeLine(RecordCodec.encode(record))!)
    assert.deepStrictEqual(SessionState.fold(read).grants, [{ scope: "session", key: 'shell:{"command":"ls"}' }])
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import type * as Approvals from "@spindle/core/Approvals"
import { Fragments } from "@spindle/core/Fragments"
import * as Hooks from "@spindle/core/Hooks"
import type { TurnId } from "@spindle/core/Ids"
import * as Journal from "@spindle/core/Journal"
import * as MutationGate from "@spindle/core/MutationGate"
import * as Session from "@spindle/core/Session"
import { isTerminal, type SessionEvent } from "@spindle/core/SessionEvent"
import { SessionObserver } from "@spindle/core/SessionObserver"
import * as Op from "@spindle/core/Op"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Cause, Effect, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import * as RecordCodec from "../../src/journal/RecordCodec.ts"
import { warningsOf } from "../fixtures/turns.ts"

const { call, text } = ScriptedModel
const bug = new Error("a bug")
const throws = (): never => {
  throw bug
}

const resultOf = (h: SessionHarness.SessionHarness) =>
  Effect.map(h.session.snapshot, ({ items }) =>
    items.flatMap((item) => (item._tag === "ToolResult" ? [[item.status, item.output]] : []))
  )

describe("a function of a tool that throws", () => {
  const ran = { run: () => Effect.succeed("ran") }
  const approving: Approvals.Approvals = { decide: () => Effect.succeed({ _tag: "Approved", scope: "once" }) }
  const failing: { readonly [name: string]: SessionHarness.TestTool } = {
    "the approval function of the tool tool": { ...ran, policy: { approval: throws } },
    "the redirect function of the tool tool": { ...ran, policy: { redirect: throws } },
    "the payload function of the tool tool": { ...ran, policy: { approval: "ask", payload: throws } },
    "the keys function of the tool tool": { ...ran, policy: { approval: "ask", keys: throws } },
    "the needsApproval function of the tool tool": { ...ran, needsApproval: throws }
  }
  const dies = () => Effect.andThen(Effect.yieldNow, Effect.die(bug))

  it.effect.each([
    ...Object.entries(failing),
    ["the needsApproval function of the tool tool", { ...ran, needsApproval: dies }] as const,
    ["the check function of the tool tool", { ...ran, policy: { approval: "ask", check: dies } }] as const
  ])("%s fails the call by name, and nothing else", ([callback, tool]) =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({
        script: [[call("tool", {}, "a")], [text("done")], [text("again")]],
        tools: { tool },
        approvals: approving
      })
      assert.strictEqual((yield* h.run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(yield* resultOf(h), [["failed", `${callback} failed: a bug`]])
      assert.deepStrictEqual(warningsOf(h.events), [`${callback} failed: a bug`])
      assert.strictEqual((yield* h.run("again"))._tag, "TurnCompleted")
    })
  )

  it.effect("display leaves the call undescribed, and is reported once a turn", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({
        script: [
          [call("tool", {}, "a"), call("tool", {}, "b")],
          [text("done")],
          [call("tool", {}, "c")],
          [text("again")]
        ],
        tools: { tool: { ...ran, policy: { display: throws } } }
      })
      const warning = "the display function of the tool tool failed: a bug"
      yield* h.run("go")
      assert.deepStrictEqual(yield* resultOf(h), [
        ["completed", "ran"],
        ["completed", "ran"]
      ])
      assert.deepStrictEqual(warningsOf(h.events), [warning])
      yield* h.run("again")
      assert.deepStrictEqual(warningsOf(h.events), [warning, warning])
    })
  )
})

/** Returns the records that a journal could not read back. */
const unreadable = (h: SessionHarness.SessionHarness) =>
  h.records().filter((record) => RecordCodec.decodeLine(RecordCodec.encode(record)) === undefined)

describe("a function of a program without types that returns anything", () => {
  const approvals: Approvals.Approvals = { decide: () => Effect.succeed({ _tag: "Approved", scope: "once" }) }
  const run = (policy: object) => ({ tool: { run: () => Effect.succeed("ran"), policy } })
  const script: ScriptedModel.Script = ({ items }) =>
    items.at(-1)?._tag === "ToolResult" ? [text("done")] : [call("tool", {}, `c${items.length}`)]
  const none = Effect.succeed(undefined as never)
  const contexts = Effect.succeed({ block: false, contexts: [7] } as never)

  it.effect.each<readonly [string, SessionHarness.HarnessOptions, string]>([
    [
      "prompt hook",
      { hooks: { userPromptSubmit: () => none } },
      "the hook userPromptSubmit failed: it returned undefined"
    ],
    ["prompt hook", { hooks: { userPromptSubmit: () => contexts } }, "the hook userPromptSubmit failed: it returned {"],
    ["start hook", { hooks: { sessionStart: () => none } }, "the hook sessionStart failed: it returned undefined"],
    ["stop hook", { hooks: { stop: () => undefined as never } }, "the hook stop failed: it returned undefined"],
    [
      "display",
      { tools: run({ display: () => ({ _tag: "Command" }) }) },
      "the display function of the tool tool failed"
    ],
    [
      "keys",
      { tools: run({ approval: "ask", keys: () => 7 }), approvals },
      "the keys function of the tool tool failed"
    ],
    [
      "approval",
      { tools: run({ approval: () => ({ permission: "deny", source: 7 }) }) },
      "the approval function of the tool tool failed"
    ]
  ])("P5 J1 as a %s fails what it was asked, and no turn and no record", ([, options, warning]) =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({ script, tools: run({}), ...options })
      for (const input of ["one", "two"]) assert.strictEqual((yield* h.run(input))._tag, "TurnCompleted")
      assert.isTrue(warningsOf(h.events)[0]?.startsWith(warning), warningsOf(h.events)[0])
      assert.deepStrictEqual(unreadable(h), [])
      assert.deepStrictEqual((yield* h.session.snapshot).waiting, [])
    })
  )
})

describe("a hook that dies with a value that no text can describe", () => {
  it.effect("P5 blocks its input, and no later one", () =>
    Effect.gen(function* () {
      let calls = 0
      const userPromptSubmit = () =>
        Effect.suspend(() =>
          calls++ === 0 ? Effect.die(Object.create(null)) : Effect.succeed({ block: false, contexts: [] })
        )
      const h = yield* SessionHarness.make({ script: [[text("done")]], hooks: { userPromptSubmit } })
      yield* h.run("one")
      assert.deepStrictEqual(warningsOf(h.events), ["the hook userPromptSubmit failed: {}"])
      const last = yield* h.run("two")
      assert.strictEqual(last._tag === "TurnCompleted" && last.lastMessage, "done")
    })
  )
})

describe("a decider", () => {
  it.effect.each([
    ["throws", throws, "a bug"],
    ["interrupts itself", () => Effect.interrupt, "it was interrupted"],
    ["dies while it is interrupted", () => Effect.failCause(Cause.combine(Cause.interrupt(), Cause.die(bug))), "a bug"]
  ] as const)("A1 that %s fails the turn that asked by name, and no later one", ([, decide, reason]) =>
    Effect.gen(function* () {
      let decisions = 0
      const h = yield* SessionHarness.make({
        script: [[call("tool", {}, "a")], [call("tool", {}, "b")], [text("done")]],
        tools: { tool: { run: () => Effect.succeed("ran"), policy: { approval: "ask" } } },
        approvals: {
          decide: () => (decisions++ === 0 ? decide() : Effect.succeed({ _tag: "Approved", scope: "once" }))
        }
      })
      const first = yield* h.run("go")
      assert.deepStrictEqual(first._tag === "TurnFailed" && first.error, {
        tag: "CallbackFailed",
        message: `Approvals.decide failed: ${reason}`
      })
      assert.strictEqual((yield* h.run("again"))._tag, "TurnCompleted")
      assert.deepStrictEqual((yield* resultOf(h)).at(-1), ["completed", "ran"])
    })
  )
})

describe("code of the application that interrupts itself", () => {
  it.effect.each([
    "sessionStart",
    "userPromptSubmit",
    "preToolUse",
    "permissionRequest",
    "postToolUse",
    "stop"
  ] as const)("P5 as the hook %s affects only what it was asked, and stops no turn", (hook) =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({
        script: [[call("tool", {}, "a")], [text("done")], [text("done")]],
        tools: { tool: { run: () => Effect.succeed("ran"), policy: { approval: "ask" } } },
        approvals: { decide: () => Effect.succeed({ _tag: "Approved", scope: "once" }) },
        hooks: { [hook]: () => Effect.interrupt }
      })
      assert.strictEqual((yield* h.run("go"))._tag, "TurnCompleted")
      assert.strictEqual(warningsOf(h.events)[0], `the hook ${hook} failed: it was interrupted`)
      assert.deepStrictEqual((yield* h.session.snapshot).waiting, [])
    })
  )

  it.effect.each([
    ["needsApproval", { needsApproval: () => Effect.interrupt }],
    ["check", { policy: { approval: "ask", check: () => Effect.interrupt } }]
  ] as const)("as the %s function of a tool fails the call by name, and nothing else", ([name, tool]) =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({
        script: [[call("tool", {}, "a")], [text("done")]],
        tools: { tool: { run: () => Effect.succeed("ran"), ...tool } }
      })
      assert.strictEqual((yield* h.run("go"))._tag, "TurnCompleted")
      const failure = `the ${name} function of the tool tool failed: it was interrupted`
      assert.deepStrictEqual(yield* resultOf(h), [["failed", failure]])
      assert.deepStrictEqual(warningsOf(h.events), [failure])
    })
  )

  it.effect("as a gate or as fragments is reported, and stops no turn", () =>
    Effect.gen(function* () {
      const gate: MutationGate.MutationGate = { forTurn: () => gate, pass: Effect.interrupt }
      const h = yield* SessionHarness.make({
        script: [[call("tool", {}, "a")], [text("done")]],
        tools: { tool: { run: () => Effect.succeed("ran"), policy: { approval: "allow" } } }
      }).pipe(
        Effect.provideService(MutationGate.MutationGate, gate),
        Effect.provideService(Fragments, () => Effect.interrupt)
      )
      assert.strictEqual((yield* h.run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(warningsOf(h.events), [
        "the instructions of this turn could not be made: it was interrupted",
        "the gate of mutating calls failed: it was interrupted"
      ])
      assert.deepStrictEqual(yield* resultOf(h), [["completed", "ran"]])
    })
  )

  it.effect("P5 as a hook that fails open does not exist", () =>
    Effect.gen(function* () {
      const hooks = Hooks.failOpen({ ...Hooks.none, userPromptSubmit: () => Effect.interrupt })
      assert.strictEqual((yield* hooks.userPromptSubmit("turn" as TurnId, "hello")).block, false)
    })
  )
})

describe("an observer that throws at every event", () => {
  it.effect("gets each event of each turn, and is reported once", () =>
    Effect.gen(function* () {
      const seen: Array<SessionEvent> = []
      const onEvent: SessionObserver["onEvent"] = (_, event) => {
        seen.push(event)
        throw bug
      }
      const h = yield* Effect.provideService(
        SessionHarness.make({ script: [[text("one")], [text("two")]] }),
        SessionObserver,
        { onEvent }
      )
      yield* h.run("go")
      yield* h.run("again")
      assert.deepStrictEqual(seen, h.events)
      assert.deepStrictEqual(warningsOf(h.events), ["an observer of the session threw: a bug"])
    })
  )
})

describe("a handler that is missing", () => {
  it.effect("fails the turn with the names of the tool and the agent, and no later turn", () =>
    Effect.gen(function* () {
      const toolkit = Toolkit.make(Tool.make("lookup", { success: Schema.String }))
      const agent = Agent.make({ name: "librarian", toolkit, approvals: { lookup: { approval: "allow" } } })
      const model = ScriptedModel.make([[call("lookup", {}, "a")], [text("done")]])
      const terminals: Array<SessionEvent> = []
      const onEvent = (event: SessionEvent) => void (isTerminal(event) && terminals.push(event))
      // as an untyped program does, or one whose names are known only at run time
      const session = yield* Session.make(agent as Agent.Agent, { onEvent }).pipe(
        Effect.provide(Layer.merge(model.layer, Journal.layerMemory()))
      )
      for (const input of ["go", "again"]) {
        yield* session.submit(Op.userInput(input))
        yield* session.awaitIdle
      }
      const [first, second] = terminals
      assert.deepStrictEqual(first?._tag === "TurnFailed" && first.error, {
        tag: "ToolHandlerMissing",
        message: "the tool lookup of the agent librarian has no handler: provide the layer of its toolkit"
      })
      assert.strictEqual(second?._tag, "TurnCompleted")
    })
  )
})

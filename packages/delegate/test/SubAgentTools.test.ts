import { assert, describe, it } from "@effect/vitest"
import * as Op from "@spindle/core/Op"
import { JournalFailed } from "@spindle/core/SessionError"
import { isTerminal } from "@spindle/core/SessionEvent"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import * as Family from "./fixtures/family.ts"
import { type Call, idOf, play } from "./fixtures/playing.ts"

describe("the tools", () => {
  it.effect("D6 spawn, wait, close: arguments and results as models know them", () =>
    Effect.gen(function* () {
      const { outputs, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "one" })],
          ["wait_agent", (results) => ({ targets: [idOf(results)], timeout_ms: 10_000 })],
          ["send_input", (results) => ({ target: idOf(results), message: "two" })],
          ["wait_agent", (results) => ({ targets: [idOf(results)] })],
          ["list_agents", () => ({})],
          ["close_agent", (results) => ({ target: idOf(results) })],
          ["list_agents", () => ({})]
        ]
      })
      yield* run("root")
      const [spawned, first, sent, second, listed, closed, after] = outputs()
      const id = spawned.agent_id
      assert.deepStrictEqual(spawned, { agent_id: id, nickname: "Ada" })
      assert.deepStrictEqual(first, { status: { [id]: { completed: "echo one" } }, timed_out: false })
      assert.deepStrictEqual(Object.keys(sent), ["submission_id"])
      assert.deepStrictEqual(second, { status: { [id]: { completed: "echo two" } }, timed_out: false })
      const agent = { agent_id: id, agent_name: "Ada", agent_type: "default", depth: 1 }
      assert.deepStrictEqual(listed, { agents: [{ ...agent, agent_status: { completed: "echo two" } }] })
      assert.deepStrictEqual(closed, { previous_status: { completed: "echo two" } })
      assert.deepStrictEqual(after, { agents: [{ ...agent, agent_status: { completed: "echo two" } }] })
    })
  )

  it.effect("D1 an agent ends with the turn that started it; resume_agent reopens it with its history", () =>
    Effect.gen(function* () {
      let id = ""
      const { model, outputs, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "remember 7" })],
          ["wait_agent", (results) => ({ targets: [(id = idOf(results))] })],
          ["stop", () => ({})],
          ["send_input", () => ({ target: id, message: "again?" })],
          ["resume_agent", () => ({ id })],
          ["send_input", () => ({ target: id, message: "and now?" })],
          ["wait_agent", () => ({ targets: [id] })]
        ]
      })
      yield* run("root")
      yield* run("root 3")
      const [, , refused, resumed, , waited] = outputs()
      assert.include(refused, "has ended")
      assert.deepStrictEqual(resumed, { status: "pending_init" })
      assert.deepStrictEqual(waited, { status: { [id]: { completed: "echo and now?" } }, timed_out: false })
      assert.include(
        JSON.stringify(model.requests.find((request) => Family.asked(request) === "and now?")!.items),
        "remember 7"
      )
    })
  )

  it.effect("D1 resume_agent reopens an agent of an earlier process in its role, and none of another session", () =>
    Effect.gen(function* () {
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* play({
            calls: [
              ["spawn_agent", () => ({ message: "remember 7", agent_type: "boss" })],
              ["wait_agent", (results) => ({ targets: [idOf(results)] })]
            ]
          })
          yield* first.run("root")
          return { journal: first.journal, sessionId: first.session.sessionId, id: first.outputs()[0].agent_id }
        })
      )
      const again = yield* play({
        calls: [
          ["resume_agent", () => ({ id: before.id })],
          ["list_agents", () => ({})]
        ],
        resume: before
      })
      yield* again.run("root")
      assert.deepStrictEqual(again.outputs()[0], { status: "pending_init" })
      assert.deepInclude(again.outputs()[1].agents[0], { agent_name: "Ada", agent_type: "boss" })
      const other = yield* play({ calls: [["resume_agent", () => ({ id: before.sessionId })]] })
      yield* other.run("root")
      assert.include(other.outputs()[0], "there is no delegate")
    })
  )

  it.effect("D1 agents of an earlier process are listed with how they ended, and can be resumed", () =>
    Effect.gen(function* () {
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* play({
            calls: [
              ["spawn_agent", () => ({ message: "one", agent_type: "boss" })],
              ["wait_agent", (results) => ({ targets: [idOf(results)] })],
              ["spawn_agent", () => ({ message: "hang", detached: true })]
            ],
            child: (text) => (text === "hang" ? [ScriptedModel.hang] : [ScriptedModel.text("first answer")])
          })
          yield* first.run("root")
          return { journal: first.journal, sessionId: first.session.sessionId, ids: first.outputs() }
        })
      )
      const again = yield* play({
        calls: [
          ["list_agents", () => ({})],
          ["wait_agent", () => ({ targets: [before.ids[0].agent_id] })],
          ["send_input", () => ({ target: before.ids[0].agent_id, message: "more" })],
          ["close_agent", () => ({ target: before.ids[0].agent_id })],
          ["resume_agent", () => ({ id: before.ids[0].agent_id })],
          ["list_agents", () => ({})]
        ],
        resume: before
      })
      yield* again.run("root")
      const [listed, waited, sent, closed, , after] = again.outputs()
      const [ada, alan] = [before.ids[0].agent_id, before.ids[2].agent_id]
      assert.deepStrictEqual(
        listed.agents.map((one: any) => [one.agent_id, one.agent_name, one.agent_type, one.agent_status, one.depth]),
        [
          [ada, "Ada", "boss", { completed: "first answer" }, 1],
          [alan, "Alan", "default", { errored: "was stopped with its session" }, 1]
        ]
      )
      assert.deepStrictEqual(waited, { status: { [ada]: { completed: "first answer" } }, timed_out: false })
      assert.match(String(sent), /^delegate .* has ended and takes no more input$/)
      assert.deepStrictEqual(closed, { previous_status: { completed: "first answer" } })
      assert.deepStrictEqual(
        after.agents.map((one: any) => [one.agent_id, one.agent_status]),
        [
          [ada, "pending_init"],
          [alan, { errored: "was stopped with its session" }]
        ]
      )
    })
  )

  it.effect("D1 an agent of an earlier process whose journal cannot be read is not an unknown agent", () =>
    Effect.gen(function* () {
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* play({ calls: [["spawn_agent", () => ({ message: "one" })]] })
          yield* first.run("root")
          return { journal: first.journal, sessionId: first.session.sessionId, id: first.outputs()[0].agent_id }
        })
      )
      const { id, journal, sessionId } = before
      const load: typeof journal.load = (of) =>
        of === id ? Effect.fail(new JournalFailed({ sessionId: of, operation: "read" })) : journal.load(of)
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => void logged.push(String(message)))
      const again = yield* play({
        calls: [
          ["wait_agent", () => ({ targets: [id] })],
          ["close_agent", () => ({ target: id })],
          ["send_input", () => ({ target: id, message: "more" })],
          ["list_agents", () => ({})]
        ],
        resume: { journal: { ...journal, load }, sessionId }
      }).pipe(Effect.provide(Logger.layer([logger])))
      yield* again.run("root")
      const [waited, closed, sent, listed] = again.outputs()
      const { message } = new JournalFailed({ sessionId: id, operation: "read" })
      assert.deepStrictEqual([waited, closed, sent], [message, message, message])
      assert.deepStrictEqual(listed, { agents: [] })
      assert.deepStrictEqual(logged, [`agent ${id} is not listed: ${message}`])
    })
  )

  it.effect("list_agents names agents of agents, in their roles", () =>
    Effect.gen(function* () {
      let isAsked = false
      const { outputs, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "lead", agent_type: "boss" })],
          ["wait_agent", (results) => ({ targets: [idOf(results)] })],
          ["list_agents", () => ({})]
        ],
        child: (text) => {
          if (text === "below") return [ScriptedModel.hang]
          if (isAsked) return [ScriptedModel.text("done")]
          isAsked = true
          return [ScriptedModel.call("spawn_agent", { message: "below", agent_type: "boss", detached: true }, "lead")]
        }
      })
      yield* run("root")
      assert.deepStrictEqual(
        outputs()[2].agents.map((one: any) => [one.agent_name, one.agent_type, one.agent_status, one.depth]),
        [
          ["Ada", "boss", { completed: "done" }, 1],
          ["Alan", "boss", "running", 2]
        ]
      )
    })
  )

  it.effect("S5 D6 an agent that dies has errored: its parent continues, and its slot is free", () =>
    Effect.gen(function* () {
      const { events, outputs, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "die" })],
          ["wait_agent", (results) => ({ targets: [idOf(results)] })],
          ["spawn_agent", () => ({ message: "after" })],
          ["wait_agent", (results) => ({ targets: [idOf(results, 2)] })]
        ],
        child: (text) => {
          if (text === "die") throw new Error("a bug")
          return [ScriptedModel.text("fine")]
        },
        limits: { concurrent: 1 }
      })
      yield* run("root")
      const [died, waited, after, fine] = outputs()
      assert.deepStrictEqual(waited.status[died.agent_id], { errored: "a bug" })
      assert.deepStrictEqual(fine.status[after.agent_id], { completed: "fine" })
      assert.strictEqual(events.findLast(isTerminal)?._tag, "TurnCompleted")
    })
  )

  it.effect("D6 a wait during which no agent settles returns nothing at its timeout", () =>
    Effect.gen(function* () {
      const { outputs, session, untilCalls } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "hang" })],
          ["wait_agent", (results) => ({ targets: [idOf(results)], timeout_ms: 1 })]
        ],
        child: () => [ScriptedModel.hang]
      })
      yield* session.submit(Op.userInput("root"))
      yield* untilCalls(2)
      yield* TestClock.adjust("9999 millis")
      assert.lengthOf(outputs(), 1)
      yield* TestClock.adjust("1 millis")
      yield* session.awaitIdle
      assert.deepStrictEqual(outputs()[1], { status: {}, timed_out: true })
    })
  )

  it.effect("I6 the abort of the parent answers its open wait call, and ends its agents", () =>
    Effect.gen(function* () {
      const { events, model, results, session, untilCalls } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "hang" })],
          ["wait_agent", (all) => ({ targets: [idOf(all)] })]
        ],
        child: () => [ScriptedModel.text("half"), ScriptedModel.hang]
      })
      yield* session.submit(Op.userInput("root"))
      yield* untilCalls(2)
      yield* session.abort()
      yield* session.awaitIdle
      assert.strictEqual(results()[1]?.status, "aborted")
      assert.strictEqual(model.openCount(), 0)
      assert.strictEqual(events.findLast(isTerminal)?._tag, "TurnAborted")
    })
  )

  it.effect("D7 a detached agent outlives the turn, is named by its notice, and wakes its parent if asked to", () =>
    Effect.gen(function* () {
      const { model, run, session, untilTurns } = yield* play({
        calls: [["spawn_agent", () => ({ message: "watch", detached: true, wake: true })]],
        child: (text) =>
          text === "watch"
            ? [ScriptedModel.gate("dawn"), ScriptedModel.text("all quiet")]
            : [ScriptedModel.text("heard")]
      })
      yield* run("root")
      yield* model.open("dawn")
      yield* untilTurns(2)
      yield* session.awaitIdle
      const request = JSON.stringify(model.requests.at(-1)!.items)
      assert.include(request, "<subagent_notification>")
      assert.include(request, "all quiet")
    })
  )

  it.effect("D6 an agent has a nickname that the agents that it starts do not get", () =>
    Effect.gen(function* () {
      let isAsked = false
      const { outputs, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "lead", agent_type: "boss" })],
          ["wait_agent", (results) => ({ targets: [idOf(results)] })],
          ["spawn_agent", () => ({ message: "x".repeat(2_000_000) })],
          ["spawn_agent", () => ({ message: "after" })]
        ],
        child: (text) => {
          if (text !== "lead" || isAsked) return [ScriptedModel.text("done")]
          isAsked = true
          return [ScriptedModel.call("spawn_agent", { message: "below" }, "lead")]
        }
      })
      yield* run("root")
      const nicknames = outputs().map(({ nickname }) => nickname)
      assert.deepStrictEqual(nicknames, ["Ada", undefined, undefined, "Barbara"])
    })
  )

  it.effect("D6 an agent at the last level of the limits has no tools for agents, even if it is resumed", () =>
    Effect.gen(function* () {
      const toolsOf = Effect.fnUntraced(function* (depth: number) {
        const { model, run } = yield* play({
          calls: [
            ["spawn_agent", () => ({ message: "child", agent_type: "boss" })],
            ["wait_agent", (results) => ({ targets: [idOf(results)] })],
            ["close_agent", (results) => ({ target: idOf(results) })],
            ["resume_agent", (results) => ({ id: idOf(results) })],
            ["send_input", (results) => ({ target: idOf(results), message: "child" })],
            ["wait_agent", (results) => ({ targets: [idOf(results)] })]
          ],
          limits: { depth }
        })
        yield* run("root")
        return model.requests.filter((request) => Family.asked(request) === "child").map(({ tools }) => tools.length)
      })
      assert.deepStrictEqual(yield* toolsOf(2), [6, 6])
      assert.deepStrictEqual(yield* toolsOf(1), [0, 0])
    })
  )

  it.effect("D6 roles, nicknames, forks", () =>
    Effect.gen(function* () {
      const { model, outputs, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ items: [{ type: "text", text: "from items" }], agent_type: "boss" })],
          ["spawn_agent", () => ({ message: "forked", fork_context: true })],
          ["wait_agent", (results) => ({ targets: [idOf(results, 1)] })]
        ]
      })
      yield* run("root")
      assert.deepStrictEqual(
        outputs()
          .slice(0, 2)
          .map(({ nickname }) => nickname),
        ["Ada", "Alan"]
      )
      const forked = model.requests.find((request) => Family.asked(request) === "forked")!
      assert.include(JSON.stringify(forked.items), "You are the new delegate")
      const led = model.requests.find((request) => Family.asked(request) === "from items")!
      assert.include(
        led.tools.map(({ name }) => name),
        "spawn_agent"
      )
    })
  )
})

describe("bad input", () => {
  const refusals: { readonly [what: string]: readonly [Call, RegExp] } = {
    "no message": [["spawn_agent", () => ({})], /give a message/],
    "a message and items": [
      ["spawn_agent", () => ({ message: "x", items: [{ type: "text", text: "y" }] })],
      /give a message or items, not both/
    ],
    "a message that is too long": [["spawn_agent", () => ({ message: "x".repeat(2_000_000) })], /InputTooLarge/],
    "an unknown role": [
      ["spawn_agent", () => ({ message: "x", agent_type: "wizard" })],
      /there is no agent type wizard; there are: default, boss/
    ],
    "an unknown agent": [
      ["send_input", () => ({ target: "nobody", message: "x" })],
      /there is no delegate nobody below/
    ],
    "an unknown agent to close": [["close_agent", () => ({ target: "nobody" })], /there is no delegate nobody below/],
    "an unknown agent to resume": [["resume_agent", () => ({ id: "nobody" })], /there is no delegate nobody below/],
    "nobody to wait for": [["wait_agent", () => ({ targets: [] })], /name at least one agent/],
    "no time to wait": [
      ["wait_agent", () => ({ targets: ["x"], timeout_ms: 0 })],
      /timeout_ms must be greater than zero/
    ]
  }
  for (const [what, [call, text]] of Object.entries(refusals)) {
    it.effect(`${what} is refused with a text`, () =>
      Effect.gen(function* () {
        const { results, run } = yield* play({ calls: [call] })
        yield* run("root")
        assert.match(String(results()[0]?.output), text)
      })
    )
  }

  it.effect("input to an agent that was closed is refused with a text", () =>
    Effect.gen(function* () {
      const { outputs, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "x" })],
          ["close_agent", (results) => ({ target: idOf(results) })],
          ["send_input", (results) => ({ target: idOf(results), message: "late" })]
        ]
      })
      yield* run("root")
      assert.match(String(outputs()[2]), /^delegate .* has ended and takes no more input$/)
    })
  )

  it.effect("the agent gets mentions, and the names of files", () =>
    Effect.gen(function* () {
      const items = [
        { type: "text", text: "look at" },
        { type: "local_image", path: "shot.png" },
        { type: "mention", name: "notes", path: "app://notes" }
      ]
      const { model, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ items })],
          ["wait_agent", (results) => ({ targets: [idOf(results)] })]
        ]
      })
      yield* run("root")
      assert.include(model.requests.map(Family.asked), "look at\n\nlocal_image shot.png\n\n[$notes](app://notes)")
    })
  )

  it.effect("a wait for an unknown agent reports that it was not found", () =>
    Effect.gen(function* () {
      const { outputs, run } = yield* play({ calls: [["wait_agent", () => ({ targets: ["nobody"] })]] })
      yield* run("root")
      assert.deepStrictEqual(outputs()[0], { status: { nobody: "not_found" }, timed_out: false })
    })
  )

  it.effect("an agent cannot wait for itself or for an agent above it", () =>
    Effect.gen(function* () {
      let own = ""
      const { outputs, run, session } = yield* play({ calls: [["wait_agent", () => ({ targets: [own] })]] })
      own = session.sessionId
      yield* run("root")
      assert.include(outputs()[0], "would never end")
    })
  )

  it.effect("D6 the text about a limit names the limit", () =>
    Effect.gen(function* () {
      const { outputs, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "a" })],
          ["spawn_agent", () => ({ message: "b" })],
          ["spawn_agent", () => ({ message: "c" })]
        ],
        child: () => [ScriptedModel.hang],
        limits: { concurrent: 2 }
      })
      yield* run("root")
      assert.match(String(outputs()[2]), /allows 2 delegates at a time/)
    })
  )

  it.effect("D6 a session cannot control the agents of another one", () =>
    Effect.gen(function* () {
      const first = yield* play({
        calls: [["spawn_agent", () => ({ message: "hang" })]],
        child: () => [ScriptedModel.hang]
      })
      yield* first.run("root")
      const id = first.outputs()[0].agent_id
      const second = yield* play({ calls: [["close_agent", () => ({ target: id })]] })
      yield* second.run("root")
      assert.match(String(second.outputs()[0]), /there is no delegate/)
    })
  )
})

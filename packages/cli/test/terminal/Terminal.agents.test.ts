import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { Approvals } from "@spindle/core/Approvals"
import * as Journal from "@spindle/core/Journal"
import { SessionObserver } from "@spindle/core/SessionObserver"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import * as SubAgentTools from "@spindle/delegate/SubAgentTools"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as TestClock from "effect/testing/TestClock"
import * as Terminal from "../../src/terminal/Terminal.ts"
import * as Events from "../../../app/test/fixtures/events.ts"
import { Keyboard } from "../fixtures/keyboard.ts"

const reach = Tool.make("reach", { parameters: Schema.Struct({ to: Schema.String }), success: Schema.String })
const toolkit = Toolkit.merge(Toolkit.make(reach), SubAgentTools.toolkit)
const agent = Agent.make({
  toolkit,
  approvals: { ...SubAgentTools.policies, reach: { approval: "ask", concurrency: "parallel", kind: "permissions" } }
})

/** Delegates twice, and calls `reach` at the second level. */
const script: ScriptedModel.Script = ({ items }) => {
  const input = items.findLastIndex((item) => item._tag === "UserMessage" && item.fragment === undefined)
  const text = JSON.stringify(items[input])
  const results = items.slice(input).flatMap((item) => (item._tag === "ToolResult" ? [item.output as any] : []))
  const below = text.includes("grandchild") ? undefined : text.includes("child") ? "grandchild" : "child"
  const last = results.at(-1)
  if (below === undefined) {
    return last === undefined
      ? [ScriptedModel.call("reach", { to: "the moon" }, "reach")]
      : [ScriptedModel.text(String(last))]
  }
  if (last === undefined) return [ScriptedModel.call("spawn_agent", { message: below }, `spawn ${below}`)]
  if (last.agent_id !== undefined) {
    return [ScriptedModel.call("wait_agent", { targets: [last.agent_id] }, `wait ${below}`)]
  }
  return [ScriptedModel.text(`${below} said ${JSON.stringify(last.status)}`)]
}

/** A session that a person watches at a terminal. */
const watched = Effect.gen(function* () {
  const keyboard = new Keyboard(true)
  const written: Array<string> = []
  const asked = yield* Deferred.make<void>()
  const resume = keyboard.resume.bind(keyboard)
  // a question takes the keyboard
  keyboard.resume = () => {
    Deferred.doneUnsafe(asked, Effect.void)
    return resume()
  }
  const terminal = yield* Terminal.make({
    sessionId: Events.sessionId,
    cwd: "/w",
    output: { isTTY: true, columns: 120, write: (text) => written.push(text) },
    keyboard,
    color: "never",
    env: {},
    onCtrlC: () => undefined
  })
  const model = ScriptedModel.make(script)
  const services = Layer.merge(model.layer, Journal.layerMemory())
  const tools = Layer.merge(
    SubAgentTools.layer({ roles: { default: { description: "Any task.", agent } }, deadline: "1 hour" }),
    Toolkit.make(reach).toLayer({ reach: ({ to }) => Effect.succeed(`reached ${to}`) })
  )
  const context = yield* Layer.build(tools.pipe(Layer.provideMerge(services)) as Layer.Layer<any>)
  const session = yield* Session.make(agent, {
    sessionId: Events.sessionId,
    onEvent: (event) => Effect.runSync(terminal.show(event))
  }).pipe(
    Effect.provideService(Approvals, terminal.approvals!),
    Effect.provideService(SessionObserver, { onEvent: terminal.showAgent }),
    Effect.provideContext(context)
  )
  return { session: session as Session.Session, keyboard, asked, text: () => written.join("") }
})

describe("agents at a terminal", () => {
  it.effect("A3 a person answers what a grandchild asks, and sees who works for whom", () =>
    Effect.gen(function* () {
      const { asked, keyboard, session, text } = yield* watched
      yield* session.submit(Op.userInput("begin"))
      yield* Deferred.await(asked)
      yield* TestClock.adjust("100 millis")
      assert.include(text(), "↳ Ada starts\n")
      assert.include(text(), "\n  ↳ Alan starts\n")
      assert.include(text(), "? Allow this? (asked by Ada › Alan)\n")
      assert.include(text(), "the moon")
      keyboard.press("y")
      yield* session.awaitIdle
      assert.match(text(), /\n {2}✓ Alan is done after .*: reached the moon\n/)
      assert.match(text(), /\n✓ Ada is done after .*: grandchild said /)
      const { items } = yield* session.snapshot
      assert.include(JSON.stringify(items.at(-1)), "child said")
    })
  )

  it.effect("A5 q stops the whole tree", () =>
    Effect.gen(function* () {
      const { asked, keyboard, session, text } = yield* watched
      yield* session.submit(Op.userInput("begin"))
      yield* Deferred.await(asked)
      yield* TestClock.adjust("100 millis")
      keyboard.press("q")
      yield* session.awaitIdle
      assert.match(text(), /\n {2}■ Alan stopped after .*, because Ada was\n/)
      assert.match(text(), /\n■ Ada stopped after .*, because spindle was\n/)
    })
  )
})

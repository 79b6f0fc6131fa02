import { assert, describe, it } from "@effect/vitest"
import { SessionId } from "@spindle/core/Ids"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Transcript from "../../src/output/TranscriptText.ts"
import * as Events from "../fixtures/events.ts"

const ada = Events.record({
  _tag: "DelegateStarted",
  turnId: Events.turnId,
  delegateId: SessionId.make("1234"),
  name: "Ada",
  linked: true,
  depth: 1
})

const show = (...events: ReadonlyArray<SessionEvent>) => {
  let state = Transcript.begin({ sessionId: Events.sessionId, color: false, columns: 60, wraps: false })
  let text = ""
  for (const event of events) {
    const [next, more] = Transcript.step(state, event)
    state = next
    text += more
  }
  return text
}

const said = (name: string, params: unknown, output: unknown) =>
  show(ada, Events.call(name, params), Events.result(name, "completed", output))

describe("calls that start and steer agents", () => {
  it("say what is to be done, in one line, and who does it", () => {
    const started = { agent_id: "1234", nickname: "Ada" }
    assert.strictEqual(
      said("spawn_agent", { message: "look\n for tests" }, started),
      "• spawn_agent: look for tests\n  as Ada\n  ✓ done · 1.5 s\n"
    )
    assert.strictEqual(
      said(
        "spawn_agent",
        { items: [{ type: "text", text: "x".repeat(80) }], agent_type: "scout", model: "small" },
        started
      ),
      `• spawn_agent (scout, small): ${"x".repeat(29)}…\n  as Ada\n  ✓ done · 1.5 s\n`
    )
  })

  it("name agents instead of their ids", () => {
    assert.strictEqual(
      said("wait_agent", { targets: ["1234", "5678"] }, { status: { 1234: { completed: "x" } }, timed_out: false }),
      "• wait_agent for Ada, 5678\n  ✓ done · 1.5 s\n"
    )
    assert.strictEqual(
      said("wait_agent", { targets: ["1234"] }, { status: {}, timed_out: true }),
      "• wait_agent for Ada\n  none of them is done yet\n  ✓ done · 1.5 s\n"
    )
    assert.strictEqual(
      said("send_input", { target: "1234", message: "more" }, { submission_id: "s" }),
      "• send_input to Ada: more\n  ✓ done · 1.5 s\n"
    )
    assert.strictEqual(
      said("close_agent", { target: "1234" }, { previous_status: "running" }),
      "• close_agent Ada\n  ✓ done · 1.5 s\n"
    )
    const agents = [
      { agent_name: "Ada", agent_status: { completed: "long" } },
      { agent_name: "Alan", agent_status: "running" }
    ]
    assert.strictEqual(
      said("list_agents", {}, { agents }),
      "• list_agents\n  Ada completed\n  Alan running\n  ✓ done · 1.5 s\n"
    )
  })

  it("show why one failed, and nothing that a model could draw with", () => {
    assert.strictEqual(
      show(
        ada,
        Events.call("spawn_agent", { message: "a\x1b[31mb" }),
        Events.result("spawn_agent", "failed", "there is no agent type wizard")
      ),
      "• spawn_agent: a␛[31mb\n  there is no agent type wizard\n  ✗ failed · 1.5 s\n"
    )
    assert.strictEqual(said("wait_agent", { targets: "?" }, null), "• wait_agent for \n  ✓ done · 1.5 s\n")
  })
})

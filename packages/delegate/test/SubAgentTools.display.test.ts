import { assert, describe, it } from "@effect/vitest"
import { SessionId } from "@spindle/core/Ids"
import * as Status from "../src/Status.ts"
import { policies } from "../src/SubAgentTools.ts"

const agentId = SessionId.make("child")

describe("the display of agent calls", () => {
  it("says what the call does, to which agents, and what a new agent is asked for", () => {
    const items = [
      { type: "text" as const, text: "look" },
      { type: "image" as const, image_url: "https://x" }
    ]
    assert.deepStrictEqual(
      policies.spawn_agent.display!({ items, agent_type: "scout", model: "small", reasoning_effort: "low" }, {}),
      {
        _tag: "Agent",
        operation: "spawn",
        targets: [],
        prompt: "look image",
        role: "scout",
        model: "small",
        effort: "low"
      }
    )
    assert.deepStrictEqual(policies.send_input.display!({ target: agentId, message: "more" }, {}), {
      _tag: "Agent",
      operation: "send",
      targets: [agentId],
      prompt: "more"
    })
    assert.deepStrictEqual(policies.wait_agent.display!({ targets: [agentId] }, {}), {
      _tag: "Agent",
      operation: "wait",
      targets: [agentId]
    })
  })
})

describe("toState", () => {
  it("keeps the message of an agent that has ended, and why it was stopped", () => {
    const stopped = { _tag: "Interrupted", reason: "Deadline", message: "half" } as const
    assert.deepStrictEqual(Status.toState(agentId, Status.pendingInit), { agentId, status: "pendingInit" })
    assert.deepStrictEqual(Status.toState(agentId, { _tag: "Completed", message: "fine" }), {
      agentId,
      status: "completed",
      message: "fine"
    })
    assert.deepInclude(Status.toState(agentId, stopped), { status: "errored" })
    assert.include(Status.toState(agentId, stopped).message, "half")
    assert.deepStrictEqual(Status.toState(agentId, { ...stopped, reason: "Interrupted" }), {
      agentId,
      status: "interrupted"
    })
  })
})

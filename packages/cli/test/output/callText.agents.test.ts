import { assert, describe, it } from "@effect/vitest"
import type { AgentState, CallDisplay } from "@spindle/core/Display"
import { SessionId } from "@spindle/core/Ids"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Transcript from "../../src/output/TranscriptText.ts"
import * as Events from "../../../app/test/fixtures/events.ts"

const adaId = SessionId.make("1234")
const ada = Events.record({
  _tag: "DelegateStarted",
  turnId: Events.turnId,
  delegateId: adaId,
  name: "Ada",
  linked: true,
  depth: 1
})

const show = (...events: ReadonlyArray<SessionEvent>) => {
  let state = Transcript.initial({
    sessionId: Events.sessionId,
    cwd: "/w",
    color: false,
    columns: 60,
    wraps: false
  })
  let text = ""
  for (const event of events) {
    const [next, more] = Transcript.step(state, event)
    state = next
    text += more
  }
  return text
}

type AgentCall = Omit<Extract<CallDisplay, { readonly _tag: "Agent" }>, "_tag">

const shown = (call: AgentCall, agents: ReadonlyArray<AgentState>, timedOut = false) =>
  show(
    ada,
    Events.call({ _tag: "Agent", ...call }),
    Events.result("completed", { detail: { _tag: "Agent", agents, ...(timedOut ? { timedOut } : {}) } })
  )

describe("calls to agents", () => {
  it("say what the agent is to do, in one line, and its name", () => {
    const started = [{ agentId: adaId, name: "Ada", status: "pendingInit" }] as const
    assert.strictEqual(
      shown({ operation: "spawn", targets: [], prompt: "look\n for tests" }, started),
      "• start an agent: look for tests\n  as Ada\n  ✓ done · 1.5 s\n"
    )
    assert.strictEqual(
      shown({ operation: "spawn", targets: [], prompt: "x".repeat(80), role: "scout", model: "small" }, started),
      `• start an agent (scout, small): ${"x".repeat(26)}…\n  as Ada\n  ✓ done · 1.5 s\n`
    )
  })

  it("name agents instead of their ids", () => {
    const other = SessionId.make("5678")
    assert.strictEqual(
      shown({ operation: "wait", targets: [adaId, other] }, [{ agentId: adaId, status: "completed" }]),
      "• wait for Ada, 5678\n  ✓ done · 1.5 s\n"
    )
    assert.strictEqual(
      shown({ operation: "wait", targets: [adaId] }, [], true),
      "• wait for Ada\n  none of them is done yet\n  ✓ done · 1.5 s\n"
    )
    const running = [{ agentId: adaId, status: "running" }] as const
    assert.strictEqual(
      shown({ operation: "send", targets: [adaId], prompt: "more" }, running),
      "• send to Ada: more\n  ✓ done · 1.5 s\n"
    )
    assert.strictEqual(shown({ operation: "close", targets: [adaId] }, running), "• close Ada\n  ✓ done · 1.5 s\n")
    assert.strictEqual(shown({ operation: "resume", targets: [adaId] }, running), "• resume Ada\n  ✓ done · 1.5 s\n")
    const all = [
      { agentId: adaId, name: "Ada", status: "completed", message: "long" },
      { agentId: other, name: "Alan", status: "running" }
    ] as const
    assert.strictEqual(
      shown({ operation: "list", targets: [] }, all),
      "• list agents\n  Ada is done\n  Alan works\n  ✓ done · 1.5 s\n"
    )
  })

  it("show why one failed, and nothing that a model could draw with", () => {
    assert.strictEqual(
      show(
        ada,
        Events.call({ _tag: "Agent", operation: "spawn", targets: [], prompt: "a\x1b[31mb" }),
        Events.result("failed", { output: "there is no agent type wizard" })
      ),
      "• start an agent: a␛[31mb\n  there is no agent type wizard\n  ✗ failed · 1.5 s\n"
    )
  })
})

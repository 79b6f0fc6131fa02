import { assert, describe, it } from "@effect/vitest"
import { ItemId, SessionId, SubmissionId } from "@spindle/core/Ids"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Schema from "effect/Schema"
import * as Thread from "../../src/view/Thread.ts"
import { ThreadItem } from "../../src/view/ThreadItem.ts"
import * as Events from "../fixtures/events.ts"
import { cleanAbort } from "../../../core/test/fixtures/records.ts"

const play = (
  events: ReadonlyArray<SessionEvent>,
  before = Thread.initial({ sessionId: Events.sessionId, cwd: "/w" })
) => {
  let thread = before
  const changes: Array<Thread.Change> = []
  for (const event of events) {
    const [next, more] = Thread.step(thread, event)
    thread = next
    changes.push(...more)
  }
  return { thread, changes }
}
const changesOf = (...events: ReadonlyArray<SessionEvent>) => play(events).changes
const itemOf = (...events: ReadonlyArray<SessionEvent>) => {
  const change = changesOf(...events).at(-1)!
  assert.strictEqual(change._tag, "ItemCompleted")
  const { item } = change as Extract<Thread.Change, { readonly _tag: "ItemCompleted" }>
  // what a view shows is a valid item, and survives the way over a wire
  const codec = Schema.fromJsonString(ThreadItem)
  assert.deepStrictEqual(Schema.decodeSync(codec)(Schema.encodeSync(codec)(item)), item)
  return item
}

describe("messages and thoughts", () => {
  it("start, grow and are completed, whatever pieces come again", () => {
    const message = Events.item({ _tag: "AssistantMessage", text: "Hello, world" }, 7)
    const common = { type: "agentMessage", id: "0.0" } as const
    assert.deepStrictEqual(
      changesOf(
        Events.record({ _tag: "Warning", message: "" }, 5),
        Events.text(0, "Hello"),
        Events.text(0, "Hello, "),
        message
      ).slice(1),
      [
        { _tag: "ItemStarted", item: { ...common, text: "", startedAtMs: 5, completedAtMs: null } },
        { _tag: "TextAdded", ...common, text: "Hello" },
        { _tag: "TextAdded", ...common, text: ", " },
        { _tag: "TextAdded", ...common, text: "world" },
        { _tag: "ItemCompleted", item: { ...common, text: "Hello, world", startedAtMs: 5, completedAtMs: 7 } }
      ]
    )
  })

  it("say whether they were cut off", () => {
    const [, , completed] = changesOf(Events.item({ _tag: "Reasoning", text: "hm", partial: "superseded" }))
    assert.deepInclude(completed, { _tag: "ItemCompleted", isPartial: "superseded" })
  })

  it("are the user's only if the user wrote them", () => {
    const content = [{ _tag: "Text", text: "hi" }] as const
    const submissionId = SubmissionId.make("s")
    assert.deepInclude(itemOf(Events.item({ _tag: "UserMessage", content, submissionId })), {
      type: "userMessage",
      content: [{ type: "text", text: "hi" }]
    })
    assert.deepStrictEqual(changesOf(Events.item({ _tag: "UserMessage", content, fragment: "turn_aborted" })), [])
  })
})

describe("calls", () => {
  it("of a command that continues in the background have completed, and name its process", () => {
    const { processId } = Events
    const call = itemOf(Events.command("npm start"), Events.ran({ exitCode: null, output: "ready\n", processId }))
    assert.deepInclude(call, { status: "completed", exitCode: null, aggregatedOutput: "ready\n", processId })
    const killed = itemOf(Events.command("npm start"), Events.ran({ exitCode: null, signal: "SIGKILL", processId }))
    assert.deepInclude(killed, { status: "failed", signal: "SIGKILL" })
    assert.notProperty(killed, "processId")
  })

  it("are what their tool says, with what their handler has reported", () => {
    const common = { id: "call_1", startedAtMs: 0, completedAtMs: 1_500 } as const
    assert.deepStrictEqual(itemOf(Events.command("make"), Events.ran({ exitCode: 2, output: "no rule\n" })), {
      type: "commandExecution",
      ...common,
      command: "make",
      cwd: "/w",
      status: "failed",
      aggregatedOutput: "no rule\n",
      exitCode: 2,
      durationMs: 1_500
    })
    const changes = [
      { path: "a.js", change: "update", movePath: "b.js", diff: "@@\n-a\n+b" },
      { path: "/x/c.js", change: "add" }
    ] as const
    assert.deepStrictEqual(
      itemOf(
        Events.call({ _tag: "Patch", changes }),
        Events.result("completed", { detail: { _tag: "Patch", changes } })
      ),
      {
        type: "fileChange",
        ...common,
        changes: [
          { path: "/w/a.js", kind: { type: "update", move_path: "/w/b.js" }, diff: "@@\n-a\n+b" },
          { path: "/x/c.js", kind: { type: "add" }, diff: "" }
        ],
        status: "completed"
      }
    )
    const agentId = SessionId.make("child")
    assert.deepStrictEqual(
      itemOf(
        Events.call({ _tag: "Agent", operation: "spawn", targets: [], prompt: "look", model: "small" }),
        Events.result("completed", {
          detail: { _tag: "Agent", agents: [{ agentId, name: "Ada", status: "pendingInit" }] }
        })
      ),
      {
        type: "collabAgentToolCall",
        ...common,
        tool: "spawnAgent",
        status: "completed",
        senderThreadId: Events.sessionId,
        receiverThreadIds: [agentId],
        prompt: "look",
        model: "small",
        reasoningEffort: null,
        agentsStates: { child: { name: "Ada", status: "pendingInit", message: null } }
      }
    )
    const mcp = Events.call({ _tag: "Mcp", server: "docs", tool: "find" }, { params: { q: 1 } })
    assert.deepStrictEqual(
      itemOf(
        mcp,
        Events.result("completed", { output: "found", detail: { _tag: "Mcp", isError: false, durationMillis: 3 } })
      ),
      {
        type: "mcpToolCall",
        ...common,
        server: "docs",
        tool: "find",
        status: "completed",
        arguments: { q: 1 },
        result: { content: [{ type: "text", text: "found" }], structuredContent: null },
        error: null,
        durationMs: 3
      }
    )
    assert.deepInclude(
      itemOf(
        mcp,
        Events.result("completed", { output: "no", detail: { _tag: "Mcp", isError: true, durationMillis: 3 } })
      ),
      { status: "failed", error: { message: "no" } }
    )
    const steps = [{ step: "look", status: "completed" }] as const
    assert.deepInclude(itemOf(Events.call({ _tag: "Plan", steps }), Events.result("completed")), {
      type: "plan",
      steps
    })
    assert.deepInclude(itemOf(Events.call({ _tag: "Search", query: "q" }), Events.result("completed")), {
      type: "webSearch",
      query: "q"
    })
    assert.deepInclude(itemOf(Events.call({ _tag: "Search", query: "q", path: "src" }), Events.result("completed")), {
      type: "dynamicToolCall",
      title: "search src: q"
    })
    assert.deepInclude(itemOf(Events.call({ _tag: "Read", path: "a.ts" }), Events.result("completed")), {
      type: "dynamicToolCall",
      title: "read a.ts"
    })
    assert.deepInclude(itemOf(Events.call({ _tag: "Image", path: "/a.png" }), Events.result("failed")), {
      type: "imageView",
      status: "failed"
    })
  })

  it("are shown by name and arguments if their tool says nothing", () => {
    assert.deepStrictEqual(
      itemOf(
        Events.call(undefined, { name: "exec_command", params: { cmd: "ls" } }),
        Events.result("completed", { output: { found: 1 } })
      ),
      {
        type: "dynamicToolCall",
        id: "call_1",
        tool: "exec_command",
        arguments: { cmd: "ls" },
        status: "completed",
        contentItems: [{ type: "inputText", text: '{"found":1}' }],
        success: true,
        durationMs: 1_500,
        startedAtMs: 0,
        completedAtMs: 1_500
      }
    )
  })

  it("that were refused are declined, and did not run", () => {
    assert.deepInclude(itemOf(Events.command("rm x"), Events.result("denied", { output: "no" })), {
      status: "declined",
      aggregatedOutput: null,
      exitCode: null,
      durationMs: null
    })
  })

  it("that were stopped keep what they printed, as it came or as their handler has reported it", () => {
    const stopped = (...events: ReadonlyArray<SessionEvent>) =>
      itemOf(Events.command("make"), Events.running, ...events)
    const live = [Events.output(0, "one"), Events.output(1, "ne two"), Events.exited(null)]
    assert.deepInclude(stopped(...live, Events.result("aborted")), {
      status: "failed",
      aggregatedOutput: "one two",
      exitCode: null
    })
    assert.deepInclude(stopped(Events.ran({ exitCode: null, output: "one" }, { status: "aborted" })), {
      aggregatedOutput: "one"
    })
  })

  it("run from when they were allowed or their process was started", () => {
    const opened = { ...Events.asks("command", {}), at: 100 }
    const settled = { ...Events.settledBy({ _tag: "Approved", scope: "once" }), at: 900 }
    const changes = changesOf(Events.command("x"), opened, settled, Events.result("completed"))
    assert.deepInclude(changes.at(-1), { end: { status: "completed", text: "", millis: 600 } })
    const started = { ...Events.running, at: 1_400 }
    assert.deepInclude(changesOf(Events.command("x"), started, Events.result("aborted")).at(-1), {
      end: { status: "aborted", text: "", millis: 100 }
    })
  })
})

describe("turns", () => {
  it("count usage once, even that of a crash before a resume", () => {
    const crashed = Events.record({
      ...cleanAbort,
      turnId: Events.turnId,
      usage: Events.usage,
      crashed: true
    })
    const later = { ...Events.done(), seq: 5 } as SessionEvent
    const fresh = Thread.initial({ sessionId: Events.sessionId, cwd: "/w" })
    const resumed = Thread.resume(fresh, { items: [], seq: 5, usage: Events.usage })
    assert.strictEqual(play([crashed, later]).thread.usage.total, 2 * Events.usage.total)
    assert.strictEqual(play([crashed, later], resumed).thread.usage.total, 2 * Events.usage.total)
  })

  it("end with the time that they took, and leave nothing open", () => {
    const { changes, thread } = play([
      Events.started,
      Events.text(0, "hal"),
      Events.command("x"),
      Events.running,
      Events.done()
    ])
    assert.deepInclude(changes.at(-1), { _tag: "TurnEnded", millis: 12_300 })
    assert.deepStrictEqual([thread.calls.size, thread.texts.size, thread.processes.size], [0, 0, 0])
  })
})

describe("a note of a task", () => {
  it("is a change, and no item", () => {
    const note = { name: "review.entered", data: { target: "main" }, message: "reviewing main" }
    assert.deepInclude(
      changesOf(Events.started, Events.record({ _tag: "TaskNote", turnId: Events.turnId, ...note }))[1],
      {
        _tag: "TaskNoted",
        note: { seq: 0, at: 0, _tag: "TaskNote", turnId: Events.turnId, ...note }
      }
    )
  })
})

describe("a call that was running when the program was killed", () => {
  const lost = (before: Thread.Thread) =>
    play([Events.result("unknown")], before).changes.map((change) =>
      change._tag === "ItemCompleted" && change.item.type === "error" ? change.item.message : change._tag
    )

  it("is named by what it was, if the history before the resume is known", () => {
    const fresh = Thread.initial({ sessionId: Events.sessionId, cwd: "/w" })
    const display = { _tag: "Command", command: "sleep 60", cwd: "/w" } as const
    const call = { _tag: "ToolCall", id: ItemId.make("0.0"), callId: Events.callId, name: "any", params: {} } as const
    const resumed = Thread.resume(fresh, { items: [{ ...call, display }], seq: 3, usage: Events.usage })
    assert.deepStrictEqual(lost(resumed), ["spindle was killed while `sleep 60` ran; its result is unknown"])
    assert.deepStrictEqual(lost(fresh), ["spindle was killed while `any` ran; its result is unknown"])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { CallId, ItemId, ProcessId, SubmissionId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { TokenUsage } from "@spindle/core/TokenUsage"
import * as ExecEvents from "../../src/output/ExecEvents.ts"
import * as Events from "../../../app/test/fixtures/events.ts"
import { cleanAbort } from "../../../core/test/fixtures/records.ts"

const { call, callId, command, item, output, ran, record, requestId, result, sessionId, started, turnId } = Events
const usage = (input: number, output: number, cachedInput = 0, reasoning = 0): TokenUsage => ({
  input,
  cachedInput,
  output,
  reasoning,
  total: input + output
})
const completed = (used: TokenUsage) => record({ _tag: "TurnCompleted", turnId, usage: used })
const { exited: processEnded, running: processStarted } = Events

const lines = (events: ReadonlyArray<SessionEvent>, before: Partial<Parameters<typeof ExecEvents.open>[1]> = {}) => {
  const nothing = { items: [], seq: 0, usage: usage(0, 0) }
  let [state, all] = ExecEvents.open(ExecEvents.initial({ sessionId, cwd: "/w" }), { ...nothing, ...before })
  for (const event of events) {
    const [next, more] = ExecEvents.step(state, event)
    state = next
    all = [...all, ...more]
  }
  return all.map((line) => JSON.stringify(line))
}
const thread = `{"type":"thread.started","thread_id":"${sessionId}"}`
const turn = `{"type":"turn.started"}`

describe("a note of a task", () => {
  it("is a line with its name and its data", () => {
    const note = record({ _tag: "TaskNote", turnId, name: "review.entered", data: { target: "main" }, message: "hm" })
    assert.deepStrictEqual(lines([note]), [
      thread,
      `{"type":"task.note","name":"review.entered","data":{"target":"main"}}`
    ])
  })
})

describe("a plan", () => {
  const plan = (id: string, status: "pending" | "completed") =>
    call({ _tag: "Plan", steps: [{ step: "look", status }] }, { id: CallId.make(id) })
  const ended = (id: string, status: "completed" | "failed") => result(status, { id: CallId.make(id) })
  const line = (type: string, isCompleted: boolean) =>
    `{"type":"item.${type}","item":{"id":"item_0","type":"todo_list","items":[{"text":"look","completed":${isCompleted}}]}}`

  it("is one item of its turn, which later calls update and the end of the turn completes", () => {
    assert.deepStrictEqual(
      lines([
        started,
        plan("a", "pending"),
        ended("a", "completed"),
        plan("b", "completed"),
        ended("b", "completed"),
        completed(usage(1, 1))
      ]).slice(2, -1),
      [line("started", false), line("updated", true), line("completed", true)]
    )
  })

  it("has no line if it was refused", () => {
    assert.deepStrictEqual(
      lines([started, plan("a", "pending"), ended("a", "failed"), completed(usage(1, 1))]).slice(2, -1),
      []
    )
  })
})

describe("the reference's lines", () => {
  it("are the same for text and reasoning (s01)", () => {
    assert.deepStrictEqual(
      lines([
        record({ _tag: "SessionStarted", sessionId, meta: {} }),
        started,
        item({ _tag: "UserMessage", content: [], submissionId: SubmissionId.make("s") }),
        record({ _tag: "ModelRequested", turnId, requestId, attempt: 1, provider: "mock", model: "mock-model" }),
        { _tag: "ReasoningDelta", turnId, itemId: ItemId.make("0.1"), offset: 0, text: "Thinking" },
        item({ _tag: "Reasoning", text: "Thinking about it" }),
        { _tag: "TextDelta", turnId, itemId: ItemId.make("0.2"), offset: 0, text: "Hello" },
        item({ _tag: "AssistantMessage", text: "Hello from the mock model" }),
        completed(usage(120, 12, 20, 3))
      ]),
      [
        thread,
        turn,
        `{"type":"item.completed","item":{"id":"item_0","type":"reasoning","text":"Thinking about it"}}`,
        `{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Hello from the mock model"}}`,
        `{"type":"turn.completed","usage":{"input_tokens":120,"cached_input_tokens":20,"cache_write_input_tokens":0,"output_tokens":12,"reasoning_output_tokens":3}}`
      ]
    )
  })

  it("are the same for a command (s02)", () => {
    assert.deepStrictEqual(
      lines([
        started,
        command("echo from-exec"),
        processStarted,
        output(0, "from-"),
        output(0, "from-exec\n"),
        processEnded(0),
        ran({ output: "from-exec\n" }),
        item({ _tag: "AssistantMessage", text: "Done in exec." }),
        completed(usage(200, 20))
      ]),
      [
        thread,
        turn,
        `{"type":"item.started","item":{"id":"item_0","type":"command_execution","command":"/bin/bash -lc 'echo from-exec'","aggregated_output":"","exit_code":null,"status":"in_progress"}}`,
        `{"type":"item.completed","item":{"id":"item_0","type":"command_execution","command":"/bin/bash -lc 'echo from-exec'","aggregated_output":"from-exec\\n","exit_code":0,"status":"completed"}}`,
        `{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Done in exec."}}`,
        `{"type":"turn.completed","usage":{"input_tokens":200,"cached_input_tokens":0,"cache_write_input_tokens":0,"output_tokens":20,"reasoning_output_tokens":0}}`
      ]
    )
  })

  it("are the same for a patch (s13)", () => {
    const changes = [{ path: "from-exec.txt", change: "add" }] as const
    assert.deepStrictEqual(
      lines([
        started,
        call({ _tag: "Patch", changes }),
        result("completed", { detail: { _tag: "Patch", changes } }),
        completed(usage(200, 20))
      ]),
      [
        thread,
        turn,
        `{"type":"item.started","item":{"id":"item_0","type":"file_change","changes":[{"path":"/w/from-exec.txt","kind":"add"}],"status":"in_progress"}}`,
        `{"type":"item.completed","item":{"id":"item_0","type":"file_change","changes":[{"path":"/w/from-exec.txt","kind":"add"}],"status":"completed"}}`,
        `{"type":"turn.completed","usage":{"input_tokens":200,"cached_input_tokens":0,"cache_write_input_tokens":0,"output_tokens":20,"reasoning_output_tokens":0}}`
      ]
    )
  })

  it("count usage over the session, and items from 0 again after a resume (s16)", () => {
    assert.deepStrictEqual(
      lines(
        [
          record({ _tag: "SessionResumed", cutBytes: 0 }),
          started,
          item({ _tag: "Reasoning", text: "hm" }),
          item({ _tag: "AssistantMessage", text: "answer" }),
          completed(usage(100, 10))
        ],
        { usage: usage(100, 10) }
      ),
      [
        thread,
        turn,
        `{"type":"item.completed","item":{"id":"item_0","type":"reasoning","text":"hm"}}`,
        `{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"answer"}}`,
        `{"type":"turn.completed","usage":{"input_tokens":200,"cached_input_tokens":0,"cache_write_input_tokens":0,"output_tokens":20,"reasoning_output_tokens":0}}`
      ]
    )
  })

  it("are the same for retries and the failure after them (s19)", () => {
    const detail = "stream disconnected before completion: Transport error: network error: error decoding response body"
    const retry = (attempt: number) =>
      record({
        _tag: "ModelRetrying",
        turnId,
        requestId,
        attempt,
        maxAttempts: 2,
        delayMillis: 200,
        kind: "Disconnected",
        detail
      })
    assert.deepStrictEqual(
      lines([
        started,
        item({ _tag: "AssistantMessage", text: "half", partial: "superseded" }),
        retry(1),
        retry(2),
        record({
          _tag: "TurnFailed",
          turnId,
          error: { tag: "ModelFailed", message: detail },
          kept: [],
          usage: usage(0, 0)
        })
      ]),
      [
        thread,
        turn,
        `{"type":"error","message":"Reconnecting... 1/2 (${detail})"}`,
        `{"type":"error","message":"Reconnecting... 2/2 (${detail})"}`,
        `{"type":"error","message":"${detail}"}`,
        `{"type":"turn.failed","error":{"message":"${detail}"}}`
      ]
    )
  })
})

describe("step", () => {
  const make = (...events: ReadonlyArray<SessionEvent>) => {
    const line = lines([started, command("make"), ...events]).at(-1)!
    return (JSON.parse(line) as { item: { status: string; exit_code: number | null; aggregated_output: string } }).item
  }

  it("shows a command that failed, was refused or was stopped", () => {
    const failed = make(processStarted, processEnded(3), ran({ exitCode: 3 }))
    assert.deepStrictEqual([failed.status, failed.exit_code], ["failed", 3])
    const killed = make(processStarted, processEnded(null), ran({ exitCode: null, signal: "SIGKILL" }))
    assert.deepStrictEqual([killed.status, killed.exit_code], ["failed", null])
    const background = make(processStarted, ran({ exitCode: null, output: "a", processId: ProcessId.make("p") }))
    assert.deepStrictEqual([background.status, background.exit_code], ["completed", null])
    const declined = make(result("denied"))
    assert.deepStrictEqual([declined.status, declined.exit_code], ["declined", null])
    const stopped = make(processStarted, output(0, "a"), processEnded(null), result("aborted"))
    assert.deepStrictEqual([stopped.status, stopped.exit_code, stopped.aggregated_output], ["failed", null, "a"])
    const recorded = make(processStarted, ran({ exitCode: null, output: "b" }, { status: "aborted" }))
    assert.deepStrictEqual([recorded.status, recorded.exit_code, recorded.aggregated_output], ["failed", null, "b"])
  })

  it("bounds the output of a command", () => {
    const block = "x".repeat(1 << 20)
    const item = make(...[0, 1, 2, 3].map((n) => output(n << 20, block)), ran())
    assert.isBelow(item.aggregated_output.length, (1 << 20) + 100)
    assert.include(item.aggregated_output, `[${3 << 20} bytes of the output are left out here]`)
  })

  it("quotes commands for the shell", () => {
    const shown = (cmd: string) => {
      const line = lines([started, command(cmd)]).at(-1)!
      return (JSON.parse(line) as { item: { command: string } }).item.command
    }
    assert.strictEqual(shown("ls"), "/bin/bash -lc ls")
    assert.strictEqual(shown("ls -l"), "/bin/bash -lc 'ls -l'")
    assert.strictEqual(shown("echo 'a b'"), `/bin/bash -lc "echo 'a b'"`)
    assert.strictEqual(shown("echo '$a'"), `/bin/bash -lc 'echo '\\''$a'\\'''`)
  })

  it("shows other tools, and calls that say nothing about themselves, as tool calls", () => {
    const mcp = call({ _tag: "Mcp", server: "mock", tool: "echo" }, { params: { text: "exec" } })
    assert.deepStrictEqual(lines([mcp, result("completed", { output: "echo" })]).slice(1), [
      `{"type":"item.started","item":{"id":"item_0","type":"mcp_tool_call","server":"mock","tool":"echo","arguments":{"text":"exec"},"result":null,"error":null,"status":"in_progress"}}`,
      `{"type":"item.completed","item":{"id":"item_0","type":"mcp_tool_call","server":"mock","tool":"echo","arguments":{"text":"exec"},"result":{"content":[{"type":"text","text":"echo"}],"structured_content":null},"error":null,"status":"completed"}}`
    ])
    const bad = lines([
      call(undefined, { name: "exec_command", params: { command: 1 } }),
      result("failed", { output: "no cmd" })
    ])
    assert.include(bad.at(-1)!, `"server":"","tool":"exec_command","arguments":{"command":1}`)
    assert.include(bad.at(-1)!, `"error":{"message":"no cmd"},"status":"failed"`)
  })

  it("shows what was running when the program was killed, by what is known from before the resume", () => {
    const before: Item = { _tag: "ToolCall", id: ItemId.make("0.0"), callId, name: "exec_command", params: {} }
    const display = { _tag: "Command", command: "sleep 60", cwd: "/w" } as const
    const shown = (items: ReadonlyArray<Item>) => lines([result("unknown")], { items }).at(-1)!
    assert.include(
      shown([{ ...before, display }]),
      `{"id":"item_0","type":"error","message":"spindle was killed while \`sleep 60\` ran; its result is unknown"}`
    )
    assert.include(shown([]), "while `any` ran")
  })

  it("ends an interrupted turn without a line, as the reference does, and one that was stopped otherwise with its reason", () => {
    const aborted = (reason: "Interrupted" | "Shutdown") =>
      record({
        ...cleanAbort,
        turnId,
        reason,
        usage: usage(1, 1)
      })
    const half = item({ _tag: "AssistantMessage", text: "hal", partial: "aborted" })
    assert.deepStrictEqual(lines([started, half, aborted("Interrupted")]).slice(2), [])
    assert.deepStrictEqual(lines([started, half, aborted("Shutdown")]).slice(2), [
      `{"type":"turn.failed","error":{"message":"the turn was stopped (Shutdown)","reason":"Shutdown"}}`
    ])
  })

  it("says what is missing from a damaged journal, in one item with what was cut", () => {
    const damage = { bytes: 30, missingCount: 2 }
    const messages = [0, 7].map((cutBytes) =>
      lines([record({ _tag: "SessionResumed", cutBytes, ...(cutBytes > 0 ? { cutFile: "/h/x.cut" } : {}), damage })])
        .slice(1)
        .map((line) => JSON.parse(line).item.message)
    )
    const text = "the journal is damaged: 30 bytes between its records are not readable, and 2 records are missing"
    assert.deepStrictEqual(messages, [
      [text],
      [`${text}; the journal was damaged: its last 7 bytes are kept in /h/x.cut`]
    ])
  })

  it("reports warnings, cut journals and failed sessions", () => {
    assert.deepStrictEqual(
      lines([
        record({ _tag: "SessionResumed", cutBytes: 7, cutFile: "/h/x.cut" }),
        record({ _tag: "Warning", message: "careful" }),
        started,
        { _tag: "SessionFailed", sessionId, message: "disk full" }
      ]).slice(1),
      [
        `{"type":"item.completed","item":{"id":"item_0","type":"error","message":"the journal was damaged: its last 7 bytes are kept in /h/x.cut"}}`,
        `{"type":"item.completed","item":{"id":"item_1","type":"error","message":"careful"}}`,
        turn,
        `{"type":"error","message":"disk full"}`,
        `{"type":"turn.failed","error":{"message":"disk full"}}`
      ]
    )
  })
})

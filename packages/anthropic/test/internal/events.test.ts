import { assert, describe, it } from "@effect/vitest"
import type { ToolSpec } from "@spindle/core/Model"
import { EventReader } from "../../src/internal/events.ts"
import { begin, called, callId, delta, ended, ping, said, start, stop } from "../fixture.ts"

const context = { provider: "anthropic", model: "claude-test", secrets: [], seal: "seal", toolNames: new Map() }
const usage = { input: 125, cachedInput: 100, output: 12, reasoning: 0, total: 137 }

const patch: ToolSpec = {
  name: "apply_patch",
  description: undefined,
  parameters: {},
  freeform: { syntax: "lark", definition: "x" },
  source: undefined
}

const read = (...events: ReadonlyArray<object>) => {
  const reader = new EventReader({ ...context, toolNames: new Map([["fs_read_1", "fs.read"]]) }, [patch])
  for (const event of events) reader.read(JSON.stringify(event))
  return { reader, parts: reader.take() }
}

describe("the events of a response", () => {
  it("are texts, thinking with its signature, and calls", () => {
    const { parts, reader } = read(
      start,
      begin(0, { type: "thinking", thinking: "", signature: "" }),
      delta(0, { type: "thinking_delta", thinking: "Let " }),
      delta(0, { type: "thinking_delta", thinking: "me" }),
      delta(0, { type: "signature_delta", signature: "EqQB" }),
      delta(0, { type: "signature_delta", signature: "Cg==" }),
      stop(0),
      begin(1, { type: "redacted_thinking", data: "hidden" }),
      stop(1),
      ...said(2, "hello"),
      ...called(3, { id: "toolu_1", name: "fs_read_1", json: '{"path": "a b"}' }),
      ...called(4, { id: "toolu_2", name: "now", json: "" }),
      ...called(5, { id: "toolu_3", name: "apply_patch", json: '{"input": "*** Begin"}' }),
      ...ended("tool_use")
    )
    assert.strictEqual(reader.skipped.count, 0)
    assert.deepStrictEqual(parts, [
      { _tag: "ReasoningStart", id: "0" },
      { _tag: "ReasoningDelta", id: "0", delta: "Let " },
      { _tag: "ReasoningDelta", id: "0", delta: "me" },
      { _tag: "ReasoningEnd", id: "0", encrypted: "EqQBCg==", sealedBy: "seal" },
      { _tag: "ReasoningStart", id: "1" },
      { _tag: "ReasoningEnd", id: "1", encrypted: "redacted hidden", sealedBy: "seal" },
      { _tag: "TextStart", id: "2" },
      { _tag: "TextDelta", id: "2", delta: "he" },
      { _tag: "TextDelta", id: "2", delta: "llo" },
      { _tag: "TextEnd", id: "2" },
      { _tag: "ToolCall", callId: callId("toolu_1"), name: "fs.read", params: { path: "a b" } },
      { _tag: "ToolCall", callId: callId("toolu_2"), name: "now", params: {} },
      {
        _tag: "ToolCall",
        callId: callId("toolu_3"),
        name: "apply_patch",
        params: { input: "*** Begin" },
        freeform: true
      },
      { _tag: "Finish", reason: "tool-calls", usage }
    ])
  })

  it("end with the reason of the provider", () => {
    const reasons = {
      end_turn: "stop",
      stop_sequence: "stop",
      max_tokens: "length",
      refusal: "content-filter"
    } as const
    for (const [reason, expected] of Object.entries(reasons)) {
      const { parts } = read(start, ...said(0, "hi"), ...ended(reason))
      assert.deepStrictEqual(parts.at(-1), { _tag: "Finish", reason: expected, usage })
    }
  })

  it("keep all calls that are not JSON, and drop one that was cut off", () => {
    const broken = [
      ...called(0, { id: "1", name: "a", json: '{"x": ' }),
      ...called(1, { id: "2", name: "b", json: "[1" })
    ]
    const kept = read(start, ...broken, ...ended("tool_use")).parts
    assert.deepStrictEqual(
      kept.flatMap((part) => (part._tag === "ToolCall" ? [[part.name, part.invalid]] : [])),
      [
        ["a", '{"x": '],
        ["b", "[1"]
      ]
    )
    const cut = read(start, ...broken, ...ended("max_tokens")).parts
    assert.deepStrictEqual(
      cut.map(({ _tag }) => _tag),
      ["Finish"]
    )
  })

  it("fail with the words of the provider", () => {
    const { reader } = read(start, ping, {
      type: "error",
      error: { type: "overloaded_error", message: "Overloaded" },
      request_id: "req_1"
    })
    assert.deepInclude(reader.failure, { kind: "Overloaded", detail: "Overloaded" })
  })

  it("may be one message, from a server that does not stream", () => {
    const reader = new EventReader(context, [])
    reader.readResponse(
      JSON.stringify({
        ...start.message,
        content: [
          { type: "text", text: "hi" },
          { type: "tool_use", id: "1", name: "a", input: { x: 1 } }
        ],
        stop_reason: "tool_use",
        usage: { input_tokens: 1, output_tokens: 2 }
      })
    )
    assert.deepStrictEqual(reader.take(), [
      { _tag: "TextStart", id: "0" },
      { _tag: "TextDelta", id: "0", delta: "hi" },
      { _tag: "TextEnd", id: "0" },
      { _tag: "ToolCall", callId: callId("1"), name: "a", params: { x: 1 } },
      {
        _tag: "Finish",
        reason: "tool-calls",
        usage: { input: 1, cachedInput: 0, output: 2, reasoning: 0, total: 3 }
      }
    ])
  })

  it("that make no sense are counted, and nothing after the end is read", () => {
    const { parts, reader } = read(
      { type: "content_block_delta", index: 9, delta: { type: "text_delta", text: "x" } },
      { type: "unheard_of" },
      start,
      ...said(0, "hi"),
      ...ended("end_turn"),
      ...said(1, "late")
    )
    assert.strictEqual(reader.skipped.count, 2)
    assert.deepInclude(parts.at(-1), { _tag: "Finish", reason: "stop" })
  })
})

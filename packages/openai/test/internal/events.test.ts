import { assert, describe, it } from "@effect/vitest"
import { EventReader } from "../../src/internal/events.ts"

const context = { provider: "openai", model: "m", secrets: [] }
const read = (...events: ReadonlyArray<object>) => {
  const reader = new EventReader(context)
  for (const event of events) reader.read(JSON.stringify(event))
  return { parts: reader.take() as ReadonlyArray<object>, failure: reader.failure, isFinished: reader.isFinished }
}
const added = (item: object, output_index = 0) => ({ type: "response.output_item.added", output_index, item })
const done = (item: object, output_index = 0) => ({ type: "response.output_item.done", output_index, item })
const completed = { type: "response.completed", response: {} }

describe("EventReader", () => {
  it("sets the parts of a summary, and raw reasoning, apart by an empty line", () => {
    const summary = { type: "response.reasoning_summary_text.delta", output_index: 0, item_id: "rs" }
    const raw = { type: "response.reasoning_text.delta", output_index: 0, item_id: "rs", content_index: 0 }
    const { parts } = read(
      added({ type: "reasoning", id: "rs" }),
      { ...summary, summary_index: 0, delta: "one" },
      { ...summary, summary_index: 0, delta: " more" },
      { ...summary, summary_index: 1, delta: "two" },
      { ...raw, delta: "raw" },
      done({ type: "reasoning", id: "rs", encrypted_content: "e" })
    )
    assert.deepStrictEqual(parts, [
      { _tag: "ReasoningStart", id: "0" },
      { _tag: "ReasoningDelta", id: "0", delta: "one" },
      { _tag: "ReasoningDelta", id: "0", delta: " more" },
      { _tag: "ReasoningDelta", id: "0", delta: "\n\ntwo" },
      { _tag: "ReasoningDelta", id: "0", delta: "\n\nraw" },
      { _tag: "ReasoningEnd", id: "0", encrypted: "e", providerId: "rs" }
    ])
  })

  it("joins the events of an item by its place, whatever its id", () => {
    const { parts } = read(
      added({ type: "message", id: "a" }),
      { type: "response.output_text.delta", output_index: 0, item_id: "b", delta: "x" },
      done({ type: "message", id: "c", content: [{ type: "output_text", text: "x" }] })
    )
    assert.deepStrictEqual(parts, [
      { _tag: "TextStart", id: "0" },
      { _tag: "TextDelta", id: "0", delta: "x" },
      { _tag: "TextEnd", id: "0", providerId: "c" }
    ])
  })

  it("begins a text with its first delta, and ends what is open before it finishes", () => {
    const { isFinished, parts } = read({ type: "response.output_text.delta", item_id: "m", delta: "x" }, completed, {
      type: "response.output_text.delta",
      item_id: "m",
      delta: "late"
    })
    assert.isTrue(isFinished)
    assert.deepStrictEqual(parts, [
      { _tag: "TextStart", id: "m" },
      { _tag: "TextDelta", id: "m", delta: "x" },
      { _tag: "TextEnd", id: "m" },
      { _tag: "Finish", reason: "stop", usage: undefined }
    ])
  })

  it("takes an item that comes as a whole, refusals included", () => {
    const { parts } = read(
      done(
        {
          type: "message",
          content: [
            { type: "output_text", text: "a" },
            { type: "refusal", refusal: "b" }
          ]
        },
        0
      ),
      done({ type: "reasoning", summary: [{ text: "one" }, { text: "two" }] }, 1),
      { type: "response.refusal.delta", output_index: 2, delta: "no" }
    )
    assert.deepStrictEqual(parts, [
      { _tag: "TextStart", id: "0" },
      { _tag: "TextDelta", id: "0", delta: "ab" },
      { _tag: "TextEnd", id: "0" },
      { _tag: "ReasoningStart", id: "1" },
      { _tag: "ReasoningDelta", id: "1", delta: "one\n\ntwo" },
      { _tag: "ReasoningEnd", id: "1" },
      { _tag: "TextStart", id: "2" },
      { _tag: "TextDelta", id: "2", delta: "no" }
    ])
  })

  it("ignores events and items that it does not know", () => {
    const { failure, parts } = read(
      { type: "response.new_thing", delta: 1 },
      { type: "response.function_call_arguments.delta", delta: "{" },
      { type: "response.custom_tool_call_input.delta", delta: "x" },
      added({ type: "web_search_call" }),
      done({ type: "web_search_call" })
    )
    assert.deepStrictEqual(parts, [])
    assert.isUndefined(failure)
  })

  it("takes missing arguments for none", () => {
    const { parts } = read(done({ type: "function_call", call_id: "c", name: "now", arguments: "" }))
    assert.deepStrictEqual(parts, [{ _tag: "ToolCall", callId: "c", name: "now", params: {} }])
  })

  it("counts tokens, and does not know them when they cannot be read", () => {
    const usageOf = (usage: unknown) =>
      (read({ type: "response.completed", response: { usage } }).parts[0] as any).usage
    assert.deepStrictEqual(usageOf({ input_tokens: 3, output_tokens: 2 }), {
      input: 3,
      cachedInput: 0,
      output: 2,
      reasoning: 0,
      total: 5
    })
    assert.isUndefined(usageOf({ input_tokens: "3", output_tokens: 2 }))
    assert.isUndefined(usageOf(null))
  })

  for (const [name, event] of [
    ["an event without a type", {}],
    ["an added item that is none", { type: "response.output_item.added" }],
    ["a done item that is none", { type: "response.output_item.done", item: 1 }],
    ["a call without a name", done({ type: "function_call", call_id: "c", arguments: "{}" })],
    ["a call without an id", done({ type: "custom_tool_call", name: "n", input: "" })],
    ["a call without arguments", done({ type: "function_call", call_id: "c", name: "n" })],
    ["a completion without a response", { type: "response.completed" }]
  ] as const) {
    it(`refuses ${name}, and everything after it`, () => {
      const { failure, isFinished, parts } = read(event, completed)
      assert.strictEqual(failure?.kind, "InvalidResponse")
      assert.isFalse(isFinished)
      assert.deepStrictEqual(parts, [])
    })
  }
})

import { assert, describe, it } from "@effect/vitest"
import type { ModelPart } from "@spindle/core/Model"
import { Schema } from "effect"
import { EventReader } from "../../src/internal/events.ts"

const context = { provider: "openai", model: "m", secrets: [], seal: "openai m", toolNames: new Map() }
const read = (...events: ReadonlyArray<object | null>) => {
  const reader = new EventReader(context)
  for (const event of events) reader.read(JSON.stringify(event))
  const { failure, isFinished, skipped, understood } = reader
  return { parts: reader.take() as ReadonlyArray<object>, failure, isFinished, skipped, understood }
}
const added = (item: object, output_index = 0) => ({ type: "response.output_item.added", output_index, item })
const done = (item: object, output_index = 0) => ({ type: "response.output_item.done", output_index, item })
const completed = { type: "response.completed", response: {} }
const finish = { _tag: "Finish", reason: "stop", usage: undefined }

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
      done({ type: "reasoning", id: "rs", encrypted_content: "e" }),
      completed
    )
    assert.deepStrictEqual(parts, [
      { _tag: "ReasoningStart", id: "0" },
      { _tag: "ReasoningDelta", id: "0", delta: "one" },
      { _tag: "ReasoningDelta", id: "0", delta: " more" },
      { _tag: "ReasoningDelta", id: "0", delta: "\n\ntwo" },
      { _tag: "ReasoningDelta", id: "0", delta: "\n\nraw" },
      { _tag: "ReasoningEnd", id: "0", encrypted: "e", sealedBy: "openai m", providerId: "rs" },
      finish
    ])
  })

  it("warns once for each model that is not the one of the request", () => {
    const served = new Set<string>()
    const warningsOf = (model: string, ...models: ReadonlyArray<string>) => {
      const reader = new EventReader({ ...context, model, served })
      for (const one of models) reader.read(JSON.stringify({ type: "response.created", response: { model: one } }))
      return reader.take()
    }
    assert.deepStrictEqual(warningsOf("gpt-5", "gpt-5", "gpt-5-2025-08-07", "openai/GPT-5"), [])
    const warning = { _tag: "Warning" as const, message: "openai uses the model gpt-5-mini in place of gpt-5" }
    assert.deepStrictEqual(warningsOf("gpt-5", "gpt-5-mini", "gpt-5-mini"), [warning])
    assert.deepStrictEqual(warningsOf("gpt-5", "gpt-5-mini"), [])
  })

  it("joins the events of an item by its place, whatever its id", () => {
    const { parts } = read(
      added({ type: "message", id: "a" }),
      { type: "response.output_text.delta", output_index: 0, item_id: "b", delta: "x" },
      done({ type: "message", id: "c", content: [{ type: "output_text", text: "x" }] }),
      completed
    )
    assert.deepStrictEqual(parts, [
      { _tag: "TextStart", id: "0" },
      { _tag: "TextDelta", id: "0", delta: "x" },
      { _tag: "TextEnd", id: "0", providerId: "c" },
      finish
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
      finish
    ])
  })

  it("takes an item that comes complete, refusals included", () => {
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
      { type: "response.refusal.delta", output_index: 2, delta: "no" },
      completed
    )
    assert.deepStrictEqual(parts, [
      { _tag: "TextStart", id: "0" },
      { _tag: "TextDelta", id: "0", delta: "ab" },
      { _tag: "TextEnd", id: "0" },
      { _tag: "ReasoningStart", id: "1" },
      { _tag: "ReasoningDelta", id: "1", delta: "one\n\ntwo" },
      { _tag: "ReasoningEnd", id: "1" },
      { _tag: "TextStart", id: "2" },
      { _tag: "TextDelta", id: "2", delta: "no" },
      { _tag: "TextEnd", id: "2" },
      finish
    ])
  })

  it("ignores events and items that it does not know", () => {
    const { failure, parts } = read(
      { type: "response.new_thing", delta: 1 },
      { type: "response.function_call_arguments.delta", delta: "{" },
      { type: "response.custom_tool_call_input.delta", delta: "x" },
      added({ type: "new_call" }),
      done({ type: "new_call" })
    )
    assert.deepStrictEqual(parts, [])
    assert.isUndefined(failure)
  })

  for (const [name, input, expected] of [
    ["an empty text", "", { params: {} }],
    ["nothing", undefined, { params: {} }],
    ["null", null, { params: {} }],
    ["null in JSON", "null", { params: {} }],
    ["an object", { cmd: "ls" }, { params: { cmd: "ls" } }],
    ["a number", 3, { params: 3 }],
    ["an array in JSON", "[1]", { params: [1] }],
    ["broken JSON", '{"cmd', { params: undefined, invalid: '{"cmd' }]
  ] as const) {
    it(`hands arguments that are ${name} to the tool`, () => {
      const { failure, parts } = read(done({ type: "function_call", call_id: "c", name: "now", arguments: input }))
      assert.deepStrictEqual(parts, [{ _tag: "ToolCall", callId: "c", name: "now", ...expected }])
      assert.isUndefined(failure)
    })
  }

  it("gives a call without an id or a name what it lacks, so that the model gets a result", () => {
    const { parts } = read(
      done({ type: "custom_tool_call", name: "n", input: { a: 1 } }, 0),
      done({ type: "function_call", call_id: "c", id: "fc_1", arguments: "{}" }, 1)
    )
    assert.deepStrictEqual(parts, [
      { _tag: "ToolCall", callId: "call_0", name: "n", params: { input: '{"a":1}' }, freeform: true },
      { _tag: "ToolCall", callId: "c", name: "unnamed", params: {}, providerId: "fc_1" }
    ])
  })

  it("gives a tool its own name back", () => {
    const toolNames = new Map([["fs_read_1", "fs.read"]])
    const reader = new EventReader({ ...context, toolNames })
    reader.read(JSON.stringify(done({ type: "function_call", call_id: "c", name: "fs_read_1", arguments: "{}" })))
    assert.include(reader.take()[0], { _tag: "ToolCall", name: "fs.read" })
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
    assert.isUndefined(usageOf({ input_tokens: 1e308, output_tokens: 2 }))
    assert.isUndefined(usageOf({ input_tokens: -1, output_tokens: 2 }))
    assert.strictEqual(usageOf({ input_tokens: 3, output_tokens: 2, total_tokens: 1e308 }).total, 5)
  })

  for (const [name, frame] of [
    ["an event without a type", {}],
    ["null", null],
    ["an array", []],
    ["a chunk of another API", { object: "chat.completion.chunk", choices: [{ delta: { content: "x" } }] }],
    ["a keep-alive", { type: "keepalive", time: 17 }],
    ["a delta that is none", { type: "response.output_text.delta", output_index: 0, delta: null }],
    ["an added item that is none", { type: "response.output_item.added" }],
    ["a done item that is none", { type: "response.output_item.done", item: 1 }]
  ] as const) {
    it(`skips and counts ${name}`, () => {
      const { failure, parts, skipped, understood } = read(frame, completed)
      assert.isUndefined(failure)
      assert.deepStrictEqual(skipped, { count: 1, first: JSON.stringify(frame) })
      assert.strictEqual(understood, 1)
      assert.deepStrictEqual(parts, [finish])
    })
  }

  it("skips frames that are not JSON, and the end mark of other APIs", () => {
    const reader = new EventReader(context)
    for (const data of ["ping", "", "{oops", "[DONE]"]) reader.read(data)
    assert.deepStrictEqual(reader.skipped, { count: 3, first: "ping" })
  })

  it("fails with the words of an error event that is not JSON", () => {
    const reader = new EventReader(context)
    reader.read("out of memory", "error")
    assert.strictEqual(reader.failure?.detail, "out of memory")
  })

  it("takes a text that came without deltas, once", () => {
    const at = { output_index: 0, item_id: "m", content_index: 0 }
    const { parts } = read(
      { type: "response.output_text.done", ...at, text: "one" },
      { type: "response.output_text.delta", ...at, content_index: 1, delta: " two" },
      { type: "response.output_text.done", ...at, content_index: 1, text: " two" },
      { type: "response.reasoning_summary_text.done", output_index: 1, summary_index: 0, text: "hm" },
      {
        type: "response.completed",
        response: { output: [{ type: "message", id: "m", content: [{ text: "one" }, { text: " two" }] }] }
      }
    )
    assert.deepStrictEqual(
      parts.flatMap((part) => ("delta" in part ? [part.delta] : [])),
      ["one", " two", "hm"]
    )
  })

  it("takes the name of an event for its type when it has none", () => {
    const reader = new EventReader(context)
    reader.read('{"output_index":0,"delta":"x"}', "response.output_text.delta")
    reader.read("{}", "ping")
    assert.deepStrictEqual(tagsOf(reader.take()), ["TextStart", "TextDelta"])
    assert.strictEqual(reader.skipped.count, 1)
  })

  it("completes a response whose last event holds nothing", () => {
    assert.deepStrictEqual(read({ type: "response.completed" }).parts, [finish])
  })

  for (const [name, event] of [
    ["an error without a type", { error: { message: "Slow", code: "rate_limit_exceeded" } }],
    [
      "a completion that failed",
      {
        type: "response.completed",
        response: { status: "failed", error: { message: "Slow", code: "rate_limit_exceeded" } }
      }
    ]
  ] as const) {
    it(`fails with the words of ${name}`, () => {
      const { failure } = read(event)
      assert.strictEqual(failure?.kind, "RateLimited")
      assert.strictEqual(failure?.detail, "Slow")
    })
  }

  it("survives ids and indices of any type", () => {
    const odd = { toString: 1, valueOf: null }
    const { failure, parts } = read(
      { type: "response.reasoning_summary_text.delta", item_id: odd, summary_index: odd, delta: "a" },
      done({ type: "message", id: odd, content: odd }, odd as never),
      done({ type: "function_call", id: odd, call_id: odd, name: odd, arguments: odd }, odd as never),
      { type: "response.completed", response: { output: odd, usage: odd } }
    )
    assert.isUndefined(failure)
    assert.include(parts.at(-1), { _tag: "Finish" })
  })
})

const tagsOf = (parts: ReadonlyArray<object>) => parts.map((part) => (part as { readonly _tag: string })._tag)

describe("any frames", () => {
  const odd: ReadonlyArray<unknown> = [
    null,
    0,
    -1,
    1e308,
    "",
    "x",
    "0",
    [],
    {},
    { toString: 1 },
    [null],
    { id: "m" },
    "response.output_text.delta"
  ]
  const types = [
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.custom_tool_call_input.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.incomplete",
    "response.completed",
    "ping"
  ] as const
  const items = ["message", "reasoning", "function_call", "custom_tool_call", "web_search_call"] as const
  const Odd = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: odd.length - 1 })))
  const Frame = Schema.Struct({
    type: Schema.Literals(types),
    item: Schema.Literals(items),
    index: Odd,
    id: Odd,
    value: Odd,
    other: Odd
  })

  it.prop(
    "give parts that fit together, and no defect",
    [Schema.Array(Frame)],
    ([frames]) => {
      const { failure, parts } = read(
        ...frames.map(({ id, index, item, other, type, value }) => {
          const call = { call_id: odd[other], name: odd[value], arguments: odd[other], input: odd[value] }
          const content = {
            content: [{ text: odd[value] }, odd[other]],
            summary: odd[other],
            encrypted_content: odd[id]
          }
          const output = { type: item, id: odd[id], ...call, ...content }
          const common = { output_index: odd[index], item_id: odd[id], delta: odd[value], arguments: odd[other] }
          const response = {
            output: [output, odd[value]],
            usage: { input_tokens: odd[value], output_tokens: odd[other] }
          }
          return { type, ...common, item: output, response, summary_index: odd[other] }
        })
      )
      assert.isTrue(failure === undefined || failure.kind === "Incomplete")
      const open = new Set<string>()
      for (const part of parts as ReadonlyArray<ModelPart>) {
        if (part._tag === "TextStart" || part._tag === "ReasoningStart") {
          assert.isFalse(open.has(part.id))
          open.add(part.id)
        } else if (part._tag === "TextDelta" || part._tag === "ReasoningDelta") assert.isTrue(open.has(part.id))
        else if (part._tag === "TextEnd" || part._tag === "ReasoningEnd") assert.isTrue(open.delete(part.id))
        else if (part._tag === "Finish") assert.strictEqual(open.size, 0)
      }
    },
    { arbitrary: { runs: 2000 } }
  )
})

describe("the last event", () => {
  const message = { type: "message", id: "m1", content: [{ type: "output_text", text: "hello" }] }
  const call = { type: "function_call", id: "f1", call_id: "c1", name: "now", arguments: '{"a":1}' }
  const ended = (...output: ReadonlyArray<object>) => ({ type: "response.completed", response: { output } })
  const textsOf = (parts: ReadonlyArray<object>) =>
    parts.flatMap((part) => ("delta" in part ? [part.delta as string] : [])).join("|")
  const callsOf = (parts: ReadonlyArray<object>) =>
    parts.flatMap((part) => ("callId" in part ? [{ callId: part.callId, params: (part as any).params }] : []))

  it("brings items that came nowhere else", () => {
    const { parts } = read(ended(message, call))
    assert.strictEqual(textsOf(parts), "hello")
    assert.deepStrictEqual(callsOf(parts), [{ callId: "c1", params: { a: 1 } }])
    assert.deepStrictEqual(parts.at(-1), { ...finish, reason: "tool-calls" })
  })

  it("repeats items that came before, whatever their ids are now", () => {
    const renamed = [
      { ...message, id: "m9" },
      { ...call, id: "f9", call_id: "c9" }
    ]
    for (const output of [[message, call], renamed, [{ ...message, id: undefined }, call]]) {
      const { parts } = read(done(message, 0), done(call, 1), ended(...output))
      assert.strictEqual(textsOf(parts), "hello")
      assert.deepStrictEqual(callsOf(parts), [{ callId: "c1", params: { a: 1 } }])
    }
  })

  it("brings a second call although the first came before", () => {
    const second = { ...call, id: "f2", call_id: "c2", arguments: '{"a":2}' }
    const { parts } = read(done(call, 1), ended(call, second))
    assert.deepStrictEqual(callsOf(parts), [
      { callId: "c1", params: { a: 1 } },
      { callId: "c2", params: { a: 2 } }
    ])
  })

  it("completes a text whose deltas broke off, and closes it with its seal", () => {
    const reasoning = { type: "reasoning", id: "r", encrypted_content: "e", summary: [] }
    const { parts } = read(
      added(reasoning, 0),
      added({ type: "message", id: "m1" }, 1),
      { type: "response.output_text.delta", output_index: 1, item_id: "m1", delta: "hel" },
      ended(reasoning, message)
    )
    assert.strictEqual(textsOf(parts), "hel|lo")
    assert.deepInclude(parts, { _tag: "ReasoningEnd", id: "0", encrypted: "e", sealedBy: "openai m", providerId: "r" })
  })

  for (const [name, events] of [
    [
      "their own event, and are empty in the item",
      [
        added({ ...call, arguments: "" }),
        { type: "response.function_call_arguments.done", output_index: 0, item_id: "f1", arguments: '{"a":1}' },
        done({ ...call, arguments: "" })
      ]
    ],
    [
      "their own event, in a call that never ended",
      [
        added({ ...call, arguments: null }),
        { type: "response.function_call_arguments.done", item_id: "f1", arguments: { a: 1 } }
      ]
    ],
    [
      "deltas",
      [
        added({ ...call, arguments: "" }),
        { type: "response.function_call_arguments.delta", item_id: "f1", delta: '{"a"' },
        { type: "response.function_call_arguments.delta", item_id: "f1", delta: ":1}" },
        done({ type: "function_call", id: "f1" })
      ]
    ]
  ] as const) {
    it(`is not needed by arguments that came in ${name}`, () => {
      const { parts } = read(...events, completed)
      assert.deepStrictEqual(callsOf(parts), [{ callId: "c1", params: { a: 1 } }])
    })
  }

  it("of a response that was cut off brings no call that was cut off", () => {
    const response = { status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, output: [call] }
    const { parts } = read(added(call), { type: "response.incomplete", response })
    assert.deepStrictEqual(tagsOf(parts), ["Finish"])
  })
})

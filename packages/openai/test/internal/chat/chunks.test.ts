import { assert, describe, it } from "@effect/vitest"
import type { ToolSpec } from "@spindle/core/Model"
import { ChunkReader } from "../../../src/internal/chat/chunks.ts"

const context = { provider: "p", model: "m", secrets: [], seal: "p m chat", toolNames: new Map() }
const tools: ReadonlyArray<ToolSpec> = [
  { name: "shell", description: undefined, parameters: {}, source: undefined },
  {
    name: "apply_patch",
    description: undefined,
    parameters: {},
    freeform: { syntax: "lark", definition: "x" },
    source: undefined
  }
]

const read = (...frames: ReadonlyArray<object | string>) => {
  const reader = new ChunkReader(context, tools)
  for (const frame of frames) reader.read(typeof frame === "string" ? frame : JSON.stringify(frame))
  reader.end(false)
  const { failure, isFinished, skipped } = reader
  return { parts: reader.take() as ReadonlyArray<object>, failure, isFinished, skipped: skipped.count }
}
const delta = (delta: object, finish_reason: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason }]
})
const piece = (...tool_calls: ReadonlyArray<object>) => delta({ tool_calls })
const stop = (reason: string) => delta({}, reason)
const finish = (reason: string, usage?: object) => ({ _tag: "Finish", reason, usage })
const call = (callId: string, params: unknown, name = "shell") => ({ _tag: "ToolCall", callId, name, params })
const fn = (name: string | undefined, args?: unknown) => ({
  function: { ...(name === undefined ? {} : { name }), ...(args === undefined ? {} : { arguments: args }) }
})

/** Each row: what a server sends, and the calls that the session gets. */
const callTable: ReadonlyArray<readonly [string, ReadonlyArray<object | string>, ReadonlyArray<object>]> = [
  [
    "in pieces, with id and name in the first only",
    [
      piece({ index: 0, id: "a", ...fn("shell", "") }),
      piece({ index: 0, ...fn(undefined, '{"cmd"') }),
      piece({ index: 0, ...fn(undefined, ':"ls"}') })
    ],
    [call("a", { cmd: "ls" })]
  ],
  [
    "several at once, with mixed pieces",
    [
      piece({ index: 0, id: "a", ...fn("shell", "{") }, { index: 1, id: "b", ...fn("shell", "{") }),
      piece({ index: 1, ...fn(undefined, '"cmd":"2"}') }, { index: 0, ...fn(undefined, '"cmd":"1"}') })
    ],
    [call("a", { cmd: "1" }), call("b", { cmd: "2" })]
  ],
  [
    "complete, all with the index 0",
    [
      piece({ index: 0, id: "a", ...fn("shell", '{"cmd":"1"}') }),
      piece({ index: 0, id: "b", ...fn("shell", '{"cmd":"2"}') })
    ],
    [call("a", { cmd: "1" }), call("b", { cmd: "2" })]
  ],
  [
    "complete, without an id and an index",
    [piece(fn("shell", '{"cmd":"1"}'), fn("shell", '{"cmd":"2"}'))],
    [call("call_0", { cmd: "1" }), call("call_1", { cmd: "2" })]
  ],
  [
    "complete, with one id for all",
    [piece({ id: "a", ...fn("shell", '{"cmd":"1"}') }, { id: "a", ...fn("shell", '{"cmd":"2"}') })],
    [call("a", { cmd: "1" }), call("a", { cmd: "2" })]
  ],
  [
    "with id and name in each piece",
    [
      piece({ index: 0, id: "a", ...fn("shell", '{"cmd":') }),
      piece({ index: 0, id: "a", ...fn("shell", '"ls"}') }),
      piece({ index: 0, id: "a", ...fn("shell", "") })
    ],
    [call("a", { cmd: "ls" })]
  ],
  [
    "with another id in each piece",
    [piece({ index: 0, id: "a", ...fn("shell", "{") }), piece({ index: 0, id: "b", ...fn(undefined, '"cmd":"ls"}') })],
    [call("a", { cmd: "ls" })]
  ],
  [
    "in pieces without an index",
    [
      piece({ id: "a", ...fn("shell", "{") }),
      piece({ id: "a", ...fn(undefined, '"cmd":') }),
      piece(fn(undefined, '"ls"}'))
    ],
    [call("a", { cmd: "ls" })]
  ],
  ["without arguments", [piece({ index: 0, id: "a", ...fn("shell") })], [call("a", {})]],
  ["with an object as arguments", [piece({ id: "a", ...fn("shell", { cmd: "ls" }) })], [call("a", { cmd: "ls" })]],
  [
    "with arguments that are not JSON",
    [piece({ index: 0, id: "a", ...fn("shell", "{cmd") })],
    [{ ...call("a", undefined), invalid: "{cmd" }]
  ],
  ["without a name", [piece({ index: 0, id: "a", ...fn(undefined, "{}") })], [call("a", {}, "unnamed")]]
]

const patch = "*** Begin Patch\n"
const freeformTable: ReadonlyArray<readonly [string, string, string]> = [
  ["in its parameter", JSON.stringify({ input: patch }), patch],
  ["in a parameter of another name", JSON.stringify({ patch }), patch],
  ["without an object", JSON.stringify(patch), patch],
  ["without JSON", patch, patch],
  ["among other texts", '{"a":"1","b":"2"}', '{"a":"1","b":"2"}'],
  ["not at all", "", ""]
]

describe("calls", () => {
  for (const [name, frames, calls] of callTable) {
    it(`come ${name}`, () => {
      const expected = [...calls, finish("tool-calls")]
      assert.deepStrictEqual(read(...frames, stop("tool_calls"), "[DONE]").parts, expected)
      assert.deepStrictEqual(read(...frames, stop("stop")).parts, expected)
    })
  }

  for (const [name, args, input] of freeformTable) {
    it(`of a freeform tool carry a text that comes ${name}`, () => {
      assert.deepStrictEqual(read(piece({ index: 0, id: "a", ...fn("apply_patch", args) }), "[DONE]").parts, [
        { ...call("a", { input }, "apply_patch"), freeform: true },
        finish("tool-calls")
      ])
    })
  }

  it("that were cut off do not count", () => {
    const complete = { index: 0, id: "a", ...fn("shell", '{"cmd":"ls"}') }
    const cut = { index: 1, id: "b", ...fn("shell", '{"cmd":"rm -rf /tm') }
    assert.deepStrictEqual(read(piece(complete, cut), stop("length")).parts, [
      call("a", { cmd: "ls" }),
      finish("length")
    ])
  })

  it("get their own name back", () => {
    const reader = new ChunkReader({ ...context, toolNames: new Map([["fs_read_1", "fs.read"]]) }, tools)
    reader.read(JSON.stringify(piece({ id: "a", ...fn("fs_read_1", "{}") })))
    reader.read("[DONE]")
    assert.deepStrictEqual(reader.take() as ReadonlyArray<object>, [call("a", {}, "fs.read"), finish("tool-calls")])
  })
})

describe("text and reasoning", () => {
  it("come as they are sent, each run with its own id", () => {
    const { parts } = read(
      delta({ role: "assistant", content: "" }),
      delta({ reasoning_content: "h" }),
      delta({ reasoning_content: "m", content: null }),
      delta({ content: "a" }),
      delta({ content: "b" }),
      delta({ reasoning_content: "x" }),
      stop("stop"),
      "[DONE]"
    )
    const sealed = { encrypted: "reasoning_content", sealedBy: "p m chat" }
    assert.deepStrictEqual(parts, [
      { _tag: "ReasoningStart", id: "0" },
      { _tag: "ReasoningDelta", id: "0", delta: "h" },
      { _tag: "ReasoningDelta", id: "0", delta: "m" },
      { _tag: "ReasoningEnd", id: "0", ...sealed },
      { _tag: "TextStart", id: "1" },
      { _tag: "TextDelta", id: "1", delta: "a" },
      { _tag: "TextDelta", id: "1", delta: "b" },
      { _tag: "TextEnd", id: "1" },
      { _tag: "ReasoningStart", id: "2" },
      { _tag: "ReasoningDelta", id: "2", delta: "x" },
      { _tag: "ReasoningEnd", id: "2", ...sealed },
      finish("stop")
    ])
  })

  it("come as lists of parts", () => {
    const { parts } = read(
      delta({ content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }] }),
      delta({ content: [{ type: "text", text: "a" }] }),
      "[DONE]"
    )
    assert.deepStrictEqual(parts, [
      { _tag: "ReasoningStart", id: "0" },
      { _tag: "ReasoningDelta", id: "0", delta: "hm" },
      { _tag: "ReasoningEnd", id: "0" },
      { _tag: "TextStart", id: "1" },
      { _tag: "TextDelta", id: "1", delta: "a" },
      { _tag: "TextEnd", id: "1" },
      finish("stop")
    ])
  })

  it("remember the field of reasoning, and take a refusal as text", () => {
    const { parts } = read(delta({ reasoning: "hm" }), delta({ refusal: "no" }), stop("stop"))
    assert.deepInclude(parts[2], { encrypted: "reasoning" })
    assert.deepStrictEqual(parts[4], { _tag: "TextDelta", id: "1", delta: "no" })
  })
})

describe("the end", () => {
  const text = delta({ content: "a" })
  const reasons: ReadonlyArray<readonly [string, string]> = [
    ["stop", "stop"],
    ["tool_calls", "stop"],
    ["eos", "stop"],
    ["length", "length"],
    ["max_tokens", "length"],
    ["content_filter", "content-filter"]
  ]
  for (const [reason, expected] of reasons) {
    it(`is ${expected} for ${reason}`, () => {
      assert.deepStrictEqual(read(text, stop(reason)).parts.at(-1), finish(expected))
    })
  }

  it("is stop at the mark without a reason, and none at all without both", () => {
    assert.deepStrictEqual(read(text, "[DONE]").parts.at(-1), finish("stop"))
    const { isFinished, parts } = read(text)
    assert.isFalse(isFinished)
    assert.deepStrictEqual(parts.at(-1), { _tag: "TextDelta", id: "0", delta: "a" })
  })

  it("has the usage of the last chunk, wherever it is", () => {
    const counts = {
      prompt_tokens: 9,
      completion_tokens: 7,
      total_tokens: 16,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens_details: { reasoning_tokens: 3 }
    }
    const usage = { input: 9, cachedInput: 4, output: 7, reasoning: 3, total: 16 }
    const early = { ...text, usage: { prompt_tokens: 1, completion_tokens: 1 } }
    assert.deepStrictEqual(
      read(early, stop("stop"), { choices: [], usage: counts }, "[DONE]").parts.at(-1),
      finish("stop", usage)
    )
    assert.deepStrictEqual(read(text, { ...stop("stop"), usage: counts }).parts.at(-1), finish("stop", usage))
    assert.deepStrictEqual(read(text, stop("stop"), { usage: counts }).parts.at(-1), finish("stop", usage))
    assert.deepStrictEqual(
      read(text, { ...stop("stop"), usage: { prompt_tokens: -1, completion_tokens: 1 } }).parts.at(-1),
      finish("stop")
    )
  })

  it("is the only finish, whatever follows", () => {
    assert.deepStrictEqual(read(text, stop("stop"), "[DONE]", text, stop("length"), "[DONE]").parts.slice(-1), [
      finish("stop")
    ])
  })
})

describe("errors and frames without sense", () => {
  const errors: ReadonlyArray<readonly [object, string, string]> = [
    [{ error: { message: "slow down", code: 429 } }, "RateLimited", "slow down"],
    [{ error: { message: "boom", type: "server_error" } }, "ServerError", "boom"],
    [{ error: "no memory" }, "ServerError", "no memory"],
    [{ object: "error", message: "too long", code: "context_length_exceeded" }, "ContextWindowExceeded", "too long"],
    [
      { choices: [{ delta: {}, finish_reason: "error", error: { message: "upstream died" } }] },
      "ServerError",
      "upstream died"
    ],
    [{ choices: [{ delta: {}, finish_reason: "insufficient_system_resource" }] }, "ServerError", "insufficient"]
  ]
  for (const [frame, kind, detail] of errors) {
    it(`fails as ${kind} for ${JSON.stringify(frame)}`, () => {
      const { failure, isFinished } = read(delta({ content: "a" }), frame, "[DONE]")
      assert.deepStrictEqual([failure?.kind, isFinished], [kind, false])
      assert.include(failure!.detail, detail)
    })
  }

  it("skips what is no chunk, and takes only the first choice", () => {
    const { parts, skipped } = read(
      "null",
      "{",
      { type: "response.created" },
      { choices: null },
      { choices: [] },
      { choices: [{ index: 1, delta: { content: "other" } }] },
      delta({ content: "a" }),
      { choices: [{ delta: { tool_calls: ["x"] } }] },
      "[DONE]"
    )
    assert.strictEqual(skipped, 5)
    assert.deepStrictEqual(parts, [
      { _tag: "TextStart", id: "0" },
      { _tag: "TextDelta", id: "0", delta: "a" },
      { _tag: "TextEnd", id: "0" },
      finish("stop")
    ])
  })
})

describe("a response in one body", () => {
  it("is read completely", () => {
    const reader = new ChunkReader(context, tools)
    const message = { content: "a", tool_calls: [{ id: "c", ...fn("shell", '{"cmd":"ls"}') }] }
    const usage = { prompt_tokens: 1, completion_tokens: 2 }
    reader.readResponse(JSON.stringify({ choices: [{ message, finish_reason: "tool_calls" }], usage }))
    assert.deepStrictEqual(reader.take() as ReadonlyArray<object>, [
      { _tag: "TextStart", id: "0" },
      { _tag: "TextDelta", id: "0", delta: "a" },
      { _tag: "TextEnd", id: "0" },
      call("c", { cmd: "ls" }),
      finish("tool-calls", { input: 1, cachedInput: 0, output: 2, reasoning: 0, total: 3 })
    ])
  })

  it("is left alone when it is something else", () => {
    const reader = new ChunkReader(context, tools)
    reader.readResponse('{"error":{"message":"no"}}')
    reader.readResponse("<html>")
    assert.deepStrictEqual([reader.take().length, reader.isOver], [0, false])
  })
})

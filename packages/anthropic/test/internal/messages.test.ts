import { assert, describe, it } from "@effect/vitest"
import { ItemId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import { Schema } from "effect"
import { bodyOf } from "../../src/internal/request.ts"
import { messagesOf, redactedMark } from "../../src/internal/messages.ts"
import { callId, id } from "../fixture.ts"
import { refusalOf } from "../strictServer.ts"

const seal = "anthropic claude messages"
const half = "half \ud83d"

const user = (text: string): Item => ({ _tag: "UserMessage", id, content: [{ _tag: "Text", text }] })
const assistant = (text: string): Item => ({ _tag: "AssistantMessage", id, text })
const thought = (text: string, encrypted: string, sealedBy = seal): Item => ({
  _tag: "Reasoning",
  id,
  text,
  encrypted,
  sealedBy
})
const call = (name: string, params: unknown, of = name): Item => ({
  _tag: "ToolCall",
  id,
  callId: callId(of),
  name,
  params
})
const result = (name: string, output: unknown, status: "completed" | "failed" = "completed"): Item => ({
  _tag: "ToolResult",
  id,
  callId: callId(name),
  name,
  status,
  output
})

const contents = (items: ReadonlyArray<Item>) =>
  messagesOf(items, seal).map(({ message: { content, role } }) => [role, ...content] as const)

describe("messages", () => {
  it("have thinking with its signature first, and results in the message after the calls", () => {
    assert.deepStrictEqual(
      contents([
        user("go"),
        thought("why", "sig"),
        thought("", `${redactedMark}data`),
        assistant("text"),
        call("a", { x: 1 }),
        call("b", {}),
        result("b", "two", "failed"),
        result("a", { ok: true }),
        user("more")
      ]),
      [
        ["user", { type: "text", text: "go" }],
        [
          "assistant",
          { type: "thinking", thinking: "why", signature: "sig" },
          { type: "redacted_thinking", data: "data" },
          { type: "text", text: "text" },
          { type: "tool_use", id: "a", name: "a", input: { x: 1 } },
          { type: "tool_use", id: "b", name: "b", input: {} }
        ],
        [
          "user",
          { type: "tool_result", tool_use_id: "a", content: '{"ok":true}' },
          { type: "tool_result", tool_use_id: "b", content: "two", is_error: true },
          { type: "text", text: "more" }
        ]
      ]
    )
  })

  it("leave out thinking of others, thinking without a signature, and thinking alone", () => {
    const unsealed: Item = { _tag: "Reasoning", id, text: "cut off" }
    assert.deepStrictEqual(
      contents([
        user("go"),
        thought("theirs", "s", "openai m"),
        unsealed,
        assistant("text"),
        user("on"),
        thought("x", "s")
      ]),
      [
        ["user", { type: "text", text: "go" }],
        ["assistant", { type: "text", text: "text" }],
        ["user", { type: "text", text: "on" }]
      ]
    )
  })

  it("begin and end with the user, and carry images", () => {
    const images: Item = {
      _tag: "UserMessage",
      id,
      content: ["data:image/png;base64,aGk=", "https://x/y.png", "file:///z"].map((url) => ({ _tag: "Image", url }))
    }
    assert.deepStrictEqual(contents([assistant("I begin"), images, assistant("I end  ")]), [
      ["user", { type: "text", text: "Continue." }],
      ["assistant", { type: "text", text: "I begin" }],
      [
        "user",
        { type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } },
        { type: "image", source: { type: "url", url: "https://x/y.png" } },
        { type: "text", text: "(an image without an address that can be sent)" }
      ],
      ["assistant", { type: "text", text: "I end" }],
      ["user", { type: "text", text: "Continue." }]
    ])
  })
})

const Step = Schema.Struct({
  kind: Schema.Literals([
    "user",
    "image",
    "developer",
    "assistant",
    "own",
    "hidden",
    "foreign",
    "open",
    "call",
    "result"
  ]),
  text: Schema.Literals(["", "hi", " x ", half]),
  of: Schema.Literals(["c", "", half, "a".repeat(70), "d"]),
  params: Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 3 })))
})

const itemOf = ({ kind, of, params, text }: typeof Step.Type, index: number): Item => {
  const own = { id: ItemId.make(`1.${index}`) }
  switch (kind) {
    case "user":
      return { _tag: "UserMessage", ...own, content: [{ _tag: "Text", text }] }
    case "image":
      return { _tag: "UserMessage", ...own, content: [{ _tag: "Image", url: text }] }
    case "developer":
      return { _tag: "DeveloperMessage", ...own, text }
    case "assistant":
      return { _tag: "AssistantMessage", ...own, text }
    case "own":
      return { ...thought(text, "sig"), ...own }
    case "hidden":
      return { ...thought("", `${redactedMark}data`), ...own }
    case "foreign":
      return { ...thought(text, "sig", "other"), ...own }
    case "open":
      return { _tag: "Reasoning", ...own, text }
    case "call": {
      const freeform = params === 3 ? ({ freeform: true } as const) : {}
      return { ...call("fs.read", [{ [half]: half }, null, 7, { input: text }][params], of), ...own, ...freeform }
    }
    case "result":
      return { _tag: "ToolResult", ...own, callId: callId(of), name: "fs.read", status: "completed", output: text }
  }
}

describe("a request", () => {
  it.prop(
    "is accepted whatever the history contains, and begins with the shorter one",
    [Schema.Array(Step)],
    ([steps]) => {
      const items = steps.map(itemOf)
      const tools = [
        { name: "fs.read", description: half, parameters: {}, source: undefined },
        {
          name: "patch",
          description: undefined,
          parameters: {},
          freeform: { syntax: "lark", definition: "x" },
          source: undefined
        }
      ]
      const options = { model: "claude", reasoningEffort: "high" }
      const entries = messagesOf(items, seal)
      const body = bodyOf(options, { instructions: " ", items, tools, output: undefined }, entries)
      assert.isUndefined(refusalOf(body), body)
      for (let count = 0; count < items.length; count++) {
        const shorter = messagesOf(items.slice(0, count), seal).slice(0, -2)
        assert.deepStrictEqual(
          entries.slice(0, shorter.length).map(({ message }) => message),
          shorter.map(({ message }) => message)
        )
      }
    },
    { arbitrary: { runs: 300 } }
  )
})

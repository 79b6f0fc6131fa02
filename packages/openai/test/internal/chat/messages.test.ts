import { assert, describe, it } from "@effect/vitest"
import { Item } from "@spindle/core/Item"
import { ItemId } from "@spindle/core/Ids"
import { Schema } from "effect"
import { messagesOf } from "../../../src/internal/chat/messages.ts"
import { bodyOf } from "../../../src/internal/chat/request.ts"
import { callId } from "../../fixture.ts"
import { half, itemOf, Step, Steps, tools } from "../../histories.ts"
import { chatRefusalOf } from "../../strictChatServer.ts"

const seal = "p m chat"
const id = ItemId.make("1.0")
const messages = (items: ReadonlyArray<Item>, instructions?: string) =>
  messagesOf(instructions, items, seal).map(({ message }) => message)
const user = (text: string): Item => ({ _tag: "UserMessage", id, content: [{ _tag: "Text", text }] })
const said = (text: string): Item => ({ _tag: "AssistantMessage", id, text })
const called = (value: string, part: object = {}): Item => ({
  _tag: "ToolCall",
  id,
  callId: callId(value),
  name: "shell",
  params: {},
  ...part
})
const returned = (value: string, output: unknown = value): Item => ({
  _tag: "ToolResult",
  id,
  callId: callId(value),
  name: "shell",
  status: "completed",
  output
})
const bodyFor = (items: ReadonlyArray<Item>) =>
  bodyOf({ model: "m" }, { instructions: half, items, tools, output: undefined }, messagesOf(half, items, seal))

describe("any history", () => {
  it.prop(
    "becomes messages that a strict server accepts",
    [Steps],
    ([history]) => {
      assert.isUndefined(chatRefusalOf(bodyFor(history.map(itemOf))))
    },
    { arbitrary: { runs: 1000 } }
  )

  it.prop("of arbitrary items does so too", [Schema.Array(Item)], ([items]) => {
    assert.isUndefined(chatRefusalOf(bodyFor(items)))
  })

  it("is sent without what another provider ran itself", () => {
    const search = called("a", { name: "web_search", byProvider: true })
    const own = [called("a"), returned("a"), said("done")]
    assert.deepStrictEqual(
      messages([user("go"), search, returned("a", "found"), ...own]),
      messages([user("go"), ...own])
    )
  })

  it.prop(
    "becomes messages that begin with those of each history before it, the last excepted",
    [Steps, Step],
    ([history, step]) => {
      const items = [...history.map(itemOf), user("next")]
      const before = messages(items)
      const after = messages([...items, itemOf(step, items.length)])
      assert.deepStrictEqual(after.slice(0, before.length - 1), before.slice(0, -1))
    },
    { arbitrary: { runs: 300 } }
  )
})

describe("messages", () => {
  it("join what one side said in a row, and give each call its result directly", () => {
    const items = [
      user("one"),
      { _tag: "DeveloperMessage", id, text: "two" } as const,
      said("three"),
      called("aaaaaaaaa"),
      called("bbbbbbbbb", { name: "apply_patch", params: { input: "+x" }, freeform: true }),
      said("four"),
      returned("aaaaaaaaa", { code: 0 }),
      called("ccccccccc", { params: undefined, invalid: "{cmd" }),
      returned("ccccccccc", ""),
      returned("bbbbbbbbb", ""),
      user("five")
    ]
    const call = (id: string, name: string, args: string) => ({
      id,
      type: "function",
      function: { name, arguments: args }
    })
    assert.deepStrictEqual(messages(items, "Be brief.") as ReadonlyArray<object>, [
      { role: "system", content: "Be brief." },
      { role: "user", content: "one\n\ntwo" },
      {
        role: "assistant",
        content: "three\n\nfour",
        tool_calls: [call("aaaaaaaaa", "shell", "{}"), call("bbbbbbbbb", "apply_patch", '{"input":"+x"}')]
      },
      { role: "tool", tool_call_id: "aaaaaaaaa", content: '{"code":0}' },
      { role: "tool", tool_call_id: "bbbbbbbbb", content: "(no output)" },
      { role: "assistant", content: null, tool_calls: [call("ccccccccc", "shell", "{}")] },
      {
        role: "tool",
        tool_call_id: "ccccccccc",
        content: "\n\nThe arguments of this call were not a JSON object. They were:\n{cmd"
      },
      { role: "assistant", content: "Understood." },
      { role: "user", content: "five" }
    ])
  })

  it("carry images as parts, between the texts", () => {
    const content = [
      { _tag: "Text", text: "look" },
      { _tag: "Image", url: "data:image/png;base64,AA==" },
      { _tag: "Image", url: "file:///x.png" }
    ] as const
    assert.deepStrictEqual(messages([{ _tag: "UserMessage", id, content }]) as ReadonlyArray<object>, [
      {
        role: "user",
        content: [
          { type: "text", text: "look" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } },
          { type: "text", text: "(an image without an address that can be sent)" }
        ]
      }
    ])
  })

  it("give reasoning back with the calls of the same model, in the field that it came in", () => {
    const reasoning = (part: object): Item => ({ _tag: "Reasoning", id, text: "hm", ...part })
    const own = { encrypted: "reasoning_content", sealedBy: seal }
    const before = (part: object, ...items: ReadonlyArray<Item>) =>
      messages([user("a"), reasoning(part), ...items])[1] as object
    const calls = [called("aaaaaaaaa"), returned("aaaaaaaaa")]
    assert.deepInclude(before(own, ...calls), { reasoning_content: "hm" })
    assert.deepInclude(before({ ...own, encrypted: "reasoning" }, ...calls), { reasoning: "hm" })
    assert.doesNotHaveAnyKeys(before({ ...own, sealedBy: "openai m" }, ...calls), ["reasoning_content"])
    assert.doesNotHaveAnyKeys(before({ encrypted: "sealed" }, ...calls), ["reasoning_content", "reasoning"])
    assert.doesNotHaveAnyKeys(before(own, said("b")), ["reasoning_content"])
    assert.deepStrictEqual(messages([user("a"), reasoning(own), user("b")]), [{ role: "user", content: "a\n\nb" }])
  })

  it("keep ids of nine letters and digits, and make others unique", () => {
    const idsOf = (...values: ReadonlyArray<string>) =>
      messages(values.flatMap((value) => [called(value), returned(value)])).flatMap((message) =>
        message.role === "tool" ? [message.tool_call_id] : []
      )
    assert.deepStrictEqual(idsOf("abcDEF123"), ["abcDEF123"])
    const ids = idsOf("call_0", "call_0", "abcDEF123", "abcDEF123", "call_0")
    assert.strictEqual(new Set(ids).size, 5)
    assert.deepStrictEqual(idsOf("call_0", "call_0"), ids.slice(0, 2))
  })
})

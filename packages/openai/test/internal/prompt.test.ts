import { assert, describe, it } from "@effect/vitest"
import { Prompt } from "effect/ai"
import { fromPrompt } from "../../src/internal/prompt.ts"

const itemsOf = (input: Prompt.RawInput) =>
  fromPrompt(Prompt.make(input)).items.map((item): object =>
    Object.fromEntries(Object.entries(item).filter(([name]) => name !== "id"))
  )

describe("fromPrompt", () => {
  it("makes the first system messages the instructions, and later ones messages of the developer", () => {
    const { instructions, items } = fromPrompt(
      Prompt.make([
        { role: "system", content: "one" },
        { role: "system", content: "two" },
        { role: "user", content: "hi" },
        { role: "system", content: "three" }
      ])
    )
    assert.strictEqual(instructions, "one\n\ntwo")
    assert.deepStrictEqual(items as ReadonlyArray<object>, [
      { _tag: "UserMessage", content: [{ _tag: "Text", text: "hi" }], id: "0.0" },
      { _tag: "DeveloperMessage", text: "three", id: "0.1" }
    ])
  })

  it("has instructions alone when there is nothing else", () => {
    const { instructions, items } = fromPrompt(Prompt.make([{ role: "system", content: "one" }]))
    assert.strictEqual(instructions, "one")
    assert.deepStrictEqual(items, [])
  })

  it("gives images as addresses or as data", () => {
    const file = (data: string | Uint8Array | URL) => ({ type: "file", mediaType: "image/png", data }) as const
    const content = [
      file(Uint8Array.of(0)),
      file("AQ=="),
      file("data:image/png;base64,Ag=="),
      file(new URL("https://a.test/b.png"))
    ]
    assert.deepStrictEqual(itemsOf([{ role: "user", content }]), [
      {
        _tag: "UserMessage",
        content: [
          { _tag: "Image", url: "data:image/png;base64,AA==" },
          { _tag: "Image", url: "data:image/png;base64,AQ==" },
          { _tag: "Image", url: "data:image/png;base64,Ag==" },
          { _tag: "Image", url: "https://a.test/b.png" }
        ]
      }
    ])
  })

  it("gives back the ids and the encrypted reasoning of earlier responses", () => {
    assert.deepStrictEqual(
      itemsOf([
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "hm", options: { openai: { itemId: "rs", encryptedContent: "e" } } },
            { type: "text", text: "ok", options: { openai: { itemId: "msg" } } },
            { type: "tool-call", id: "c1", name: "t", params: { a: 1 }, options: { openai: { itemId: "fc" } } },
            { type: "tool-call", id: "c2", name: "t", params: "{a", options: { other: null } }
          ]
        },
        {
          role: "tool",
          content: [
            { type: "tool-result", id: "c1", name: "t", isFailure: false, result: { b: 2 } },
            {
              type: "tool-result",
              id: "c2",
              name: "t",
              isFailure: true,
              result: 0,
              modelOutput: [
                { type: "text", text: "no" },
                { type: "text", text: "more" }
              ]
            }
          ]
        }
      ]),
      [
        { _tag: "Reasoning", text: "hm", encrypted: "e", providerId: "rs" },
        { _tag: "AssistantMessage", text: "ok", providerId: "msg" },
        { _tag: "ToolCall", callId: "c1", name: "t", params: { a: 1 }, providerId: "fc" },
        { _tag: "ToolCall", callId: "c2", name: "t", params: undefined, invalid: "{a" },
        { _tag: "ToolResult", callId: "c1", name: "t", status: "completed", output: { b: 2 } },
        { _tag: "ToolResult", callId: "c2", name: "t", status: "failed", output: "no\nmore" }
      ]
    )
  })

  it("names what cannot be converted", () => {
    const { unsupported } = fromPrompt(
      Prompt.make([{ role: "user", content: [{ type: "file", mediaType: "application/pdf", data: "AA==" }] }])
    )
    assert.deepStrictEqual(unsupported, ["a file of type application/pdf"])
  })
})

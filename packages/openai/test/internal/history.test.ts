import { assert, describe, it } from "@effect/vitest"
import { Item } from "@spindle/core/Item"
import { ItemId } from "@spindle/core/Ids"
import { Schema } from "effect"
import { inputOf } from "../../src/internal/history.ts"
import { bodyOf } from "../../src/internal/request.ts"
import { callId } from "../fixture.ts"
import { half, itemOf, Step, Steps, tools } from "../histories.ts"
import { refusalOf } from "../strictServer.ts"

const textOf = (items: ReadonlyArray<Item>) =>
  bodyOf(
    { model: "m" },
    { sessionId: "s", instructions: half, items, tools, output: undefined, toolChoice: "auto" },
    inputOf(items, "openai m", "openai")
  )

describe("any history", () => {
  it.prop(
    "becomes a request that a strict server accepts",
    [Steps],
    ([history]) => {
      assert.isUndefined(refusalOf(textOf(history.map(itemOf)), "A"))
    },
    { arbitrary: { runs: 1000 } }
  )

  it.prop("of arbitrary items does so too", [Schema.Array(Item)], ([items]) => {
    assert.isUndefined(refusalOf(textOf(items)))
  })

  it.prop(
    "becomes a request that begins with the request of each history before it",
    [Steps, Step],
    ([history, step]) => {
      const items = history.map(itemOf)
      const next = itemOf(step, items.length)
      const user: Item = { _tag: "UserMessage", id: ItemId.make("u"), content: [{ _tag: "Text", text: "next" }] }
      const before = wires([...items, user])
      const after = wires([...items, user, next])
      assert.deepStrictEqual(after.slice(0, before.length), before)
    },
    { arbitrary: { runs: 300 } }
  )
})

const wires = (items: ReadonlyArray<Item>) => inputOf(items, "openai m", "openai").map(({ wire }) => wire)

describe("inputOf", () => {
  const id = ItemId.make("1.0")
  const call = (value: string, part: object = {}): ReadonlyArray<Item> => [
    { _tag: "ToolCall", id, callId: callId(value), name: "shell", params: {}, ...part },
    { _tag: "ToolResult", id, callId: callId(value), name: "shell", status: "completed", output: value }
  ]
  const idsOf = (items: ReadonlyArray<Item>) => wires(items).map((wire) => wire["call_id"])

  it("gives calls that share an id distinct ids, over rounds and within 64 characters", () => {
    const long = "l".repeat(64)
    const cut = `${"l".repeat(62)}_2`
    const third = "c_2_2"
    assert.deepStrictEqual(idsOf([...call("c"), ...call("c"), ...call("c#2")]), ["c", "c", "c_2", "c_2", third, third])
    assert.deepStrictEqual(idsOf([...call(long), ...call(long)]), [long, long, cut, cut])
  })

  it("puts the arguments that were not an object into the result", () => {
    const [first, second] = wires(call("c", { params: undefined, invalid: '{"cmd": "ca' }))
    assert.strictEqual(first!["arguments"], "{}")
    assert.strictEqual(
      second!["output"],
      'c\n\nThe arguments of this call were not a JSON object. They were:\n{"cmd": "ca'
    )
    assert.include(String(wires(call("c", { params: [1] }))[1]!["output"]), "They were:\n[1]")
    assert.strictEqual(wires(call("c", { params: null }))[1]!["output"], "c")
  })

  it("sends sealed reasoning to its maker, and reasoning of an unknown maker to any", () => {
    const sealed = { _tag: "Reasoning", id, text: "", encrypted: "e" } as const
    const said: Item = { _tag: "AssistantMessage", id, text: "x" }
    const types = (item: Item) => wires([item, said]).map(({ type }) => type)
    assert.deepStrictEqual(types({ ...sealed, sealedBy: "openai m" }), ["reasoning", "message"])
    assert.deepStrictEqual(types({ ...sealed, sealedBy: "openai n" }), ["message"])
    assert.deepStrictEqual(types(sealed), ["reasoning", "message"])
  })

  it("leaves out reasoning that a stop parted from its text", () => {
    const sealed: Item = { _tag: "Reasoning", id, text: "", encrypted: "e", sealedBy: "openai m" }
    const user: Item = { _tag: "UserMessage", id, content: [{ _tag: "Text", text: "stop" }] }
    const said: Item = { _tag: "AssistantMessage", id, text: "x" }
    assert.deepStrictEqual(
      wires([sealed, user, said]).map(({ type }) => type),
      ["message", "message"]
    )
  })
})

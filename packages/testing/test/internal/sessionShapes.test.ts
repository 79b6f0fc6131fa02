import { assert, describe, it } from "@effect/vitest"
import { CallId, ItemId, SessionId, TurnId } from "@spindle/core/Ids"
import type { Item, ToolResult } from "@spindle/core/Item"
import type { ModelPart } from "@spindle/core/Model"
import * as Shapes from "../../src/internal/sessionShapes.ts"

const reported: Item = {
  _tag: "UserMessage",
  id: ItemId.make("report"),
  content: [{ _tag: "Text", text: "reported" }],
  fragment: Shapes.alongsideKind
}

const resultOf = ({ callId, name }: Extract<ModelPart, { readonly _tag: "ToolCall" }>): ToolResult => ({
  _tag: "ToolResult",
  id: ItemId.make(`result of ${callId}`),
  callId: CallId.make(callId),
  name,
  status: "completed",
  output: "done"
})

describe("the script of a shape", () => {
  for (const name of Shapes.names) {
    it(`ends a turn of ${name} that begins with the report of a task, without input of the user`, () => {
      const { script } = Shapes.make(name, { opened: 0, closed: 0 })
      if (typeof script !== "function") return assert.fail("the script does not look at the request")
      const items: Array<Item> = [reported]
      const ids = { sessionId: SessionId.make("session"), turnId: TurnId.make("turn") }
      for (let index = 0; index < 4; index++) {
        const answer = script({ ...ids, instructions: undefined, items, tools: [], output: undefined }, index)
        const calls = [answer]
          .flat(2)
          .flatMap((step) => (step._tag === "Part" && step.part._tag === "ToolCall" ? [step.part] : []))
        if (calls.length === 0) return
        items.push(...calls.map(resultOf))
      }
      assert.fail("the model calls tools without end")
    })
  }
})

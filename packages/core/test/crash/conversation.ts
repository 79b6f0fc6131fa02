/** The conversation of the crash trials: each turn makes two concurrent tool calls, then says something. */
import * as Agent from "@spindle/core/Agent"
import type { ModelRequest } from "@spindle/core/Model"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"

const toolkit = Toolkit.make(
  Tool.make("note", { parameters: Schema.Struct({ text: Schema.String }), success: Schema.String })
)

/** The agent. */
export const agent = Agent.make({
  toolkit,
  instructions: "Note everything.",
  approvals: { note: { approval: "allow", concurrency: "parallel" } }
})

/** Texts of various lengths, some not ASCII. */
const texts = ["short", "€".repeat(50), `${"𝄞 é ".repeat(300)}`, "x".repeat(5_000)]

/** A model whose call ids begin with `name`; each text comes in two pieces. */
export const model = (name: string) =>
  ScriptedModel.make(({ items }: ModelRequest, index) => {
    const lastInput = items.findLastIndex((item) => item._tag === "UserMessage")
    if (items.slice(lastInput).some((item) => item._tag === "ToolResult")) {
      return [ScriptedModel.text(texts[index % texts.length]!, " done")]
    }
    return [
      ScriptedModel.reasoning("thinking"),
      ...["a", "b"].map((one, offset) =>
        ScriptedModel.call("note", { text: texts[(index + offset) % texts.length] }, `${name}-${index}${one}`)
      )
    ]
  })

/** The handlers; calls `started` with the id of each call when its handler starts. */
export const handlers = (started: (text: string, callId: string | undefined) => void) =>
  toolkit.toLayer({
    note: ({ text }, context) =>
      Effect.sync(() => {
        started(text, (context as { readonly toolCallId?: string }).toolCallId)
        return text
      })
  })

import { ItemId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import { Schema } from "effect"
import { callId } from "./fixture.ts"

/** A text with half a surrogate pair. */
export const half = "half \ud83d"
const texts = ["", "hi", half, `\udc00 back\\slash \\ud83d`, "é😀"] as const
const ids = ["c", "call_0", "call_0#2", "", half, "a".repeat(64), "a".repeat(65), "c_2"] as const
const names = ["shell", "fs.read", half, "", "n".repeat(80)] as const
const params = [
  { cmd: half, [half]: [half] },
  null,
  3,
  [1],
  "text",
  half,
  { input: half },
  { input: { a: 1 } }
] as const

/** Pieces that a journal may hold, in the worst forms. */
export const Step = Schema.Struct({
  kind: Schema.Literals([
    "user",
    "image",
    "nothing",
    "developer",
    "assistant",
    "superseded",
    "sealed",
    "foreign",
    "open",
    "call",
    "broken",
    "freeform",
    "result"
  ]),
  text: Schema.Literals(texts),
  id: Schema.Literals(ids),
  name: Schema.Literals(names),
  params: Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: params.length - 1 }))),
  providerId: Schema.Literals(["rs_1", "rs_2", "foreign", ""])
})
/** A history in the worst form. */
export const Steps = Schema.Array(Step)

/** The item of a piece. */
export const itemOf = (step: typeof Step.Type, index: number): Item => {
  const { name, providerId, text } = step
  const id = ItemId.make(`1.${index}`)
  const call = { id, callId: callId(step.id), name, providerId, params: params[step.params] } as const
  switch (step.kind) {
    case "user":
      return { _tag: "UserMessage", id, content: [{ _tag: "Text", text }] }
    case "image":
      return { _tag: "UserMessage", id, content: [{ _tag: "Image", url: text }] }
    case "nothing":
      return { _tag: "UserMessage", id, content: [] }
    case "developer":
      return { _tag: "DeveloperMessage", id, text }
    case "assistant":
      return { _tag: "AssistantMessage", id, text, providerId }
    case "superseded":
      return { _tag: "AssistantMessage", id, text, partial: "superseded" }
    case "sealed":
      return { _tag: "Reasoning", id, text, encrypted: "A sealed", sealedBy: "openai m", providerId }
    case "foreign":
      return { _tag: "Reasoning", id, text, encrypted: "B sealed", sealedBy: "other m", providerId }
    case "open":
      return { _tag: "Reasoning", id, text, providerId }
    case "call":
      return { _tag: "ToolCall", ...call }
    case "broken":
      return { _tag: "ToolCall", ...call, params: undefined, invalid: `{"cmd": ${text}` }
    case "freeform":
      return { _tag: "ToolCall", ...call, freeform: true }
    case "result":
      return {
        _tag: "ToolResult",
        id,
        callId: callId(step.id),
        name,
        status: "completed",
        output: step.params % 2 ? text : { text }
      }
  }
}

/** Tools with these names. */
export const tools = names.map((name) => ({
  name,
  description: half,
  parameters: { type: "object" },
  source: undefined
}))

/** A history by the side that speaks, for the APIs whose messages alternate between the user and the model. */
import * as History from "@spindle/core/History"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import { CallIds, type MakeId, resultText, type ToolCall } from "../calls.ts"

/** Input of the user or of the program, as parts of a message. There is at least one part. */
export interface InputSide<Part> {
  readonly _tag: "Input"
  readonly item: Item
  readonly parts: ReadonlyArray<Part>
}

/** An item of the model. */
export type Said = Extract<Item, { _tag: "AssistantMessage" | "Reasoning" | "ToolCall" }>

/** The words and calls of the model until the next input, or the first result of its calls. It has a text or a call. */
export interface ModelSide {
  readonly _tag: "Model"
  readonly items: ReadonlyArray<Said>
  /** Its texts that are not blank. */
  readonly texts: ReadonlyArray<string>
  readonly calls: ReadonlyArray<CompletedCall>
}

/** A call, its id on the wire, and its result, with the text of it that the model reads. */
export interface CompletedCall {
  readonly call: ToolCall
  readonly id: string
  readonly result: ToolResult
  readonly output: string
}

type ToolResult = Extract<Item, { _tag: "ToolResult" }>

/**
 * Splits a history, whatever the journal contains, at each change of the side that speaks. `makeId` makes the ids of the
 * calls, and `partsOf` the parts of an input: none for a blank text.
 */
export const sidesOf = <Part>(
  items: ReadonlyArray<Item>,
  makeId: MakeId,
  partsOf: (part: Input.InputPart) => ReadonlyArray<Part>
): ReadonlyArray<InputSide<Part> | ModelSide> => {
  const history = withoutProviderCalls(History.repair(items))
  const results = resultsOf(history)
  const ids = new CallIds(makeId)
  const sides: Array<InputSide<Part> | ModelSide> = []
  let said: Array<Said> = []
  const endModelSide = () => {
    const items = said
    said = []
    const texts = items.flatMap((item) => (item._tag === "AssistantMessage" && !isBlank(item.text) ? [item.text] : []))
    const calls = items.flatMap((item) =>
      item._tag === "ToolCall" ? [completedCall(item, ids.open(item), results.get(item)!)] : []
    )
    if (texts.length > 0 || calls.length > 0) sides.push({ _tag: "Model", items, texts, calls })
  }
  for (const item of history) {
    if (item._tag === "UserMessage" || item._tag === "DeveloperMessage") {
      const content = item._tag === "UserMessage" ? item.content : Input.text(item.text)
      const parts = content.flatMap(partsOf)
      if (parts.length === 0) continue
      endModelSide()
      sides.push({ _tag: "Input", item, parts })
    } else if (item._tag !== "ToolResult") said.push(item)
    // the result of a call of an earlier side is already there
    else if (said.some((one) => one._tag === "ToolCall" && results.get(one) === item)) endModelSide()
  }
  endModelSide()
  return sides
}

const completedCall = (call: ToolCall, id: string, result: ToolResult): CompletedCall => {
  const output = resultText(result, call)
  return { call, id, result, output: isBlank(output) ? "(no output)" : output }
}

/** Returns true if a text has only white space. */
export const isBlank = (text: string): boolean => text.trim() === ""

/** Leaves out the calls that a provider ran itself, such as web searches: other servers have no such calls. */
const withoutProviderCalls = (items: ReadonlyArray<Item>): ReadonlyArray<Item> => {
  const theirs = new Set<string>()
  return items.filter((item) => {
    if (item._tag === "ToolResult") return !theirs.has(item.callId)
    if (item._tag !== "ToolCall") return true
    if (item.byProvider) theirs.add(item.callId)
    else theirs.delete(item.callId)
    return !item.byProvider
  })
}

/** The result of each call of a repaired history. */
const resultsOf = (items: ReadonlyArray<Item>): ReadonlyMap<ToolCall, ToolResult> => {
  const open = new Map<string, ToolCall>()
  const results = new Map<ToolCall, ToolResult>()
  for (const item of items) {
    if (item._tag === "ToolCall") open.set(item.callId, item)
    else if (item._tag === "ToolResult") results.set(open.get(item.callId)!, item)
  }
  return results
}

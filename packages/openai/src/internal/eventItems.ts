/** The output items of a response: their text, their arguments, and their match with the streamed items. */
import { CallId } from "@spindle/core/Ids"
import type { ModelPart } from "@spindle/core/Model"
import { isObject, type Json, jsonText, parse, textOf } from "./json.ts"

/** The kinds of items that become parts. All others are ignored. */
export type ItemType = "message" | "reasoning" | "function_call" | "custom_tool_call"

/** An item that arrived in the stream, completely or in part. */
export interface StreamedItem {
  readonly type: ItemType
  /** The id that the server last gave it. */
  id: string | undefined
  callId: string | undefined
  /** The text of a message or of reasoning; the name and the arguments of a call. */
  content: string
}

/** Returns the type of an item that becomes a part; undefined for any other. */
export const typeOf = (item: Json): ItemType | undefined => {
  const { type } = item
  return type === "message" || type === "reasoning" || isCallType(type) ? type : undefined
}

/** Returns true if items of this type are calls of a tool. */
export const isCallType = (type: unknown): type is "function_call" | "custom_tool_call" =>
  type === "function_call" || type === "custom_tool_call"

/** Converts a search that the provider has run to a part. `count` names it if it has no id. */
export const searchOf = (item: Json, count: number): ModelPart => {
  const action = isObject(item["action"]) ? item["action"] : {}
  return {
    _tag: "ToolCall",
    callId: CallId.make(textOf(item["id"]) ?? `search_${count}`),
    name: "web_search",
    params: action,
    executed: { output: "The provider has run this search.", display: { _tag: "Search", query: queryOf(action) } }
  }
}

/** Returns the query of a search, or the page that it opened. */
const queryOf = ({ pattern, queries, query, url }: Json): string => {
  const texts = [query, ...(Array.isArray(queries) ? queries : []), pattern, url]
  return texts.find((text) => typeof text === "string" && text !== "") ?? ""
}

/** Returns the complete text of a message or of reasoning. */
export const contentOf = (item: Json): string =>
  [item["summary"], item["content"]]
    .flatMap((list) => (Array.isArray(list) ? list : [list]))
    .map((part) => (isObject(part) ? (part["text"] ?? part["refusal"]) : part))
    .filter((text) => typeof text === "string")
    .join(item["type"] === "reasoning" ? "\n\n" : "")

/** Returns the input of a call: `input` for a custom tool, `arguments` for a function. */
export const inputOf = (item: Json): unknown => item[item["type"] === "custom_tool_call" ? "input" : "arguments"]

/** Returns true if the input of a call is empty, so that the input from other events counts. */
export const isBlank = (input: unknown): boolean =>
  input === undefined || input === null || (typeof input === "string" && input.trim() === "")

/**
 * Decodes arguments. A text is decoded, or kept in `invalid` if it is not JSON or is nested too deep. Any other value
 * is taken as it is. Missing arguments count as `{}`.
 */
export const paramsOf = (input: unknown): { readonly params: unknown; readonly invalid?: string } => {
  if (isBlank(input)) return { params: {} }
  if (typeof input !== "string") return { params: input }
  const params = parse(input)
  // a text can be the JSON of null, but not of undefined
  return params === undefined ? { params: undefined, invalid: input } : { params: params ?? {} }
}

/** Returns the content of a call. Two calls are the same only if their content is equal. */
export const callContent = (name: unknown, input: unknown): string => `${jsonText(name)} ${jsonText(input)}`

/**
 * Finds the streamed item of each item of the final output: by its id, else by its call id, else by its content. The
 * remaining texts are matched in order, because some servers change the ids of their items. A call is never matched by
 * its place alone.
 */
export const matchOutput = <A extends StreamedItem>(
  output: ReadonlyArray<Json>,
  streamed: ReadonlyArray<A>
): ReadonlyMap<Json, A> => {
  const matches = new Map<Json, A>()
  const free = new Set(streamed)
  const match = (isSame: (item: Json, one: A) => boolean) => {
    for (const item of output) {
      if (matches.has(item)) continue
      for (const one of free) {
        if (one.type !== item["type"] || !isSame(item, one)) continue
        matches.set(item, one)
        free.delete(one)
        break
      }
    }
  }
  match((item, one) => one.id !== undefined && one.id === item["id"])
  match((item, one) => one.callId !== undefined && one.callId === item["call_id"])
  match((item, one) => one.content === finalContent(item))
  match((_, one) => !isCallType(one.type))
  return matches
}

const finalContent = (item: Json): string =>
  isCallType(item["type"]) ? callContent(item["name"], inputOf(item)) : contentOf(item)

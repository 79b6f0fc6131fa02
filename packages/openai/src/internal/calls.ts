/** Calls and their results in the form that every API needs. */
import type { Item } from "@spindle/core/Item"
import { isObject, jsonText, shorten, stringify } from "./json.ts"
import { hashOf } from "./toolNames.ts"

/** A call of a tool. */
export type ToolCall = Extract<Item, { _tag: "ToolCall" }>
type ToolResult = Extract<Item, { _tag: "ToolResult" }>

/** Returns the arguments of a call of a function as JSON, which is always an object. */
export const argumentsText = ({ params }: Pick<ToolCall, "params">): string => stringify(isObject(params) ? params : {})

/** Returns the input of a freeform call. */
export const inputText = (params: unknown): string =>
  jsonText((isObject(params) && "input" in params ? params["input"] : params) ?? "")

/** Returns the text that a model reads as the result of this call. */
export const resultText = (result: ToolResult, call: ToolCall): string =>
  jsonText(result.output) + brokenArgumentsText(call)

const mostArgumentCharacters = 4_000

/** Returns a note with the arguments of a call if they were not a JSON object, so that `{}` replaced them. */
const brokenArgumentsText = ({ freeform, invalid, params }: ToolCall): string => {
  if (freeform || isObject(params) || (invalid === undefined && (params ?? undefined) === undefined)) return ""
  const text = shorten(invalid ?? stringify(params), mostArgumentCharacters)
  return `\n\nThe arguments of this call were not a JSON object. They were:\n${text}`
}

/**
 * Makes the id of a call from the id that the model gave. `count` is 1 at first, and greater if other calls use the ids
 * made before.
 */
export type MakeId = (callId: string, count: number) => string

/** Makes an id of the form that servers of the Responses API take. */
export const plainId: MakeId = (callId, count) => {
  const plain = callId.replace(/[^\w-]/g, "_").slice(0, 64) || "call"
  if (count === 1) return plain
  const suffix = `_${count}`
  return plain.slice(0, 64 - suffix.length) + suffix
}

/** Makes an id of nine letters and digits, the one form that every chat server takes. Keeps an id of this form. */
export const shortId: MakeId = (callId, count) =>
  count === 1 && /^[A-Za-z0-9]{9}$/.test(callId) ? callId : `c${hashOf(`${callId} ${count}`)}`

/** The ids of calls on the wire, each used once. */
export class CallIds {
  private readonly makeId: MakeId
  private readonly used = new Set<string>()
  private readonly counts = new Map<string, number>()
  private readonly opened = new Map<string, { readonly call: ToolCall; readonly wireId: string }>()

  constructor(makeId: MakeId) {
    this.makeId = makeId
  }

  open(call: ToolCall): string {
    let count = this.counts.get(call.callId) ?? 1
    while (this.used.has(this.makeId(call.callId, count))) count++
    const wireId = this.makeId(call.callId, count)
    this.counts.set(call.callId, count)
    this.used.add(wireId)
    this.opened.set(call.callId, { call, wireId })
    return wireId
  }

  /** Returns the call of a result, with its id on the wire. There is one, because the history was repaired. */
  close(callId: string) {
    return this.opened.get(callId)!
  }
}

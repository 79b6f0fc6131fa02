/** The calls of a response, joined from their pieces. */
import { isBlank, paramsOf } from "../eventItems.ts"
import { isObject, type Json, parse, stringify, textOf } from "../json.ts"
import { freeformParameter } from "./messages.ts"

/** A call, as far as it has arrived. */
export interface Call {
  id: string | undefined
  name: string | undefined
  arguments: string
}

/**
 * Joins pieces to calls by their index. For pieces without an index, a known id names its call, a name begins a call,
 * and anything else belongs to the last call.
 *
 * Servers also send complete calls that all have the index 0. A piece with a name begins another call when the call at
 * its index is complete and the piece cannot belong to it.
 */
export class Calls {
  readonly list: Array<Call> = []
  private readonly byIndex = new Map<number, Call>()

  /** Takes a piece. Returns false if it makes no sense. */
  add(piece: unknown): boolean {
    if (!isObject(piece)) return false
    const from = isObject(piece["function"]) ? piece["function"] : {}
    const id = textOf(piece["id"])
    const name = textOf(from["name"])
    const input = inputOf(from)
    const call = this.callOf(piece["index"], { id, name, arguments: input })
    call.id ??= id
    call.name ??= name
    call.arguments += input
    return true
  }

  private callOf(index: unknown, piece: Call): Call {
    const found = typeof index === "number" ? this.byIndex.get(index) : this.withoutIndex(piece)
    if (found !== undefined && !isNext(found, piece)) return found
    const call: Call = { id: undefined, name: undefined, arguments: "" }
    this.list.push(call)
    if (typeof index === "number") this.byIndex.set(index, call)
    return call
  }

  private withoutIndex({ id, name }: Call): Call | undefined {
    const same = id === undefined ? undefined : this.list.findLast((call) => call.id === id)
    if (same !== undefined) return same
    return name === undefined ? this.list.at(-1) : undefined
  }
}

const inputOf = (from: Json): string => {
  const input = from["arguments"]
  if (input === undefined || input === null) return ""
  return typeof input === "string" ? input : stringify(input)
}

/** Returns true if a piece begins another call than the one at its index. */
const isNext = (call: Call, piece: Call): boolean =>
  piece.name !== undefined &&
  isComplete(call) &&
  (!isBlank(piece.arguments) || (piece.id !== undefined && piece.id !== call.id))

/** Returns true if the arguments of a call are a JSON object, so that nothing can follow. */
export const isComplete = ({ arguments: input }: Call): boolean =>
  input.trimEnd().endsWith("}") && isObject(parse(input))

/**
 * Returns the input of a freeform tool: the text of its only parameter. Models also send the text in a parameter of
 * another name, or without any JSON around it.
 */
export const freeformInput = (sent: string): string => {
  const { params } = paramsOf(sent)
  if (typeof params === "string") return params
  if (!isObject(params)) return sent
  const texts = Object.values(params).filter((value) => typeof value === "string")
  const input = params[freeformParameter]
  if (typeof input === "string") return input
  return texts.length === 1 ? texts[0]! : isBlank(sent) ? "" : sent
}

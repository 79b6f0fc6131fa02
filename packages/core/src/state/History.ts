/**
 * The history of a session as a model may see it: pairing, repair, estimates (contract I6).
 *
 * All functions are total. `repair` is idempotent and leaves a valid history as it is, the very same array.
 */
import type { CallId, ItemId } from "../protocol/Ids.ts"
import { type Input, textOf } from "../protocol/Input.ts"
import type { Item, ToolCall, ToolResult } from "../protocol/Item.ts"
import type { AbortReason } from "../protocol/Outcome.ts"
import type { TokenUsage } from "../protocol/TokenUsage.ts"

/**
 * An append-only list that shares its storage: appending to the latest version is constant in time, and older versions
 * stay as they were. Appending to an older version copies.
 */
export interface ItemLog {
  readonly length: number
  readonly items: ReadonlyArray<Item>
}

/** No items. */
export const empty: ItemLog = { length: 0, items: [] }

/** The log with one more item. */
export const append = (self: ItemLog, item: Item): ItemLog => {
  const items = (
    self.items.length === self.length && self.length > 0 ? self.items : self.items.slice(0, self.length)
  ) as Array<Item>
  items.push(item)
  return { length: items.length, items }
}

/** The beginning of a log. It copies, and keeps nothing of what it leaves out. */
export const truncate = (self: ItemLog, length: number): ItemLog =>
  length >= self.length ? self : { length, items: self.items.slice(0, length) }

/** The items of a log, in an array that nobody changes. */
export const toArray = (self: ItemLog): ReadonlyArray<Item> => self.items.slice(0, self.length)

/**
 * What is wrong with a history as a model request, or undefined. Rules: a result follows its call and comes once; no
 * user or developer message and no end stands between a call and its result. A call id may come again once its call has
 * its result.
 */
export const defect = (items: ReadonlyArray<Item>): string | undefined => {
  let open: Set<CallId> | undefined
  for (const item of items) {
    if (item._tag === "ToolCall") {
      open ??= new Set()
      if (open.has(item.callId)) return `call ${item.callId} is open twice`
      open.add(item.callId)
    } else if (item._tag === "ToolResult") {
      if (open === undefined || !open.delete(item.callId)) return `result ${item.callId} answers no open call`
    } else if (
      open !== undefined &&
      open.size > 0 &&
      (item._tag === "UserMessage" || item._tag === "DeveloperMessage")
    ) {
      return `${item._tag} ${item.id} stands before the result of ${[...open].join(", ")}`
    } else if ((item._tag === "AssistantMessage" || item._tag === "Reasoning") && item.partial === "superseded") {
      return `${item._tag} ${item.id} was superseded`
    }
  }
  return open !== undefined && open.size > 0 ? `no result for ${[...open].join(", ")}` : undefined
}

/**
 * A history that a model accepts: superseded text is left out, a call without a result gets one that says so, a result
 * without a call, a second result and a result that came too late are left out, a call whose id is still open is left
 * out.
 */
export const repair = (items: ReadonlyArray<Item>): ReadonlyArray<Item> => {
  if (defect(items) === undefined) return items
  const repaired: Array<Item> = []
  const open = new Map<CallId, ToolCall>()
  const close = () => {
    for (const call of open.values()) repaired.push(unknownResult(call))
    open.clear()
  }
  for (const item of items) {
    switch (item._tag) {
      case "ToolCall":
        if (open.has(item.callId)) break
        open.set(item.callId, item)
        repaired.push(item)
        break
      case "ToolResult":
        if (open.delete(item.callId)) repaired.push(item)
        break
      case "UserMessage":
      case "DeveloperMessage":
        close()
        repaired.push(item)
        break
      default:
        if (item.partial !== "superseded") repaired.push(item)
    }
  }
  close()
  return repaired
}

/** The result of a call in which the host died (contract J8). */
export const unknownResult = (call: ToolCall): ToolResult => ({
  _tag: "ToolResult",
  id: `${call.id}r` as ItemId,
  callId: call.callId,
  name: call.name,
  status: "unknown",
  output: "The program ended before this call did. Whether it had an effect is unknown; check before you repeat it."
})

const spoken: { readonly [R in AbortReason]: string } = {
  Interrupted: "aborted by user",
  Replaced: "aborted: another task took over",
  Deadline: "aborted: the deadline passed",
  Budget: "aborted: the budget is spent",
  Parent: "aborted: the parent session stopped",
  Shutdown: "aborted: the session was closed"
}

/** What the model reads as the result of a call that was open at an abort: how long it had run, and why it ended. */
export const abortedOutput = (reason: AbortReason, afterMillis: number): string =>
  `Wall time: ${Math.max(0.1, afterMillis / 1000).toFixed(1)} seconds\n${spoken[reason]}`

/** The name of the marker's fragment. */
export const markerFragment = "turn_aborted"

/** The text that informs the model that a turn was stopped, or cut off (contract I5), with what is still running. */
export const markerText = (reason: AbortReason | "Crashed", running: ReadonlyArray<string>): string => {
  const why =
    reason === "Interrupted"
      ? "The user stopped the previous turn."
      : reason === "Crashed"
        ? "The program was killed during the previous turn."
        : `The previous turn was stopped (${spoken[reason]}).`
  const still = running.length === 0 ? "" : ` Still running: ${running.join(", ")}.`
  return `<${markerFragment}>\n${why}${still} Tools and commands that were stopped may have done part of their work: look at the current state before you repeat anything.\n</${markerFragment}>`
}

/** Whether an item is input of a user, not scaffolding. */
export const isUserInput = (item: Item): boolean => item._tag === "UserMessage" && item.fragment === undefined

/** The text of the last assistant message from an index on, if there is one. */
export const lastMessage = (self: ItemLog, from: number): string | undefined => {
  for (let index = self.length - 1; index >= from; index--) {
    const item = self.items[index]!
    if (item._tag === "AssistantMessage" && item.partial === undefined) return item.text
  }
  return undefined
}

/** A rough count of the tokens of a text: one for four characters. */
export const estimateText = (text: string): number => Math.ceil(text.length / 4)

/** A rough count of the tokens of an input. An image counts as 1,000. */
export const estimateInput = (input: Input): number =>
  estimateText(textOf(input)) + 1_000 * input.filter((part) => part._tag === "Image").length

/** A rough count of the tokens of an item. */
export const estimate = (item: Item): number => {
  switch (item._tag) {
    case "UserMessage":
      return estimateInput(item.content)
    case "DeveloperMessage":
    case "AssistantMessage":
      return estimateText(item.text)
    case "Reasoning":
      return estimateText(item.encrypted ?? item.text)
    case "ToolCall":
      return estimateText(item.name) + estimateText(item.invalid ?? JSON.stringify(item.params) ?? "")
    case "ToolResult":
      return estimateText(typeof item.output === "string" ? item.output : (JSON.stringify(item.output) ?? ""))
  }
}

/** A rough count of the tokens of many items. */
export const estimateAll = (items: ReadonlyArray<Item>): number => items.reduce((sum, item) => sum + estimate(item), 0)

/** An estimate of what a request cost that reported nothing: its items, and the text that came. */
export const estimateUsage = (items: ReadonlyArray<Item>, answered: string): TokenUsage => {
  const input = estimateAll(items)
  const output = estimateText(answered)
  return { input, cachedInput: 0, output, reasoning: 0, total: input + output }
}

/**
 * The history of a session for a model: pairing of calls and results, repair, estimates (contract I6).
 *
 * All functions are total. `repair` is idempotent; for a valid history it returns the same array.
 */
import type { CallId, ItemId } from "../protocol/Ids.ts"
import { type Input, textOf } from "../protocol/Input.ts"
import type { Item, NewItem, ToolCall, ToolResult } from "../protocol/Item.ts"
import type { AbortReason } from "../protocol/Outcome.ts"
import type { TokenUsage } from "../protocol/TokenUsage.ts"

/**
 * An append-only list, linked from its last item to its first. An append takes constant time, every version stays as it
 * was, and a return to an older version costs nothing.
 */
export class ItemLog {
  readonly length: number
  /** The last item; undefined if the log is empty. */
  readonly last: Item | undefined
  /** The log without its last item; undefined if the log is empty. */
  readonly before: ItemLog | undefined
  /**
   * The items, kept for the array of a longer log, because a copy of an array costs less than a walk over a long log.
   */
  #items: Array<Item> | undefined
  /** The estimate of their tokens, kept for the estimate of a longer log. */
  #tokens: number | undefined

  constructor(last?: Item, before?: ItemLog) {
    this.length = before === undefined ? 0 : before.length + 1
    this.last = last
    this.before = before
  }

  /** See {@link toArray}. */
  static toArray(self: ItemLog): ReadonlyArray<Item> {
    const added: Array<Item> = []
    let log = self
    while (log.#items === undefined && log.before !== undefined) {
      added.push(log.last!)
      log = log.before
    }
    const items = log.#items ?? []
    for (const item of added.reverse()) items.push(item)
    // the array now belongs to the longer log, because an array for each log would take quadratic space
    log.#items = undefined
    self.#items = items
    return items.slice()
  }

  /** See {@link estimateLog}. */
  static estimate(self: ItemLog): number {
    let tokens = 0
    let log = self
    while (log.#tokens === undefined && log.before !== undefined) {
      tokens += estimate(log.last!)
      log = log.before
    }
    tokens += log.#tokens ?? 0
    self.#tokens = tokens
    return tokens
  }
}

/** The log without items. */
export const empty: ItemLog = new ItemLog()

/** Returns the log with one more item. */
export const append = (self: ItemLog, item: Item): ItemLog => new ItemLog(item, self)

/** Makes a log of these items. */
export const fromItems = (items: ReadonlyArray<Item>): ItemLog => items.reduce(append, empty)

/** Returns the items of a log, in order, in a new array. */
export const toArray = (self: ItemLog): ReadonlyArray<Item> => ItemLog.toArray(self)

/** Returns the items that follow an older version of a log, in order; undefined if `before` is not an older version. */
export const itemsAfter = (self: ItemLog, before: ItemLog): ReadonlyArray<Item> | undefined => {
  const items: Array<Item> = []
  let log = self
  while (log.length > before.length) {
    items.push(log.last!)
    log = log.before!
  }
  return log === before ? items.reverse() : undefined
}

/**
 * Returns a description of the first defect of a history in a model request, or undefined if there is none. The rules:
 * each call has one result, after it; no user or developer message is between a call and its result; there is no
 * superseded text. A call id may be used again after the result of its call.
 */
export const defect = (items: ReadonlyArray<Item>): string | undefined => {
  let open: Set<CallId> | undefined
  for (const item of items) {
    if (item._tag === "ToolCall") {
      open ??= new Set()
      if (open.has(item.callId)) return `call ${item.callId} is open twice`
      open.add(item.callId)
    } else if (item._tag === "ToolResult") {
      if (open === undefined || !open.delete(item.callId)) return `result ${item.callId} is for no open call`
    } else if (
      open !== undefined &&
      open.size > 0 &&
      (item._tag === "UserMessage" || item._tag === "DeveloperMessage")
    ) {
      return `${item._tag} ${item.id} comes before the result of ${[...open].join(", ")}`
    } else if ((item._tag === "AssistantMessage" || item._tag === "Reasoning") && item.partial === "superseded") {
      return `${item._tag} ${item.id} was superseded`
    }
  }
  return open !== undefined && open.size > 0 ? `no result for ${[...open].join(", ")}` : undefined
}

/**
 * Returns a history that a model accepts. It leaves out superseded text, results without a call, second results,
 * results that came too late, and calls whose id is still open. A call without a result gets a result with the status
 * `unknown`.
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

/** Makes the result of a call during which the host died (contract J8). */
export const unknownResult = (call: ToolCall): ToolResult => ({
  _tag: "ToolResult",
  id: `${call.id}r` as ItemId,
  callId: call.callId,
  name: call.name,
  status: "unknown",
  output: "The program ended before this call did. Whether it had an effect is unknown; check before you repeat it."
})

const reasonTexts: { readonly [R in AbortReason]: string } = {
  Interrupted: "aborted by user",
  Replaced: "aborted: another task took over",
  Deadline: "aborted: the deadline passed",
  Budget: "aborted: the budget is spent",
  Parent: "aborted: the parent session stopped",
  Shutdown: "aborted: the session was closed"
}

/**
 * Makes the output of a call that was open at an abort, for the model: the time that it had run, and the reason of its
 * end.
 */
export const abortedOutput = (reason: AbortReason, afterMillis: number): string =>
  `Wall time: ${Math.max(0.1, afterMillis / 1000).toFixed(1)} seconds\n${reasonTexts[reason]}`

/** Returns the fragments among items, in order. */
export const fragmentsOf = (
  items: ReadonlyArray<Item>
): ReadonlyArray<{ readonly name: string; readonly text: string }> => {
  const fragments = []
  // without an array for each item, because this runs in each turn over the complete history
  for (const item of items) {
    if (item._tag === "UserMessage" && item.fragment !== undefined) {
      fragments.push({ name: item.fragment, text: textOf(item.content) })
    }
  }
  return fragments
}

/** The name of the marker's fragment. */
export const markerFragment = "turn_aborted"

/**
 * Makes the text that informs the model that a turn was stopped or cut off (contract I5). It names the task of the
 * turn, and the work that is still running.
 */
export const markerText = (
  reason: AbortReason | "Crashed",
  running: ReadonlyArray<string>,
  task?: string | undefined
): string => {
  const why =
    reason === "Interrupted"
      ? "The user stopped the previous turn."
      : reason === "Crashed"
        ? "The program was killed during the previous turn."
        : `The previous turn was stopped (${reasonTexts[reason]}).`
  const what = task === undefined ? "" : ` It ran the task ${task}, which reported no result.`
  const still = running.length === 0 ? "" : ` Still running: ${running.join(", ")}.`
  return `<${markerFragment}>\n${why}${what}${still} Tools and commands that were stopped may have done part of their work: look at the current state before you repeat anything.\n</${markerFragment}>`
}

/** The name of the fragment that reports the end of a detached child. */
export const noticeFragment = "subagent_notification"

/**
 * The name of the same fragment in journals of version 1, which recorded it as input of the user. Rollbacks in such a
 * journal counted its turn, so it must still be counted for them to mean the same turns.
 */
export const countedNoticeFragment = "subagent_notification_1"

/** Returns whether an item is input of the user, and not a fragment. */
export const isUserInput = (item: Item): boolean => item._tag === "UserMessage" && item.fragment === undefined

/** Returns whether a rollback counts the turn that carries this item (contract J4). */
export const isCountedByRollback = (item: Item): boolean =>
  isUserInput(item) || (item._tag === "UserMessage" && item.fragment === countedNoticeFragment)

/** Estimates the tokens of a text: one for every four characters. */
export const estimateText = (text: string): number => estimateCharacters(text.length)

const estimateCharacters = (count: number): number => Math.ceil(count / 4)

/** Estimates the tokens of an input. An image counts as 1,000. */
export const estimateInput = (input: Input): number =>
  estimateText(textOf(input)) + 1_000 * input.filter((part) => part._tag === "Image").length

/** Estimates the tokens of an item. */
export const estimate = (item: Item | NewItem): number => {
  switch (item._tag) {
    case "UserMessage":
      return item.sealed === undefined ? estimateInput(item.content) : estimateText(item.sealed.encrypted)
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

/** Estimates the tokens of many items. */
export const estimateAll = (items: ReadonlyArray<Item | NewItem>): number =>
  items.reduce((sum, item) => sum + estimate(item), 0)

/** Estimates the tokens of the items of a log. */
export const estimateLog = (self: ItemLog): number => ItemLog.estimate(self)

/** Estimates the usage of a request without a report, from its items and the characters of its response. */
export const estimateUsage = (items: ReadonlyArray<Item>, responseCharacters: number): TokenUsage => {
  const input = estimateAll(items)
  const output = estimateCharacters(responseCharacters)
  return { input, cachedInput: 0, output, reasoning: 0, total: input + output }
}

/**
 * Compaction of a history: what is kept as it is, what a model is asked to summarise, and the gain that a compaction
 * must reach.
 *
 * ```
 *   items ──plan──► kept (the newest words of the user) + material (everything, for the summary)
 *                     │                                     │ while it does not fit: withoutOldest
 *                     ▼                                     ▼
 *   compacted: kept, then the summary ◄──────────────── a model's summary
 * ```
 *
 * A caller checks `isEnough` twice: for `kept` alone before it asks the model, since a summary only adds to it, and for
 * the result, so that a compaction which frees too little fails instead of being tried again and again. All functions are
 * total; counts are the estimates of {@link History.estimate}, in tokens.
 */
import type { ItemId } from "../protocol/Ids.ts"
import type { Input, InputPart } from "../protocol/Input.ts"
import type { Item, UserMessage } from "../protocol/Item.ts"
import * as History from "./History.ts"

/** How much a compaction keeps, and how much it must free. */
export interface Limits {
  /** Tokens of user messages that are kept word for word. Default 20,000. */
  readonly keepTokens: number
  /** The share of the history's tokens that must be free afterwards, 0 to 1. Default 0.2. */
  readonly minimumGain: number
}

/** The defaults. */
export const defaults: Limits = { keepTokens: 20_000, minimumGain: 0.2 }

/** The plan of a compaction. */
export interface Plan {
  /** The newest messages of the user, oldest first. The first of them may be cut at its end. */
  readonly kept: ReadonlyArray<UserMessage>
  /** What the summary is made of: the entire history, as a model accepts it. Earlier summaries are part of it. */
  readonly material: ReadonlyArray<Item>
}

/** Plans the compaction of a history. Fragments are never kept: an earlier summary goes into the next one. */
export const plan = (items: ReadonlyArray<Item>, limits: Limits = defaults): Plan => {
  const kept: Array<UserMessage> = []
  let left = limits.keepTokens
  for (let index = items.length - 1; index >= 0 && left > 0; index--) {
    const item = items[index]!
    if (item._tag !== "UserMessage" || !History.isUserInput(item)) continue
    const tokens = History.estimate(item)
    const fitting = tokens <= left ? item : { ...item, content: truncate(item.content, left) }
    if (fitting.content.length > 0) kept.unshift(fitting)
    left -= tokens
  }
  return { kept, material: History.repair(items) }
}

/** Returns the longest prefix of an input that costs at most this many tokens. */
const truncate = (content: Input, tokens: number): Input => {
  const parts: Array<InputPart> = []
  const cost = () => History.estimateInput(parts)
  for (const part of content) {
    parts.push(part)
    if (cost() <= tokens) continue
    parts.pop()
    if (part._tag === "Image") continue
    // a token is four characters, and texts are joined by two
    const characters = 4 * (tokens - cost()) - 2
    const text = characters <= 0 ? "" : wellFormed(part.text.slice(0, characters))
    return text === "" ? parts : [...parts, { ...part, text }]
  }
  return parts
}

/** Removes half of a surrogate pair from the end of a text. */
const wellFormed = (text: string): string => (/[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text)

/**
 * Removes the oldest item of the material, with its result if it is a call: for a request for a summary that exceeds
 * the model's context window. Empty once nothing is left.
 */
export const withoutOldest = (material: ReadonlyArray<Item>): ReadonlyArray<Item> => History.repair(material.slice(1))

/** The name of the summary's fragment. */
export const summaryFragment = "summary"

/** The text of the summary when the model gave none. */
export const noSummary = "(no summary available)"

/** Makes the history after a compaction: what was kept, then the summary. */
export const compacted = (self: Plan, id: ItemId, summary: string): ReadonlyArray<Item> => [
  ...self.kept,
  {
    _tag: "UserMessage",
    id,
    content: [{ _tag: "Text", text: summary.trim() === "" ? noSummary : summary }],
    fragment: summaryFragment
  }
]

/** Returns the share of a history's tokens that its replacement frees: 1 is all, 0 nothing; below 0 it costs more. */
export const gain = (before: ReadonlyArray<Item>, after: ReadonlyArray<Item>): number => {
  const tokens = History.estimateAll(before)
  return tokens === 0 ? 0 : 1 - History.estimateAll(after) / tokens
}

/** Whether a compaction frees as much as it must. */
export const isEnough = (before: ReadonlyArray<Item>, after: ReadonlyArray<Item>, limits: Limits = defaults): boolean =>
  gain(before, after) >= limits.minimumGain

/**
 * Compaction of a history: the items that are kept, the material that a model summarises, and the gain that a
 * compaction must reach.
 *
 * ```
 *   items ──plan──► context + kept (the newest words of the user) + progress     material, for the summary
 *                     │                                                             │ while it does not fit:
 *                     ▼                                                             ▼ withoutOldest
 *   compacted: context, kept, progress, then the summary ◄──────────────────── a model's summary
 * ```
 *
 * A caller checks `isEnough` twice. The first check is before it asks the model, without a summary, since a summary
 * only adds tokens. The second check is on the result. So a compaction that frees too little fails, instead of being
 * tried again and again. All functions are total. Counts are estimates in tokens, as {@link History.estimate} makes
 * them.
 */
import type { Input, InputPart } from "../protocol/Input.ts"
import type { DeveloperMessage, Item, NewItem, SealedSummary, UserMessage } from "../protocol/Item.ts"
import * as History from "./History.ts"
import * as Progress from "./Progress.ts"

/** The limits of a compaction. */
export interface Limits {
  /** The number of tokens of user messages that are kept word for word. Default: 20,000. */
  readonly keepTokens: number
  /** The share of the history's tokens that must be free afterwards, from 0 to 1. Default: 0.3. */
  readonly minimumGain: number
}

/** The default limits. */
export const defaults: Limits = { keepTokens: 20_000, minimumGain: 0.3 }

/** The plan of a compaction. */
export interface Plan {
  /** The developer messages before any input, with which the session was started. */
  readonly context: ReadonlyArray<DeveloperMessage>
  /** The newest messages of the user, the oldest of them first. That one may be cut at its end. */
  readonly kept: ReadonlyArray<UserMessage>
  /** The progress ledger, if it has an entry. */
  readonly progress: ReadonlyArray<NewItem>
  /**
   * The items to summarise: the history in a form that a model accepts, with earlier summaries, and without the context
   * and the ledger, which the next history has anyway.
   */
  readonly material: ReadonlyArray<Item>
}

/**
 * Plans the compaction of a history. Fragments are never kept: an earlier summary is part of the material of the next
 * one.
 */
export const plan = (items: ReadonlyArray<Item>, limits: Limits = defaults): Plan => {
  const context = contextOf(items)
  const isContext = new Set<Item>(context)
  const rest = items.filter((item) => !isContext.has(item))
  return {
    context,
    kept: keptOf(rest, limits),
    progress: Progress.toItems(Progress.of(rest)),
    material: History.repair(rest.filter((item) => !isLedger(item)))
  }
}

const contextOf = (items: ReadonlyArray<Item>): ReadonlyArray<DeveloperMessage> => {
  const context: Array<DeveloperMessage> = []
  for (const item of items) {
    if (item._tag === "DeveloperMessage") context.push(item)
    // commands of the user and notices may come before the first input
    else if (item._tag !== "UserMessage" || item.fragment === undefined) break
  }
  return context
}

const isLedger = (item: Item): boolean => item._tag === "UserMessage" && item.fragment === Progress.progressFragment

const keptOf = (items: ReadonlyArray<Item>, limits: Limits): ReadonlyArray<UserMessage> => {
  const kept: Array<UserMessage> = []
  let left = limits.keepTokens
  for (let index = items.length - 1; index >= 0 && left > 0; index--) {
    const item = items[index]!
    if (item._tag !== "UserMessage" || !History.isUserInput(item)) continue
    const tokens = History.estimate(item)
    const fitting = tokens <= left ? item : { ...item, content: truncate(item.content, left) }
    if (fitting.content.length > 0) kept.push(fitting)
    left -= tokens
  }
  return kept.reverse()
}

/** Returns the longest beginning of an input that costs at most this number of tokens. */
const truncate = (content: Input, tokens: number): Input => {
  const parts: Array<InputPart> = []
  const cost = () => History.estimateInput(parts)
  for (const part of content) {
    parts.push(part)
    if (cost() <= tokens) continue
    parts.pop()
    if (part._tag !== "Text") continue
    // a token is four characters, and texts are joined by two
    const characters = 4 * (tokens - cost()) - 2
    const text = characters <= 0 ? "" : wellFormed(part.text.slice(0, characters))
    return text === "" ? parts : [...parts, { ...part, text }]
  }
  return parts
}

/** Removes half a surrogate pair from the end of a text. */
const wellFormed = (text: string): string => (/[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text)

/**
 * Removes the oldest items of the material: at least one item, and at least this number of tokens, with the results of
 * removed calls. It is meant for a request for a summary that exceeds the model's context window. Returns no item once
 * nothing is left.
 */
export const withoutOldest = (material: ReadonlyArray<Item>, tokens = 0): ReadonlyArray<Item> => {
  let count = 0
  for (let left = tokens; count < material.length && (count === 0 || left > 0); count++) {
    left -= History.estimate(material[count]!)
  }
  return History.repair(material.slice(count))
}

/** The name of the summary's fragment. */
export const summaryFragment = "summary"

/** The heading of a summary in the history. */
export const summaryHeading =
  "The conversation before this point was replaced by this summary. Your earlier messages and tool results are gone; the user's newest messages are above."

/** Makes the history after a compaction, without the summary. */
export const withoutSummary = ({ context, kept, progress }: Plan): ReadonlyArray<Item | NewItem> => [
  ...context,
  ...kept,
  ...progress
]

/** The text that a model reads in place of a summary that only another provider can read. */
export const unreadableSummary =
  "It is in a form that only another provider can read. Look at the current state, and ask the user for what you cannot find out."

/** A summary of the material: a text, a form that only its provider can read, or both. */
export interface Summary {
  readonly text?: string | undefined
  readonly sealed?: SealedSummary | undefined
}

/** Returns whether a summary has no content. */
export const isEmpty = ({ sealed, text = "" }: Summary): boolean => sealed === undefined && text.trim() === ""

/** Makes the history after a compaction: the kept items, then the summary. */
export const historyAfter = (self: Plan, { sealed, text = "" }: Summary): ReadonlyArray<Item | NewItem> => [
  ...withoutSummary(self),
  {
    _tag: "UserMessage",
    content: [{ _tag: "Text", text: `${summaryHeading}\n\n${text.trim() === "" ? unreadableSummary : text.trim()}` }],
    fragment: summaryFragment,
    ...(sealed === undefined ? {} : { sealed })
  }
]

/**
 * Returns the share of a history's tokens that its replacement frees: 1 for all, 0 for none, below 0 if it costs more.
 */
export const gain = (before: ReadonlyArray<Item>, after: ReadonlyArray<Item | NewItem>): number => {
  const tokens = History.estimateAll(before)
  return tokens === 0 ? 0 : 1 - History.estimateAll(after) / tokens
}

/** Returns whether a compaction frees at least its minimum gain. */
export const isEnough = (
  before: ReadonlyArray<Item>,
  after: ReadonlyArray<Item | NewItem>,
  limits: Limits = defaults
): boolean => gain(before, after) >= limits.minimumGain

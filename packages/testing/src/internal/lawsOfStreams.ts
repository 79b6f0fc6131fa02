/** Laws that compare what was told here with what was told, or stored, there. */
import * as SessionEvent from "@spindle/core/SessionEvent"
import type { History, Law } from "../Laws.ts"
import { recordsOf, tagged } from "./lawsOfRecords.ts"

export const I7: Law = (history) => kept(history, history.events) ?? kept(history, history.subscribed ?? [])

/** Whether the pieces of each text lie edge to edge and begin what was recorded. */
const kept = (history: History, told: ReadonlyArray<SessionEvent.SessionEvent>): string | undefined => {
  const streamed = new Map<string, string>()
  for (const event of told) {
    if (event._tag !== "TextDelta" && event._tag !== "ReasoningDelta") continue
    const text = streamed.get(event.itemId) ?? ""
    if (event.offset !== text.length) return `I7 a piece at ${event.offset} where ${text.length} was due`
    streamed.set(event.itemId, text + event.text)
  }
  if (streamed.size === 0 || !isSettled(history)) return undefined
  const items = new Map<string, string>()
  for (const { item } of tagged(history, "ItemRecorded")) if ("text" in item) items.set(item.id, item.text)
  for (const [itemId, text] of streamed) {
    if (items.get(itemId)?.startsWith(text) !== true) return `I7 ${JSON.stringify(text)} was shown and lost`
  }
  return undefined
}

/** Whether no turn is open, so that what was shown must have been recorded. */
const isSettled = (history: History): boolean => {
  const last = recordsOf(history).findLast((one) => one._tag === "TurnStarted" || SessionEvent.isTerminal(one))
  return last?._tag !== "TurnStarted"
}

export const J1: Law = (history) => {
  if (history.journal === undefined) return undefined
  return differing("J1 the journal", history.journal, recordsOf(history))
}

export const W2: Law = (history) => {
  if (history.subscribed === undefined) return undefined
  return differing("W2 a subscriber", history.subscribed.filter(SessionEvent.isRecord), recordsOf(history))
}

const differing = (
  who: string,
  has: ReadonlyArray<SessionEvent.JournalRecord>,
  told: ReadonlyArray<SessionEvent.JournalRecord>
): string | undefined => {
  const length = Math.max(has.length, told.length)
  for (let index = 0; index < length; index++) {
    const [one, other] = [JSON.stringify(has[index]), JSON.stringify(told[index])]
    if (one !== other) return `${who} has ${one ?? "nothing"} where the session told ${other ?? "nothing"}`
  }
  return undefined
}

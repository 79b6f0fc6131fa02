/** Laws that compare the published events with those of a subscriber and with the journal. */
import * as SessionEvent from "@spindle/core/SessionEvent"
import { type History, type Law, recordsOf, recordsWithTag } from "./history.ts"

export const I7: Law = (history) => lostText(history, history.events) ?? lostText(history, history.subscribed ?? [])

/** Requires that the pieces of each text have no gaps, and are a prefix of the recorded text. */
const lostText = (history: History, events: ReadonlyArray<SessionEvent.SessionEvent>): string | undefined => {
  const streamed = new Map<string, string>()
  for (const event of events) {
    if (event._tag !== "TextDelta" && event._tag !== "ReasoningDelta") continue
    const text = streamed.get(event.itemId) ?? ""
    if (event.offset !== text.length) return `I7 a piece at offset ${event.offset}, expected at ${text.length}`
    streamed.set(event.itemId, text + event.text)
  }
  if (streamed.size === 0 || !isSettled(history)) return undefined
  const items = new Map<string, string>()
  for (const { item } of recordsWithTag(history, "ItemRecorded")) if ("text" in item) items.set(item.id, item.text)
  for (const [itemId, text] of streamed) {
    if (items.get(itemId)?.startsWith(text) !== true)
      return `I7 ${JSON.stringify(text)} was streamed, but is not recorded`
  }
  return undefined
}

/** True if no turn is open, so that all streamed text must be recorded. */
const isSettled = (history: History): boolean => {
  const last = recordsOf(history).findLast((one) => one._tag === "TurnStarted" || SessionEvent.isTerminal(one))
  return last?._tag !== "TurnStarted"
}

export const J1: Law = (history) => {
  if (history.journal === undefined) return undefined
  return difference("J1 the journal", history.journal, recordsOf(history))
}

export const W2: Law = (history) => {
  if (history.subscribed === undefined) return undefined
  return difference("W2 a subscriber", history.subscribed.filter(SessionEvent.isRecord), recordsOf(history))
}

const difference = (
  name: string,
  records: ReadonlyArray<SessionEvent.JournalRecord>,
  published: ReadonlyArray<SessionEvent.JournalRecord>
): string | undefined => {
  const length = Math.max(records.length, published.length)
  for (let index = 0; index < length; index++) {
    // a journal in memory and a subscriber have the records themselves
    if (records[index] === published[index]) continue
    const [one, other] = [JSON.stringify(records[index]), JSON.stringify(published[index])]
    if (one !== other) return `${name} has ${one ?? "nothing"} where the session published ${other ?? "nothing"}`
  }
  return undefined
}

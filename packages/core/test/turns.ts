/** What tests of sessions say about turns: their records, and the rules that hold for all of them (contract S1, S2, I6). */
import { assert } from "@effect/vitest"
import type { Item } from "@spindle/core/Item"
import { isDelta, isTerminal, type JournalRecord, type SessionEvent, type Terminal } from "@spindle/core/SessionEvent"
import * as History from "@spindle/core/History"
import * as SessionState from "@spindle/core/SessionState"

/** The terminal records, in order. */
export const terminals = (events: ReadonlyArray<SessionEvent>): ReadonlyArray<Terminal> => events.filter(isTerminal)

/** The terminal record of the only aborted turn. */
export const abortedOf = (events: ReadonlyArray<SessionEvent>) => {
  const all = events.filter((event) => event._tag === "TurnAborted")
  assert.lengthOf(all, 1)
  return all[0]!
}

/** The items that were recorded, in order. */
export const itemsOf = (events: ReadonlyArray<SessionEvent>): ReadonlyArray<Item> =>
  events.flatMap((event) => (event._tag === "ItemRecorded" ? [event.item] : []))

/** The abort markers among the items. */
export const markersOf = (items: ReadonlyArray<Item>) =>
  items.flatMap((item) =>
    item._tag === "UserMessage" && item.fragment === History.markerFragment
      ? item.content.flatMap((part) => (part._tag === "Text" ? [part.text] : []))
      : []
  )

/** S1 and S2 by hand, and every rule of the fold: turns stand one after the other, each with one end and nothing of it behind that. */
export const assertTurns = (events: ReadonlyArray<SessionEvent>): void => {
  const started = new Set<string>()
  let open: string | undefined
  let state = SessionState.empty
  for (const event of events) {
    if (isDelta(event)) {
      assert.strictEqual(event.turnId, open, `${event._tag} outside its turn`)
      continue
    }
    if (event._tag === "SessionFailed") continue
    if (event._tag === "TurnStarted") {
      assert.isUndefined(open, "a turn starts inside another")
      assert.isFalse(started.has(event.turnId), "a turn starts twice")
      started.add(event.turnId)
      open = event.turnId
    } else if (isTerminal(event)) {
      assert.strictEqual(event.turnId, open, "a terminal record without its turn")
      open = undefined
    }
    assert.isUndefined(SessionState.violation(state, event))
    state = SessionState.apply(state, event)
    if (isTerminal(event))
      assert.isUndefined(History.defect(History.toArray(state.history)), "calls and results pair up")
  }
  assert.isUndefined(open, "a turn without an end")
}

/** The tags of the records that begin and end turns, with the kind or the reason. */
export const turnTags = (records: ReadonlyArray<JournalRecord | SessionEvent>): ReadonlyArray<string> =>
  records.flatMap((record) => {
    if (record._tag === "TurnStarted") return [`TurnStarted ${record.kind}`]
    if (record._tag === "TurnAborted") return [`TurnAborted ${record.reason}`]
    return record._tag === "TurnCompleted" || record._tag === "TurnFailed" ? [record._tag] : []
  })

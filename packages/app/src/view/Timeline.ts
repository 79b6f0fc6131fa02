/**
 * Reads the journal of a session as a timeline: its turns, and in each turn the model requests, tool calls, questions,
 * processes and delegates, with their start and their end.
 *
 * This module is pure. A bar without an end in the journal has no `endedAt`. Calls and messages are the items of the
 * thread (`Thread`), as every other view shows them.
 */
import type { SessionId } from "@spindle/core/Ids"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Fold from "./timeline/fold.ts"
import type { Bar, Timeline } from "./timeline/model.ts"

export type { Bar, Detail, Mark, Message, Note, Timeline, TurnLane } from "./timeline/model.ts"

/** Makes the timeline of a journal. */
export const make = (sessionId: SessionId, records: ReadonlyArray<JournalRecord>): Timeline => {
  const state = Fold.initial(sessionId)
  for (const record of records) Fold.step(state, record)
  return {
    sessionId,
    title: state.title ?? state.firstPrompt,
    at: records[0]?.at ?? 0,
    endedAt: records.at(-1)?.at ?? 0,
    meta: state.meta,
    turns: state.turns,
    notes: state.notes,
    usage: state.turns.reduce((sum, { usage }) => TokenUsage.add(sum, usage), TokenUsage.zero),
    agentTokens: state.agentTokens
  }
}

/** Orders the bars of a turn by their start, each followed by those that belong to it. */
export const nest = (bars: ReadonlyArray<Bar>): ReadonlyArray<{ readonly bar: Bar; readonly depth: number }> => {
  const ids = new Set(bars.map(({ id }) => id))
  const children = Map.groupBy(bars, ({ parent }) => (parent !== undefined && ids.has(parent) ? parent : undefined))
  return (children.get(undefined) ?? []).flatMap((root) => [
    { bar: root, depth: 0 },
    ...(children.get(root.id) ?? []).map((bar) => ({ bar, depth: 1 }))
  ])
}

/**
 * A session as a timeline, from the records of its journal alone: turns, and in them model requests, tool calls,
 * questions, processes and delegates, with when each began and how it ended.
 *
 * Pure. Times are milliseconds since 1970; what has no end in the journal has none here.
 */
import type { SessionId } from "@spindle/core/Ids"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Fold from "./internal/timelineFold.ts"

/** Something with a duration. `parent` is the id of the tool call that it belongs to. */
export interface Bar {
  readonly id: string
  readonly kind: "model" | "tool" | "approval" | "process" | "delegate"
  readonly name: string
  readonly parent: string | undefined
  readonly at: number
  readonly endedAt: number | undefined
  /** How it ended, in one word of its kind; `open` while it has not. */
  readonly status: string
  /** What stands beside it, instead of the status: what a model request cost. */
  readonly note?: string
  /** Whether that is bad, stopped, or neither. */
  readonly mood: "good" | "bad" | "stopped" | "open"
  /** More about it, for people: name and value. */
  readonly details: ReadonlyArray<readonly [name: string, value: string]>
}

/** Something at one moment. */
export interface Mark {
  readonly at: number
  readonly kind: "abort" | "steer" | "retry" | "warning" | "straggler"
  readonly text: string
}

/** Something that was said. */
export interface Said {
  readonly at: number
  readonly by: "user" | "assistant" | "reasoning" | "developer"
  readonly text: string
}

/** A turn. */
export interface TurnLane {
  readonly turnId: string
  /** Counts from 1. */
  readonly number: number
  readonly kind: string
  readonly at: number
  readonly endedAt: number | undefined
  readonly outcome: "completed" | "failed" | "aborted" | "open"
  /** Why it was aborted, or the error with which it failed. */
  readonly reason: string | undefined
  readonly usage: TokenUsage.TokenUsage
  readonly lastMessage: string | undefined
  readonly traceId: string | undefined
  readonly bars: ReadonlyArray<Bar>
  readonly marks: ReadonlyArray<Mark>
  readonly said: ReadonlyArray<Said>
}

/** What happened to the session itself. */
export interface Note {
  readonly at: number
  readonly text: string
  /** How many turns had begun before it. */
  readonly afterTurns: number
}

/** A session. */
export interface Timeline {
  readonly sessionId: SessionId
  readonly at: number
  readonly endedAt: number
  readonly meta: { readonly [key: string]: string }
  readonly turns: ReadonlyArray<TurnLane>
  readonly notes: ReadonlyArray<Note>
  readonly usage: TokenUsage.TokenUsage
}

/** The timeline of a journal. */
export const make = (sessionId: SessionId, records: ReadonlyArray<JournalRecord>): Timeline => {
  const state = Fold.begin()
  for (const record of records) Fold.step(state, record)
  return {
    sessionId,
    at: records[0]?.at ?? 0,
    endedAt: records.at(-1)?.at ?? 0,
    meta: state.meta,
    turns: state.turns,
    notes: state.notes,
    usage: state.turns.reduce((sum, { usage }) => TokenUsage.add(sum, usage), TokenUsage.zero)
  }
}

/** The bars of a turn, each followed by those that belong to it, in the order of their start. */
export const nested = (bars: ReadonlyArray<Bar>): ReadonlyArray<{ readonly bar: Bar; readonly depth: number }> => {
  const ids = new Set(bars.map(({ id }) => id))
  const roots = bars.filter(({ parent }) => parent === undefined || !ids.has(parent))
  return roots.flatMap((root) => [
    { bar: root, depth: 0 },
    ...bars.filter(({ parent }) => parent === root.id).map((bar) => ({ bar, depth: 1 }))
  ])
}

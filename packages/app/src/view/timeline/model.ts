/** The types of a timeline, shared by its fold and its page. */
import type { SessionId } from "@spindle/core/Ids"
import type { TokenUsage } from "@spindle/core/TokenUsage"

/** A session. Times are milliseconds since 1970. */
export interface Timeline {
  readonly sessionId: SessionId
  /** The title of the session, or the first line of its first prompt. */
  readonly title: string | undefined
  readonly at: number
  readonly endedAt: number
  readonly meta: { readonly [key: string]: string }
  readonly turns: ReadonlyArray<TurnLane>
  readonly notes: ReadonlyArray<Note>
  readonly usage: TokenUsage
  /** The tokens of the agents that have ended, and of those below them. */
  readonly agentTokens: number
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
  /** The reason of its abort, or the error with which it failed. */
  readonly reason: string | undefined
  readonly usage: TokenUsage
  readonly lastMessage: string | undefined
  readonly traceId: string | undefined
  readonly bars: ReadonlyArray<Bar>
  readonly marks: ReadonlyArray<Mark>
  readonly messages: ReadonlyArray<Message>
}

/** Something with a duration. */
export interface Bar {
  readonly id: string
  readonly kind: "model" | "tool" | "approval" | "process" | "delegate"
  readonly name: string
  /** The tool call that it belongs to. */
  readonly parent: string | undefined
  readonly at: number
  readonly endedAt: number | undefined
  /** Its end, in a word or two; `open` while it has not ended. */
  readonly status: string
  /** A text to show instead of the status: the tokens of a model request. */
  readonly note?: string | undefined
  /** The kind of this end: good, bad, stopped or not known yet. */
  readonly mood: "good" | "bad" | "stopped" | "open"
  readonly details: ReadonlyArray<Detail>
}

/** More about a bar. A diff is unified, without a file header. */
export interface Detail {
  readonly name: string
  readonly form: "text" | "diff"
  readonly value: string
}

/** Something at one moment. */
export interface Mark {
  readonly at: number
  readonly kind: "abort" | "steer" | "retry" | "warning" | "straggler" | "info"
  readonly text: string
}

/** A message of the conversation. */
export interface Message {
  readonly at: number
  readonly by: "user" | "assistant" | "reasoning" | "developer"
  readonly text: string
}

/** Something that happened to the session itself. */
export interface Note {
  readonly at: number
  readonly text: string
  /** The number of turns that had started before it. */
  readonly afterTurns: number
}

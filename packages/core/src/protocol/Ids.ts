/**
 * The identifiers of a session, and the service that makes them.
 *
 * Ids are opaque strings. Sessions, turns, submissions, questions and model requests get a UUID version 7 by default, so
 * that they sort by time. Items are numbered inside their turn, so that a stream of deltas needs no generator.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import { uuidV7 } from "./uuidV7.ts"

export { uuidV7 } from "./uuidV7.ts"

/** Names one conversation, and its journal. */
export const SessionId = Schema.String.pipe(Schema.brand("SessionId"))
/** @see {@link SessionId} */
export type SessionId = typeof SessionId.Type

/** Names one turn. Unique across all sessions. */
export const TurnId = Schema.String.pipe(Schema.brand("TurnId"))
/** @see {@link TurnId} */
export type TurnId = typeof TurnId.Type

/**
 * Names a submission of a client. The client may choose it. A submission with a repeated id is recognised
 * (contract P6).
 */
export const SubmissionId = Schema.String.pipe(Schema.brand("SubmissionId"))
/** @see {@link SubmissionId} */
export type SubmissionId = typeof SubmissionId.Type

/** Names a conversation item: the number of its turn's `TurnStarted`, a dot, and a count from 0. */
export const ItemId = Schema.String.pipe(Schema.brand("ItemId"))
/** @see {@link ItemId} */
export type ItemId = typeof ItemId.Type

/** Names a tool call. The model chooses it. Unique among the open calls of a session. */
export const CallId = Schema.String.pipe(Schema.brand("CallId"))
/** @see {@link CallId} */
export type CallId = typeof CallId.Type

/** Names a question to a person or a reviewer (contract A1). */
export const QuestionId = Schema.String.pipe(Schema.brand("QuestionId"))
/** @see {@link QuestionId} */
export type QuestionId = typeof QuestionId.Type

/** Names one model request. All its attempts have the same id. */
export const ModelRequestId = Schema.String.pipe(Schema.brand("ModelRequestId"))
/** @see {@link ModelRequestId} */
export type ModelRequestId = typeof ModelRequestId.Type

/** Names a process. The environment of the process contains it as a marker (contract X1, X3). */
export const ProcessId = Schema.String.pipe(Schema.brand("ProcessId"))
/** @see {@link ProcessId} */
export type ProcessId = typeof ProcessId.Type

/**
 * Makes ids. The default makes UUIDs version 7; {@link sequential} counts, for tests and replays.
 *
 * `next` gets the time in milliseconds since 1970, and must never return the same string twice.
 */
export interface IdGenerator {
  readonly next: (nowMillis: number) => string
}

/** The key of {@link IdGenerator}. */
export const IdGenerator: Context.Reference<IdGenerator> = Context.Reference("@spindle/core/IdGenerator", {
  defaultValue: () => ({ next: uuidV7 })
})

/** Makes a generator that counts from 0: `prefix-0`, `prefix-1`, ... */
export const sequential = (prefix: string): IdGenerator => {
  let count = 0
  return { next: () => `${prefix}-${count++}` }
}

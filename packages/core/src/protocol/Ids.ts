/**
 * The identifiers of a session and the service that makes them.
 *
 * Ids are opaque strings. Sessions, turns, submissions, questions and model requests get a UUID version 7 by default, so
 * that they sort by time. Items are numbered inside their turn, so that a stream of deltas needs no generator.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"

/** Names one conversation, and its journal. */
export const SessionId = Schema.String.pipe(Schema.brand("SessionId"))
/** @see {@link SessionId} */
export type SessionId = typeof SessionId.Type

/** Names one turn. Unique in all sessions. */
export const TurnId = Schema.String.pipe(Schema.brand("TurnId"))
/** @see {@link TurnId} */
export type TurnId = typeof TurnId.Type

/** Names a submission of a client. The client may choose it; a repeated id is recognised (contract P6). */
export const SubmissionId = Schema.String.pipe(Schema.brand("SubmissionId"))
/** @see {@link SubmissionId} */
export type SubmissionId = typeof SubmissionId.Type

/** Names a conversation item: the number of its turn's `TurnStarted`, a dot, and a count from 0. */
export const ItemId = Schema.String.pipe(Schema.brand("ItemId"))
/** @see {@link ItemId} */
export type ItemId = typeof ItemId.Type

/** Names a tool call. The model chooses it; unique among the open calls of a session. */
export const CallId = Schema.String.pipe(Schema.brand("CallId"))
/** @see {@link CallId} */
export type CallId = typeof CallId.Type

/** Names a question to a person or a reviewer (contract A1). */
export const QuestionId = Schema.String.pipe(Schema.brand("QuestionId"))
/** @see {@link QuestionId} */
export type QuestionId = typeof QuestionId.Type

/** Names one sampling request to a model. All its attempts carry this id. */
export const ModelRequestId = Schema.String.pipe(Schema.brand("ModelRequestId"))
/** @see {@link ModelRequestId} */
export type ModelRequestId = typeof ModelRequestId.Type

/** Names a process, which carries it as the marker in its environment (contract X1, X3). */
export const ProcessId = Schema.String.pipe(Schema.brand("ProcessId"))
/** @see {@link ProcessId} */
export type ProcessId = typeof ProcessId.Type

declare const crypto: { readonly getRandomValues: (bytes: Uint8Array) => Uint8Array }

const hexDigits = Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0))
const dash = 45
// random bytes are drawn in blocks: a draw costs a microsecond, whatever its size
const pool = new Uint8Array(1_000)
let drawn = pool.length
const codes: Array<number> = Array.from({ length: 36 }, () => dash)

/** Makes a UUID version 7 (RFC 9562, section 5.7) for a time in milliseconds since 1970. */
export const uuidV7 = (nowMillis: number): string => {
  if (drawn + 10 > pool.length) {
    crypto.getRandomValues(pool)
    drawn = 0
  }
  let at = 0
  const digit = (value: number) => {
    if (at === 8 || at === 13 || at === 18 || at === 23) at++
    codes[at++] = hexDigits[value & 15]!
  }
  for (const half of [Math.floor(nowMillis / 2 ** 24), nowMillis % 2 ** 24]) {
    for (let bits = 20; bits >= 0; bits -= 4) digit(half >> bits)
  }
  for (let index = 0; index < 10; index++) {
    const byte = pool[drawn++]!
    digit(index === 0 ? 7 : index === 2 ? 8 | ((byte >> 4) & 3) : byte >> 4)
    digit(byte)
  }
  // one flat string: a concatenation would keep all its parts alive
  return String.fromCharCode(...codes)
}

/**
 * Makes ids. The default draws UUIDs version 7; `sequential` counts, for tests and replays.
 *
 * `next` gets the time in milliseconds and must never return the same string twice.
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

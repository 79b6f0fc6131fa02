/**
 * Kinds of notes: what a task reports to clients that is no part of the history, such as the start of a review.
 *
 * A kind of tasks exports the kinds of its notes. `Turn.note` writes a note as the record `TaskNote`, and a client reads
 * its data with the same kind. A client that does not know the kind can still show the `message` of the record.
 *
 * @example
 * ```ts
 * import * as NoteKind from "@spindle/core/NoteKind"
 * import { Schema } from "effect"
 *
 * const Released = NoteKind.make("release.published", { data: Schema.Struct({ version: Schema.String }) })
 *
 * console.log(Released.name, JSON.stringify(Released.encode({ version: "1.2.0" })))
 * // prints: release.published {"version":"1.2.0"}
 * ```
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { jsonOfUnsafe } from "./protocol/Item.ts"
import type { TaskNote } from "./protocol/SessionEvent.ts"

/** A kind of notes with data of one type. */
export interface NoteKind<in out A> {
  readonly name: string
  /** Returns the JSON value of the data. Throws for data that does not fit the schema. */
  readonly encode: (data: A) => unknown
  /** Returns the data of a note; none if it is of another kind, or does not fit the schema. */
  readonly decode: (note: Pick<TaskNote, "name" | "data">) => Option.Option<A>
  /** Describes the data to a person; undefined if there is nothing to show. */
  readonly message: (data: A) => string | undefined
}

/** Makes a kind of notes. By default a note has no message for people. */
export const make = <A>(
  name: string,
  options: {
    readonly data: Schema.Codec<A, any>
    readonly message?: ((data: A) => string | undefined) | undefined
  }
): NoteKind<A> => {
  const codec = Schema.toCodecJson(options.data)
  const encode = Schema.encodeSync(codec)
  const decode = Schema.decodeUnknownOption(codec)
  return {
    name,
    encode: (data) => jsonOfUnsafe(encode(data)),
    decode: (note) => (note.name === name ? decode(note.data) : Option.none()),
    message: options.message ?? (() => undefined)
  }
}

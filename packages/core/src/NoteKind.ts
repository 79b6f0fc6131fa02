/**
 * Kinds of notes. With a note a task reports something to clients that is not part of the history, such as the start of
 * a review.
 *
 * A module with a task exports the kinds of its notes. `Turn.note` writes a note as the record `TaskNote`, and a client
 * decodes the data of the record with the same kind. A client that does not know the kind can still show the `message`
 * of the record.
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
  /** Returns the data as a JSON value. Throws if the data does not fit the schema. */
  readonly encode: (data: A) => unknown
  /**
   * Returns the data of a note. Returns none if the note is of another kind, or if its data does not fit the schema.
   */
  readonly decode: (note: Pick<TaskNote, "name" | "data">) => Option.Option<A>
  /** Returns a text for a person; undefined if there is nothing to show. */
  readonly message: (data: A) => string | undefined
}

/** Makes a kind of notes. By default a note has no text for people. */
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

/**
 * What a user gives to a session: parts of text and images, and how they are to be delivered.
 */
import * as Schema from "effect/Schema"

/** A run of text. */
export const TextPart = Schema.TaggedStruct("Text", { text: Schema.String })
/** An image: an `https:` address, or a `data:` URL that holds it. */
export const ImagePart = Schema.TaggedStruct("Image", { url: Schema.String })
/** One part of an input. */
export const InputPart = Schema.Union([TextPart, ImagePart])
/** @see {@link InputPart} */
export type InputPart = typeof InputPart.Type

/** An input: its parts in order. */
export const Input = Schema.Array(InputPart)
/** @see {@link Input} */
export type Input = typeof Input.Type

/**
 * How input reaches a session: `steer` joins the running turn if that turn can be steered and otherwise waits for a turn
 * of its own, `queue` always waits for one. `wait` starts none: it joins the running turn if that can be steered, and
 * otherwise the next one that starts for another reason.
 */
export const Delivery = Schema.Literals(["steer", "queue", "wait"])
/** @see {@link Delivery} */
export type Delivery = typeof Delivery.Type

/** An input of one text. */
export const text = (value: string): Input => [{ _tag: "Text", text: value }]

/** The texts of an input, joined by an empty line. */
export const textOf = (input: Input): string => {
  const first = input[0]
  if (input.length === 1 && first?._tag === "Text") return first.text
  return input.flatMap((part) => (part._tag === "Text" ? [part.text] : [])).join("\n\n")
}

/** Whether an input says nothing: no part, or texts that are all blank. */
export const isEmpty = (input: Input): boolean =>
  input.every((part) => part._tag === "Text" && part.text.trim().length === 0)

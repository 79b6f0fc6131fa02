/**
 * What a session is given to work on: parts of text, images and mentions, and how they are delivered.
 */
import * as Schema from "effect/Schema"

/** A run of text. */
export class TextPart extends Schema.Opaque<TextPart>()(
  Schema.TaggedStruct("Text", { text: Schema.String }).annotate({ identifier: "TextPart" })
) {}
/** An image: an `https:` address, or a `data:` URL that holds it. */
export class ImagePart extends Schema.Opaque<ImagePart>()(
  Schema.TaggedStruct("Image", { url: Schema.String }).annotate({ identifier: "ImagePart" })
) {}
/**
 * Names something that the turn should use, such as an app (`app://id`) or a skill (the path of its file). A model reads
 * its text, `[$name](path)`, which is also what a person can write.
 */
export class MentionPart extends Schema.Opaque<MentionPart>()(
  Schema.TaggedStruct("Mention", { name: Schema.String, path: Schema.String }).annotate({ identifier: "MentionPart" })
) {}
const parts = Schema.Union([TextPart, ImagePart, MentionPart]).annotate({ identifier: "InputPart" })
/** One part of an input. */
export type InputPart = TextPart | ImagePart | MentionPart
/** The schema of {@link InputPart}. */
export interface InputPartSchema extends Schema.Union<typeof parts.members> {
  readonly Type: InputPart
}
/** @see {@link InputPart} */
export const InputPart: InputPartSchema = parts

/** An input: its parts in order. */
export const Input = Schema.Array(InputPart).annotate({ identifier: "Input" })
/** @see {@link Input} */
export type Input = typeof Input.Type

/**
 * How input reaches a session: `steer` joins the running turn if that turn can be steered and otherwise waits for its
 * own turn, `queue` always waits for one. `wait` starts no turn: it joins the running turn if that can be steered, and
 * otherwise the next one that starts for another reason.
 */
export const Delivery = Schema.Literals(["steer", "queue", "wait"]).annotate({ identifier: "Delivery" })
/** @see {@link Delivery} */
export type Delivery = typeof Delivery.Type

/** Makes an input of one text. */
export const text = (value: string): Input => [{ _tag: "Text", text: value }]

/** Returns the text of a part, as a model reads it. A mention is one link, whatever its name and path contain. */
export const textOfPart = (part: TextPart | MentionPart): string =>
  part._tag === "Text" ? part.text : `[$${part.name.replaceAll(/[[\]\s]+/g, " ").trim()}](${escapePath(part.path)})`

/** Returns a path as the text of a mention has it: parentheses and white space would end the link. */
export const escapePath = (path: string): string =>
  path.replaceAll(/[()\s]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)

/** Returns the texts of an input, joined by an empty line. */
export const textOf = (input: Input): string => {
  const first = input[0]
  if (input.length === 1 && first?._tag === "Text") return first.text
  return input.flatMap((part) => (part._tag === "Image" ? [] : [textOfPart(part)])).join("\n\n")
}

/** Whether an input has no content: no part, or only blank texts. */
export const isEmpty = (input: Input): boolean =>
  input.every((part) => part._tag === "Text" && part.text.trim().length === 0)

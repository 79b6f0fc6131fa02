/** Input of a session: parts of text, images and mentions, and the way in which they are delivered. */
import * as Schema from "effect/Schema"

/** A run of text. */
export class TextPart extends Schema.Opaque<TextPart>()(
  Schema.TaggedStruct("Text", { text: Schema.String }).annotate({ identifier: "TextPart" })
) {}
/** An image. `url` is an `https:` address, or a `data:` URL that contains the image. */
export class ImagePart extends Schema.Opaque<ImagePart>()(
  Schema.TaggedStruct("Image", { url: Schema.String }).annotate({ identifier: "ImagePart" })
) {}
/**
 * A mention of something that the turn should use, such as an app (`app://id`) or a skill (the path of its file). The
 * model reads it as the text `[$name](path)`, which a person can also write.
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
 * The way in which input reaches a session. `steer` joins the running turn if that turn can be steered, and otherwise
 * waits for its own turn. `queue` always waits for its own turn. `wait` starts no turn: it joins the running turn if
 * that turn can be steered, and otherwise the next turn that starts for another reason.
 */
export const Delivery = Schema.Literals(["steer", "queue", "wait"]).annotate({ identifier: "Delivery" })
/** @see {@link Delivery} */
export type Delivery = typeof Delivery.Type

/** Makes an input of one text. */
export const text = (value: string): Input => [{ _tag: "Text", text: value }]

/** Returns the text of a part, as a model reads it. A mention is one link, whatever its name and path contain. */
export const textOfPart = (part: TextPart | MentionPart): string =>
  part._tag === "Text" ? part.text : `[$${part.name.replaceAll(/[[\]\s]+/g, " ").trim()}](${escapePath(part.path)})`

/** Returns a path for the text of a mention, without parentheses and white space, which would end the link. */
export const escapePath = (path: string): string =>
  path.replaceAll(/[()\s]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)

/** Returns the texts of an input, joined by an empty line. */
export const textOf = (input: Input): string => {
  const first = input[0]
  if (input.length === 1 && first?._tag === "Text") return first.text
  return input.flatMap((part) => (part._tag === "Image" ? [] : [textOfPart(part)])).join("\n\n")
}

/** Returns whether an input has no content: no part, or only blank texts. */
export const isEmpty = (input: Input): boolean =>
  input.every((part) => part._tag === "Text" && part.text.trim().length === 0)

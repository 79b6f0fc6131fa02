/** Writes HTML. Every string from outside passes `text` or is the value of an attribute. */

/** Escapes a text. A character that cannot be seen, or that moves others, is shown by its number. */
export const text = (value: string): string =>
  showHidden(value, (number) => `\u0000${number}\u0001`)
    .replace(markup, escapeCharacter)
    .replaceAll("\u0000", '<span class="hidden">')
    .replaceAll("\u0001", "</span>")

/** Escapes a text for places that have no elements: attributes and the title of the page. */
export const escapePlain = (value: string): string =>
  showHidden(value, (number) => `[${number}]`).replace(markup, escapeCharacter)

/** Writes an element. The attributes are escaped here, the content is HTML. */
export const tag = (
  name: string,
  attributes: { readonly [name: string]: string },
  ...content: ReadonlyArray<string>
): string =>
  `<${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escapePlain(value)}"`)
    .join("")}>${content.join("")}</${name}>`

const markup = /[&<>"']/g
const escapeCharacter = (character: string): string => `&#${character.charCodeAt(0)};`

// joiners and variation selectors that follow an emoji belong to it
const emoji = /(?<=\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f)(?:\u200d|\ufe0f)/u
const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u
const unseen = new RegExp(`(${emoji.source})|(?![\\t\\n])${hidden.source}`, "gu")

const showHidden = (value: string, show: (number: string) => string): string =>
  value
    .replaceAll("\r\n", "\n")
    .replace(unseen, (character, joiner: string | undefined) =>
      joiner === undefined ? show(`U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`) : joiner
    )

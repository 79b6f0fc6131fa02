/** How much of a text of foreign code is kept: more than a person or a model reads of an error. */
const maxCharacters = 65_536

/** Returns the text, or its beginning. */
export const boundText = (text: string): string =>
  text.length > maxCharacters ? `${text.slice(0, maxCharacters).toWellFormed()}…` : text

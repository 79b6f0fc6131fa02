/**
 * The number of characters that are kept of a text of foreign code: more than a person or a model reads of an error.
 */
const maxCharacters = 65_536

/** Returns the text, or its beginning if it is too long. */
export const boundText = (text: string): string =>
  text.length > maxCharacters ? `${text.slice(0, maxCharacters).toWellFormed()}…` : text

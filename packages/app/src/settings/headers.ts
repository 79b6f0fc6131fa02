/** Texts that an HTTP header can carry. A request with any other text would fail before it is sent. */

/** Returns true if a text can be the name of a header. */
export const isName = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)

/** Returns the reason why a text cannot be the value of a header; undefined if it can. */
export const problemOf = (text: string): string | undefined => {
  if (/[\r\n]/.test(text)) return "it has a line break"
  return /[^\t\x20-\x7e\x80-\xff]/.test(text) ? "it has a character that no HTTP header can carry" : undefined
}

/** The texts without a {@link problemOf}, in words. */
export const expected = "one line of characters that an HTTP header can carry"

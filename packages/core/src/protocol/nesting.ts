/** How deep values of JSON may be nested. Deeper ones can be read, but not written on every stack. */

/** How many arrays and objects of a value that a session keeps may be nested in each other. */
export const maxNesting = 500

/** Whether a text nests more arrays and objects than the limit. The text is JSON; it is read once, without recursion. */
export const nestsTooDeep = (text: string, limit = maxNesting): boolean => {
  // each one needs two characters
  if (text.length <= 2 * limit) return false
  let depth = 0
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case quote:
        index = endOfText(text, index)
        break
      case openArray:
      case openObject:
        if (++depth > limit) return true
        break
      case closeArray:
      case closeObject:
        depth--
    }
  }
  return false
}

const [quote, backslash, openArray, closeArray, openObject, closeObject] = [34, 92, 91, 93, 123, 125]

/** Returns where the text that begins at a quote ends. */
const endOfText = (text: string, start: number): number => {
  for (let end = text.indexOf('"', start + 1); end > 0; end = text.indexOf('"', end + 1)) {
    let escapes = end
    while (text.charCodeAt(escapes - 1) === backslash) escapes--
    if ((end - escapes) % 2 === 0) return end
  }
  return text.length
}

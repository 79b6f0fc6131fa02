/** The bound on the nesting of JSON values. A deeper value can be parsed, but writing it may exhaust the stack. */

/** The greatest nesting of arrays and objects in a value that a session keeps. */
export const maxNesting = 500

/** Returns whether a JSON text nests arrays and objects deeper than the limit. It is read once, without recursion. */
export const nestsTooDeep = (text: string, limit = maxNesting): boolean => {
  // each array and each object needs two characters
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

/** Returns the end of the string that begins at a quote. */
const endOfText = (text: string, start: number): number => {
  for (let end = text.indexOf('"', start + 1); end > 0; end = text.indexOf('"', end + 1)) {
    let escapes = end
    while (text.charCodeAt(escapes - 1) === backslash) escapes--
    if ((end - escapes) % 2 === 0) return end
  }
  return text.length
}

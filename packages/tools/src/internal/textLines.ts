/** The lines of a text with their own line ends, so that a line that is not changed keeps its bytes. */

/** A text in lines. Line `i` is `texts[i]` followed by `ends[i]`. */
export interface TextLines {
  /** A byte order mark, or nothing. It belongs to no line. */
  readonly mark: string
  readonly texts: ReadonlyArray<string>
  /** `\n`, `\r\n`, `\r`, or nothing after a last line without an end. */
  readonly ends: ReadonlyArray<string>
}

const byteOrderMark = "\ufeff"

/**
 * Splits a text into lines. A carriage return is the end of a line before a line feed, or in a text without any line
 * feed; elsewhere it is part of the line.
 */
export const split = (content: string): TextLines => {
  const mark = content.startsWith(byteOrderMark) ? byteOrderMark : ""
  const separator = content.includes("\n") || !content.includes("\r") ? "\n" : "\r"
  const texts: Array<string> = []
  const ends: Array<string> = []
  for (let start = mark.length; start < content.length;) {
    const at = content.indexOf(separator, start)
    const stop = at === -1 ? content.length : at
    const hasReturn = separator === "\n" && at > start && content[at - 1] === "\r"
    texts.push(content.slice(start, hasReturn ? stop - 1 : stop))
    ends.push(at === -1 ? "" : hasReturn ? "\r\n" : separator)
    start = stop + 1
  }
  return { mark, texts, ends }
}

/** Returns the line end that a text uses most often; a line feed for a text of one line. */
export const usualEnd = ({ ends }: TextLines): string => {
  const counts = new Map<string, number>()
  let usual = "\n"
  for (const end of ends) {
    if (end === "") continue
    const count = (counts.get(end) ?? 0) + 1
    counts.set(end, count)
    if (count > (counts.get(usual) ?? 0)) usual = end
  }
  return usual
}

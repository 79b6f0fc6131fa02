/** The fields at the head of a Markdown file: a block of `name: value` lines between two lines `---`. */

/** A document without its head, and the fields of the head. */
export interface FrontMatter {
  readonly fields: { readonly [name: string]: string }
  readonly body: string
}

/**
 * Reads the head of a document. Values are texts: plain, quoted, or on the indented lines that follow `>` or `|`. Lines
 * of any other form are skipped. A document without a head is only body.
 */
export const frontMatterOf = (text: string): FrontMatter => {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/)
  const end = lines[0] === "---" ? lines.indexOf("---", 1) : -1
  if (end < 0) return { fields: {}, body: text }
  const fields: { [name: string]: string } = Object.create(null)
  for (let at = 1; at < end; at++) {
    const match = /^([\w-]+):(?:\s+(.*))?$/.exec(lines[at]!)
    if (match === null) continue
    const [, name, value = ""] = match
    const block = /^[>|][+-]?$/.exec(value.trim())
    if (block === null) {
      fields[name!] = unquote(value.trim())
      continue
    }
    const own: Array<string> = []
    while (at + 1 < end && /^(\s|$)/.test(lines[at + 1]!)) own.push(lines[++at]!.trim())
    fields[name!] = own.join(value.trim().startsWith(">") ? " " : "\n").trim()
  }
  return { fields, body: lines.slice(end + 1).join("\n") }
}

const unquote = (value: string): string => {
  const match = /^(["'])(.*)\1$/.exec(value)
  return match === null ? value : match[2]!
}

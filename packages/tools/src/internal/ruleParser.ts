/**
 * The syntax of rule files: calls with named arguments, whose values are texts and lists. It is a part of Starlark.
 *
 * A call with an error is returned with its source, and reading continues at the next call: at a name and a
 * parenthesis.
 */

/** A place in a file; both count from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** A text or a list. */
export type Value = Place &
  ({ readonly _tag: "Text"; readonly text: string } | { readonly _tag: "List"; readonly values: ReadonlyArray<Value> })

/** A call. `error` is the first thing that is wrong with its syntax. */
export interface Call extends Place {
  readonly name: string
  /** Its text, and the text after it up to the next call. */
  readonly source: string
  readonly args: ReadonlyArray<Place & { readonly name: string; readonly value: Value }>
  readonly error: SyntaxProblem | undefined
}

/** A fault and its place. */
export interface SyntaxProblem extends Place {
  readonly message: string
}

interface Token extends Place {
  readonly kind: "name" | "text" | "mark" | "bad" | "end"
  readonly text: string
  readonly index: number
}

const pattern =
  /[ \t\r\n]+|#[^\n]*|([A-Za-z_][A-Za-z0-9_]*)|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|([()[\],=])|["'][^\n]*|[^]/gu
const escapes: { readonly [letter: string]: string } = { n: "\n", r: "\r", t: "\t" }

const unescape = (text: string): string =>
  text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gu, (_, code: string | undefined, letter: string) =>
    code === undefined ? (escapes[letter] ?? letter) : String.fromCharCode(Number.parseInt(code, 16))
  )

const tokensOf = (text: string): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  let line = 1
  let lineStart = 0
  for (const { 0: found, 1: name, 2: double, 3: single, 4: mark, index } of text.matchAll(pattern)) {
    const place = { index, line, column: index - lineStart + 1 }
    const quoted = double ?? single
    if (name !== undefined) tokens.push({ kind: "name", text: name, ...place })
    else if (quoted !== undefined) tokens.push({ kind: "text", text: unescape(quoted), ...place })
    else if (mark !== undefined) tokens.push({ kind: "mark", text: mark, ...place })
    else if (!/^[ \t\r\n#]/.test(found)) tokens.push({ kind: "bad", text: found, ...place })
    for (let at = found.indexOf("\n"); at >= 0; at = found.indexOf("\n", at + 1)) {
      line++
      lineStart = index + at + 1
    }
  }
  return [...tokens, { kind: "end", text: "", index: text.length, line, column: text.length - lineStart + 1 }]
}

const describe = ({ kind, text }: Token): string => {
  if (kind === "end") return "the end of the file"
  if (kind === "text") return `the text ${JSON.stringify(text)}`
  return /^["']/.test(text) ? "a text that is not closed" : `"${text}"`
}

class Reader {
  private at = 0
  private error: SyntaxProblem | undefined
  private readonly text: string
  private readonly tokens: ReadonlyArray<Token>
  constructor(text: string) {
    this.text = text
    this.tokens = tokensOf(text)
  }

  get isAtEnd(): boolean {
    return this.next.kind === "end"
  }

  /** Reads a call, or the text in place of one. */
  call(): Call {
    const start = this.at
    const { column, index, line, text } = this.next
    this.error = undefined
    const args: Array<Call["args"][number]> = []
    if (this.take("name", "the name of a function") && this.mark("(")) {
      while (this.error === undefined && !this.is(")")) {
        const arg = this.arg()
        if (arg !== undefined) args.push(arg)
        if (!this.is(")")) this.mark(",")
      }
      // text after a call is a part of it that was cut off
      if (this.mark(")") && !this.isAtEnd && !this.beginsCall()) this.fail("the next rule")
    }
    if (this.error !== undefined) while (this.at === start || !(this.isAtEnd || this.beginsCall())) this.at++
    const source = this.text.slice(index, this.next.index)
    return { name: text, args, source, error: this.error, line, column }
  }

  private arg(): Call["args"][number] | undefined {
    const { column, line } = this.next
    const name = this.take("name", "the name of an argument")
    if (name === undefined || !this.mark("=")) return undefined
    const value = this.value(1)
    return value && { name: name.text, value, line, column }
  }

  /** Reads a text, or a list that contains lists `depth` levels deep at most. */
  private value(depth: number): Value | undefined {
    const { column, kind, line, text } = this.next
    if (kind === "text") {
      this.at++
      return { _tag: "Text", text, line, column }
    }
    if (!this.is("[") || depth < 0) return void this.fail(depth < 0 ? "a text" : "a text or a list")
    this.at++
    const values: Array<Value> = []
    while (this.error === undefined && !this.is("]")) {
      const value = this.value(depth - 1)
      if (value !== undefined) values.push(value)
      if (!this.is("]")) this.mark(",")
    }
    this.mark("]")
    return { _tag: "List", values, line, column }
  }

  private beginsCall(): boolean {
    const after = this.tokens[this.at + 1]
    return this.next.kind === "name" && after?.kind === "mark" && after.text === "("
  }

  private get next(): Token {
    return this.tokens[this.at]!
  }

  private is(mark: string): boolean {
    return this.next.kind === "mark" && this.next.text === mark
  }

  private mark(mark: string): boolean {
    return this.is(mark) ? this.take("mark", mark) !== undefined : this.fail(`"${mark}"`)
  }

  private take(kind: Token["kind"], expected: string): Token | undefined {
    const { next } = this
    if (next.kind !== kind) return void this.fail(expected)
    this.at++
    return next
  }

  private fail(expected: string): false {
    const { column, line } = this.next
    this.error ??= { line, column, message: `expected ${expected}, found ${describe(this.next)}` }
    return false
  }
}

/** Reads the calls of a rule file. Never throws. */
export const parse = (text: string): ReadonlyArray<Call> => {
  const reader = new Reader(text)
  const calls: Array<Call> = []
  while (!reader.isAtEnd) calls.push(reader.call())
  return calls
}

/** TOML tables in layers. The first layer that has a key supplies its value, and its type is checked there. */
import { TomlError, parse as parseToml } from "smol-toml"
import * as Headers from "./headers.ts"

/** A table and its source. */
export interface Layer {
  readonly source: string
  readonly table: Tree
  /** The document that it was parsed from, if any. */
  readonly text?: string
}

/** A TOML table. */
export interface Tree {
  readonly [key: string]: unknown
}

/** A key, dotted or in parts. Parts after the first may contain dots. */
export type Key = string | readonly [at: string, ...names: ReadonlyArray<string>]

/** Typed look-ups. They return undefined, or an empty list, for a key that no layer has. */
export interface Settings {
  /** The strongest first. */
  readonly layers: ReadonlyArray<Layer>
  readonly text: (key: Key) => string | undefined
  /** A text that an HTTP header can carry. */
  readonly header: (key: Key) => string | undefined
  /** HTTP headers, merged from all layers. */
  readonly headers: (key: Key) => ReadonlyArray<readonly [name: string, value: string]>
  /** The address of a web server. */
  readonly url: (key: Key) => string | undefined
  readonly choice: <const A extends string>(key: Key, choices: ReadonlyArray<A>) => A | undefined
  /** A whole number, at least 0. */
  readonly count: (key: Key) => number | undefined
  /** A number of seconds, which may have decimals. */
  readonly seconds: (key: Key) => number | undefined
  readonly flag: (key: Key) => boolean | undefined
  /** One of the choices, alone or as the only key of a table with more settings. */
  readonly variant: <const A extends string>(key: Key, choices: ReadonlyArray<A>) => A | undefined
  /** The value as it is. */
  readonly value: (key: Key) => unknown
  /** Returns true if the value is a table. */
  readonly isTable: (key: Key) => boolean
  /** A table of texts, merged from all layers. */
  readonly texts: (key: Key) => ReadonlyArray<readonly [string, string]>
  /** A list of texts. */
  readonly list: (key: Key) => ReadonlyArray<string> | undefined
  /** The names in a table, merged from all layers. */
  readonly keys: (key: Key) => ReadonlyArray<string>
}

/**
 * Combines layers, the strongest first. `reject` is called for a value of a wrong type and must throw. Its `source`
 * ends in `:line:column` if the value comes from a document.
 */
export const make = (
  layers: ReadonlyArray<Layer>,
  reject: (source: string, key: string, expected: string) => never
): Settings => {
  const refuse = ({ source, text }: Layer, path: ReadonlyArray<string>, expected: string): never => {
    const place = text === undefined ? undefined : placeOf(text, path)
    return reject(place === undefined ? source : `${source}:${place.line}:${place.column}`, path.join("."), expected)
  }
  const find = <A>(key: Key, expected: string, is: (value: unknown) => value is A): A | undefined => {
    for (const layer of layers) {
      const value = at(layer.table, parts(key), (path) => refuse(layer, path, "a table"))
      if (value === undefined) continue
      return is(value) ? value : refuse(layer, parts(key), expected)
    }
    return undefined
  }
  const entries = (key: Key): ReadonlyMap<string, readonly [layer: Layer, value: unknown]> => {
    const all = new Map<string, readonly [Layer, unknown]>()
    for (const layer of layers.toReversed()) {
      const value = at(layer.table, parts(key), (path) => refuse(layer, path, "a table"))
      if (value === undefined) continue
      if (!isTree(value)) refuse(layer, parts(key), "a table")
      for (const [name, one] of Object.entries(value as Tree)) all.set(name, [layer, one])
    }
    return all
  }
  const texts = (key: Key, expected: string, is: (value: unknown) => value is string) =>
    Array.from(
      entries(key),
      ([name, [layer, value]]) => [name, is(value) ? value : refuse(layer, [...parts(key), name], expected)] as const
    )
  return {
    layers,
    text: (key) => find(key, "a text", isText),
    header: (key) => find(key, Headers.expected, isHeader),
    headers: (key) => {
      const found = texts(key, Headers.expected, isHeader)
      for (const [name] of found) {
        const [layer] = entries(key).get(name)!
        if (!Headers.isName(name)) refuse(layer, [...parts(key), name], "the name of an HTTP header")
      }
      return found
    },
    url: (key) => find(key, "a URL that begins with http:// or https://", isUrl),
    choice: (key, choices) =>
      find(key, `one of ${choices.join(", ")}`, (value): value is (typeof choices)[number] =>
        choices.some((choice) => choice === value)
      ),
    count: (key) => find(key, "a whole number, at least 0", isCount),
    seconds: (key) => find(key, "a number of seconds, more than 0", isSeconds),
    flag: (key) => find(key, "true or false", (value): value is boolean => typeof value === "boolean"),
    variant: (key, choices) => {
      const choiceOf = (value: unknown) => choices.find((choice) => value === choice || isOnlyKey(choice, value))
      const found = find(
        key,
        `${choices.join(" or ")}, or a table of that name`,
        (value): value is unknown => choiceOf(value) !== undefined
      )
      return choiceOf(found)
    },
    value: (key) => find(key, "anything", isAnything),
    isTable: (key) => isTree(find(key, "anything", isAnything)),
    texts: (key) => texts(key, "a text", isText),
    list: (key) => find(key, "a list of texts", (value) => Array.isArray(value) && value.every(isText)),
    keys: (key) => [...entries(key).keys()]
  }
}

const isOnlyKey = (name: string, value: unknown): boolean =>
  isTree(value) && Object.keys(value).length === 1 && Object.hasOwn(value, name)

const isAnything = (value: unknown): value is unknown => value !== undefined
const isText = (value: unknown): value is string => typeof value === "string"
const isHeader = (value: unknown): value is string => isText(value) && Headers.problemOf(value) === undefined
const isUrl = (value: unknown): value is string =>
  isText(value) && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0
const isSeconds = (value: unknown): value is number => Number.isFinite(value) && (value as number) > 0
const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)

// only the part up to the first dot of a key may be a name with dots: `model_providers.NAME`
const parts = (key: Key): ReadonlyArray<string> => {
  const [head, ...names] = typeof key === "string" ? [key] : key
  const dot = head!.indexOf(".")
  return dot < 0 ? [head!, ...names] : [head!.slice(0, dot), head!.slice(dot + 1), ...names]
}

const at = (
  table: Tree,
  path: ReadonlyArray<string>,
  reject: (path: ReadonlyArray<string>) => unknown = () => undefined
): unknown => {
  let value: unknown = table
  for (const [index, part] of path.entries()) {
    if (!isTree(value)) return reject(path.slice(0, index))
    if (!Object.hasOwn(value, part)) return undefined
    value = value[part]
  }
  return value
}

/**
 * Returns the place at which the value at a path begins: the first statement after which the document has this value.
 * No statement changes an existing value, so each step of the search halves the statements.
 */
const placeOf = (
  text: string,
  path: ReadonlyArray<string>
): { readonly line: number; readonly column: number } | undefined => {
  const starts = statements(text)
  let [before, after] = [0, starts.length]
  while (before < after) {
    const middle = Math.floor((before + after) / 2)
    const parsed = parse(text.slice(0, starts[middle + 1] ?? text.length))
    if ("table" in parsed && at(parsed.table, path) === undefined) before = middle + 1
    else after = middle
  }
  const start = starts[before]
  if (start === undefined) return undefined
  const line = text.slice(start, text.indexOf("\n", start) + 1 || text.length)
  return { line: text.slice(0, start).split("\n").length, column: 1 + Math.max(0, line.search(/\S/)) }
}

// strings of several lines, strings, comments, brackets, line breaks
const tokens = /"""[^]*?(?<!\\)(?:\\\\)*"{3,5}|'''[^]*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|[[{]|[\]}]|\n/g

/** Returns the places at which the statements of a valid document begin: the lines that do not continue a value. */
const statements = (text: string): ReadonlyArray<number> => {
  const starts = [0]
  let depth = 0
  for (const { 0: token, index } of text.matchAll(tokens)) {
    if (token === "[" || token === "{") depth++
    else if (token === "]" || token === "}") depth--
    else if (token === "\n" && depth === 0) starts.push(index + 1)
  }
  return starts
}

/** Parses a TOML document. Returns the place and the reason if it is not one. */
export const parse = (
  text: string
): { readonly table: Tree } | { readonly line?: number; readonly column?: number; readonly detail: string } => {
  try {
    return { table: parseToml(text, { unsafeKeyBehaviour: "drop" }) }
  } catch (error) {
    if (!(error instanceof TomlError)) return { detail: String(error) }
    const opening = unclosedString(text.split("\n")[error.line - 1] ?? "", error.column)
    if (opening !== undefined) return { line: error.line, column: opening, detail: "the string is not closed" }
    const detail = error.message.split("\n")[0]!.replace(/^Invalid TOML document: /, "")
    return { line: error.line, column: error.column, detail }
  }
}

/**
 * Returns the column of the string that a line ends in, if the parser failed in it: inside the string, at its opening
 * quote or at the end of the line.
 */
const unclosedString = (line: string, column: number): number | undefined => {
  let quote = ""
  let opening = 0
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!
    if (quote === "" && character === "#") return undefined
    if (quote === '"' && character === "\\") at++
    else if (character === quote) quote = ""
    else if (quote === "" && (character === '"' || character === "'")) [quote, opening] = [character, at + 1]
  }
  return quote !== "" && column >= opening ? opening : undefined
}

/**
 * Makes a table from `key=value` overrides; the last one wins. A value is TOML, or plain text if it is not TOML. A key
 * is dotted, and its parts may be quoted.
 */
export const overrides = (pairs: ReadonlyArray<readonly [key: string, value: string]>): Tree => {
  const table: { [key: string]: unknown } = {}
  for (const [key, raw] of pairs) put(table, path(key), valueOf(raw))
  return table
}

const valueOf = (raw: string): unknown => {
  const parsed = parse(`value = ${raw}`)
  return "table" in parsed && Object.keys(parsed.table).length === 1 ? parsed.table["value"] : raw.trim()
}

const path = (key: string): ReadonlyArray<string> => {
  const parsed = parse(`${key} = 0`)
  if (!("table" in parsed)) return key.split(".")
  const names: Array<string> = []
  for (let rest: unknown = parsed.table; isTree(rest); rest = rest[names.at(-1)!])
    names.push(Object.keys(rest)[0] ?? "")
  return names
}

const put = (table: { [key: string]: unknown }, [name, ...rest]: ReadonlyArray<string>, value: unknown): void => {
  if (name === undefined || name === "__proto__") return
  if (rest.length === 0) {
    table[name] = value
    return
  }
  const inner = Object.hasOwn(table, name) && isTree(table[name]) ? { ...table[name] } : {}
  put(inner, rest, value)
  table[name] = inner
}

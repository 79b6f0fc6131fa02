/**
 * Markers of mutants in sources, and the operators that make a mutant.
 *
 * ```
 * // mutant abort-once (I1: an abort is accepted once): drop
 * ```
 *
 * A marker applies to the node below it: of all nodes that start at the first token after the marker, the largest. It continues on
 * the comment lines below that begin with three spaces. Operators:
 *
 * - `drop` removes a statement, a class member, a property, an argument or an element.
 * - `true` and `false` replace a condition: that of an `if`, a loop or a conditional expression, or else the complete value. The value
 *   of a statement is what it returns, assigns, declares or evaluates; the value of a member or property is what follows its name;
 *   the value of an arrow function with an expression as its body is that expression.
 * - `swap-next` swaps the node with the next one of the same list.
 * - `insert: <code>` inserts a statement before the node.
 * - `replace: <code>` replaces the node.
 * - ``replace: `<code>` => `<code>` `` replaces the code that occurs once in the node. White space does not count.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseSync } from "vite"
import { applyEdits, type Edit } from "./mutantLoader.ts"

/** How the tests find a mutant. */
export interface Row {
  /** The exploration that finds it. */
  readonly by: string
  /** The law that it breaks. */
  readonly breaks: RegExp
}

/** What the markers of a mutant say. */
export interface Mutant {
  /** The clause of the contract that does not hold in the mutant. */
  readonly clause: string
  /** What holds in the source and not in the mutant. */
  readonly reason: string
  /** The changes of its markers, by the file below `packages`. */
  readonly edits: { readonly [file: string]: ReadonlyArray<Edit> }
}

interface Marker {
  readonly name: string
  readonly clause: string
  readonly reason: string
  readonly operator: string
  /** The code of `insert` and `replace`. */
  readonly code: string
  /** Where the marker ends in its source. */
  readonly end: number
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

/** A node, and the next one of the same list; `isListed` is false for a node that is in no list. */
interface Target {
  readonly node: Node
  readonly isListed: boolean
  readonly next: Node | undefined
}

const grammar = /^([a-z][a-z0-9-]*) \(([A-Z]\d+)(?:: (.+?))?\): (?:(drop|true|false|swap-next)|(insert|replace): (.+))$/
const withinNode = /^`([^`]+)` => `([^`]*)`$/

/** Returns the markers of a source. Throws if a comment begins with `mutant` and is not a marker. */
export const markersOf = (file: string, source: string): ReadonlyArray<Marker> => {
  if (!source.includes("// mutant ")) return []
  const { comments } = parseSync(file, source)
  return comments.flatMap(({ end, type, value }, index) => {
    if (type !== "Line" || !value.startsWith(" mutant ")) return []
    let text = value.slice(" mutant ".length)
    for (const more of comments.slice(index + 1)) {
      const isNextLine = /^\r?\n[ \t]*$/.test(source.slice(end, more.start))
      if (!isNextLine || more.type !== "Line" || !more.value.startsWith("   ")) break
      text += ` ${more.value.trim()}`
      end = more.end
    }
    const parts = grammar.exec(text.trim())
    if (parts === null) throw new Error(`${file}: not a marker of a mutant: ${text}`)
    const [, name, clause, reason = "", simple, other, code = ""] = parts
    return [{ name: name!, clause: clause!, reason, operator: (simple ?? other)!, code, end }]
  })
}

const isNode = (value: unknown): value is Node => typeof (value as Node | null)?.type === "string"

/** Returns the largest node that starts at the first token after an offset. */
const targetAfter = (
  program: Node,
  comments: ReadonlyArray<Omit<Edit, "text">>,
  source: string,
  offset: number
): Target => {
  let start = offset
  for (;;) {
    start += /^\s*/.exec(source.slice(start))![0].length
    const comment = comments.find((one) => one.start === start)
    if (comment === undefined) break
    start = comment.end
  }
  const find = (node: Node): Target | undefined => {
    for (const child of Object.values(node)) {
      const siblings = (Array.isArray(child) ? child : [child]).filter(isNode)
      for (const [index, one] of siblings.entries()) {
        if (one.start === start) return { node: one, isListed: Array.isArray(child), next: siblings[index + 1] }
        if (one.start < start && start < one.end) return find(one)
      }
    }
    return undefined
  }
  const found = find(program)
  if (found === undefined) throw new Error("there is nothing below the marker")
  return found
}

const valueOf = (node: Node): Node => {
  const child = (key: string): Node => valueOf(node[key] as Node)
  switch (node.type) {
    case "ReturnStatement":
      return child("argument")
    case "ExpressionStatement":
    case "ParenthesizedExpression":
      return child("expression")
    case "VariableDeclaration":
      return valueOf((node["declarations"] as ReadonlyArray<{ readonly init: Node }>).at(-1)!.init)
    case "PropertyDefinition":
    case "Property":
      return child("value")
    case "AssignmentExpression":
      return child("right")
    case "ArrowFunctionExpression":
      return node["expression"] === true ? child("body") : node
    case "IfStatement":
    case "WhileStatement":
    case "DoWhileStatement":
    case "ForStatement":
    case "ConditionalExpression":
      return node["test"] as Node
    default:
      return node
  }
}

const droppedFrom = ({ isListed, next, node }: Target): Edit => {
  // an empty statement, because the statement may be the body of an `if`
  if (/(Statement|Declaration)$/.test(node.type)) return { start: node.start, end: node.end, text: ";" }
  if (!isListed) throw new Error("there is nothing below the marker that can be dropped")
  const isMember = node.type.endsWith("Definition")
  return { start: node.start, end: isMember ? node.end : (next?.start ?? node.end), text: "" }
}

/** Finds code in a node, whatever white space either has. */
const within = (node: Node, source: string, wanted: string): Omit<Edit, "text"> => {
  const kept = Array.from({ length: node.end - node.start }, (_, index) => node.start + index).filter(
    (at) => source[at]!.trim() !== ""
  )
  const text = kept.map((at) => source[at]).join("")
  const bare = wanted.replaceAll(/\s/g, "")
  const at = text.indexOf(bare)
  if (at < 0 || text.indexOf(bare, at + 1) >= 0) throw new Error(`not once below the marker: ${wanted}`)
  return { start: kept[at]!, end: kept[at + bare.length - 1]! + 1 }
}

const editsOf = ({ code, operator }: Marker, target: Target, source: string): ReadonlyArray<Edit> => {
  const { next, node } = target
  const textOf = (one: Node) => source.slice(one.start, one.end)
  switch (operator) {
    case "drop":
      return [droppedFrom(target)]
    case "true":
    case "false": {
      const { end, start } = valueOf(node)
      return [{ start, end, text: operator }]
    }
    case "swap-next":
      if (next === undefined) throw new Error("there is nothing to swap with")
      return [
        { start: node.start, end: node.end, text: textOf(next) },
        { start: next.start, end: next.end, text: textOf(node) }
      ]
    case "insert":
      return [{ start: node.start, end: node.start, text: `${code}; ` }]
    default: {
      const [, wanted, instead] = withinNode.exec(code) ?? []
      if (wanted === undefined) return [{ start: node.start, end: node.end, text: code }]
      return [{ ...within(node, source, wanted), text: instead! }]
    }
  }
}

/** Returns the markers of a source, and what each of them changes. Throws if a marker cannot be applied. */
const editsOfMarkers = (file: string, source: string): ReadonlyArray<readonly [Marker, ReadonlyArray<Edit>]> => {
  const markers = markersOf(file, source)
  if (markers.length === 0) return []
  const { comments, program } = parseSync(file, source)
  return markers.map((marker) => {
    try {
      const target = targetAfter(program as unknown as Node, comments, source, marker.end)
      return [marker, editsOf(marker, target, source)] as const
    } catch (error) {
      throw new Error(`mutant ${marker.name} in ${file}: ${(error as Error).message}`, { cause: error })
    }
  })
}

/** Collects the mutants of sources. Throws if a marker cannot be applied, or if the markers of one mutant contradict each other. */
export const mutantsOf = (sources: Iterable<readonly [file: string, source: string]>): Record<string, Mutant> => {
  const mutants: Record<string, Mutant> = {}
  for (const [file, source] of sources) {
    for (const [{ clause, name, reason }, edits] of editsOfMarkers(file, source)) {
      const known = (mutants[name] ??= { clause, reason, edits: {} })
      const isSame = known.clause === clause && (reason === "" || known.reason === "" || known.reason === reason)
      if (!isSame) throw new Error(`${file}: two mutants are called ${name}`)
      mutants[name] = {
        clause,
        reason: known.reason === "" ? reason : known.reason,
        edits: { ...known.edits, [file]: [...(known.edits[file] ?? []), ...edits] }
      }
    }
  }
  return mutants
}

/** Returns the source of a mutant; a source without markers of that name stays as it is. Throws if a marker cannot be applied. */
export const mutate = (name: string, file: string, source: string): string => {
  const edits = mutantsOf([[file, source]])[name]?.edits[file] ?? []
  try {
    const mutated = applyEdits(source, edits)
    const [error] = parseSync(file, mutated).errors
    if (error !== undefined) throw new Error(error.message)
    return mutated
  } catch (error) {
    throw new Error(`mutant ${name} in ${file}: ${(error as Error).message}`, { cause: error })
  }
}

const packages = join(import.meta.dirname, "../../..")

/** Reads all sources of the workspace, each with its path below `packages`. */
export const sourcesOfWorkspace = (): ReadonlyArray<readonly [file: string, source: string]> =>
  readdirSync(packages).flatMap((name) =>
    readdirSync(join(packages, name, "src"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => `${name}/src/${path.replaceAll("\\", "/")}`)
      .sort()
      .map((file) => [file, readFileSync(join(packages, file), "utf8")] as const)
  )

/** Returns the mutants without a row and the rows without a mutant, as sentences. */
export const problemsOf = (
  mutants: { readonly [name: string]: Mutant },
  ...tables: ReadonlyArray<{ readonly [name: string]: Row }>
): ReadonlyArray<string> => {
  const rows = tables.flatMap((table) => Object.keys(table))
  return [
    ...Object.keys(mutants).flatMap((name) => (rows.includes(name) ? [] : [`mutant ${name} has no row`])),
    ...rows.flatMap((name) => (Object.hasOwn(mutants, name) ? [] : [`row ${name} has no marker`])),
    ...rows.flatMap((name, index) => (rows.indexOf(name) === index ? [] : [`there are two rows ${name}`]))
  ]
}

declare module "vitest" {
  interface ProvidedContext {
    /** By name. */
    readonly mutants: { readonly [name: string]: Mutant }
    /** Mutants without a row, and rows without a mutant. */
    readonly mutantProblems: ReadonlyArray<string>
  }
}

/** Returns what the tests read with `inject`, from the sources and the tables of all packages. */
export const provideMutants = (...tables: ReadonlyArray<{ readonly [name: string]: Row }>) => {
  const mutants = mutantsOf(sourcesOfWorkspace())
  return { mutants, mutantProblems: problemsOf(mutants, ...tables) }
}

/**
 * Rewrites a cell of JavaScript so that a kernel can keep its variables: the cell becomes the body of an async function
 * in which declarations at the top level are assignments to global variables, imports are dynamic, and the last
 * expression is returned. Lines keep their numbers. A `var` inside a block ends with its cell.
 */
import { type Node, parse, type Pattern, type Program } from "acorn"

/** A cell that a kernel can run, and the variables that it declares. */
export interface Cell {
  readonly code: string
  readonly names: ReadonlyArray<string>
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

type Statement = Program["body"][number]
type Import = Extract<Statement, { readonly type: "ImportDeclaration" }>
type Variables = Extract<Statement, { readonly type: "VariableDeclaration" }>

/** Rewrites a cell. Throws a `SyntaxError` for a text that is not JavaScript, and for an export. */
export const rewriteUnsafe = (source: string): Cell => {
  const { body } = parse(source, {
    ecmaVersion: "latest",
    sourceType: "module",
    allowAwaitOutsideFunction: true
  })
  const names = new Set<string>()
  const hoisted: Array<string> = []
  const edits: Array<Edit> = []
  body.forEach((node, index) => {
    switch (node.type) {
      case "VariableDeclaration":
        if (node.kind === "using" || node.kind === "await using") return
        for (const { id } of node.declarations) for (const name of namesIn(id)) names.add(name)
        return edits.push(...variableEdits(source, node))
      case "FunctionDeclaration":
        names.add(node.id.name)
        return hoisted.push(`globalThis.${node.id.name} = ${node.id.name};`)
      case "ClassDeclaration":
        names.add(node.id.name)
        return edits.push(insert(node.start, `;${node.id.name} = `), insert(node.end, ";"))
      case "ImportDeclaration":
        for (const { local } of node.specifiers) names.add(local.name)
        return edits.push({ start: node.start, end: node.end, text: importText(node) + linesOf(source, node) })
      case "ExportAllDeclaration":
      case "ExportDefaultDeclaration":
      case "ExportNamedDeclaration":
        throw new SyntaxError("a cell cannot export")
      case "ExpressionStatement":
        return index < body.length - 1 || edits.push(insert(node.start, "return ("), insert(endOf(source, node), "\n)"))
      default:
        return
    }
  })
  return { code: `(async () => {${hoisted.join("")}${applyEdits(source, edits)}\n})()`, names: Array.from(names) }
}

const insert = (at: number, text: string): Edit => ({ start: at, end: at, text })

/** The end of a statement without its semicolon. */
const endOf = (source: string, { end }: Node): number => (source[end - 1] === ";" ? end - 1 : end)

/** The line ends of a node that is replaced. */
const linesOf = (source: string, { end, start }: Pick<Node, "start" | "end">): string =>
  source.slice(start, end).replaceAll(/[^\n]/g, "")

const variableEdits = (source: string, node: Variables): ReadonlyArray<Edit> => {
  const start = node.declarations[0]!.start
  const keyword: Edit = {
    start: node.start,
    end: start,
    text: `;(${linesOf(source, { start: node.start, end: start })}`
  }
  const empty = node.declarations.flatMap(({ end, init }) => (init ? [] : [insert(end, " = undefined")]))
  return [keyword, ...empty, insert(endOf(source, node), "\n);")]
}

const namesIn = (pattern: Pattern): ReadonlyArray<string> => {
  switch (pattern.type) {
    case "Identifier":
      return [pattern.name]
    case "ObjectPattern":
      return pattern.properties.flatMap((one) => namesIn(one.type === "RestElement" ? one.argument : one.value))
    case "ArrayPattern":
      return pattern.elements.flatMap((one) => (one === null ? [] : namesIn(one)))
    case "AssignmentPattern":
      return namesIn(pattern.left)
    case "RestElement":
      return namesIn(pattern.argument)
    case "MemberExpression":
      return []
  }
}

const importText = ({ source, specifiers }: Import): string => {
  const module = `await import(${JSON.stringify(source.value)})`
  const all = specifiers.find((one) => one.type === "ImportNamespaceSpecifier")
  const parts = specifiers.flatMap((one) => {
    if (one.type === "ImportNamespaceSpecifier") return []
    if (one.type === "ImportDefaultSpecifier") return [`default: ${one.local.name}`]
    const { imported } = one
    return [`${imported.type === "Identifier" ? imported.name : JSON.stringify(imported.value)}: ${one.local.name}`]
  })
  const named = parts.length === 0 ? [] : [`({ ${parts.join(", ")} } = ${module});`]
  if (all !== undefined) return [`;${all.local.name} = ${module};`, ...named].join("")
  return `;${named[0] ?? `${module};`}`
}

/** Applies edits from the end. Of two at one place the later one comes after the earlier one. */
const applyEdits = (source: string, edits: ReadonlyArray<Edit>): string =>
  edits
    .map((edit, index) => ({ ...edit, index }))
    .toSorted((one, two) => two.start - one.start || two.index - one.index)
    .reduce((text, { end, start, text: by }) => text.slice(0, start) + by + text.slice(end), source)

/**
 * Reads ended spans as trees, finds orphans, and formats trees as text.
 */
import { dual } from "effect/Function"
import type { SpanData } from "./SpanData.ts"

/** A span with the spans below it, in the order of their start. */
export interface SpanNode {
  readonly span: SpanData
  readonly children: ReadonlyArray<SpanNode>
}

/** The trees of some spans. */
export interface SpanTree {
  /** Spans whose parent is not among them, in the order of their start: roots of traces, and children of callers. */
  readonly roots: ReadonlyArray<SpanNode>
}

/** Builds the trees. */
export const make = (spans: ReadonlyArray<SpanData>): SpanTree => {
  const children = new Map<string, Array<SpanData>>()
  const known = new Set(spans.map(keyOf))
  const roots: Array<SpanData> = []
  for (const span of [...spans].sort(compareStarts)) {
    const parent = span.parentSpanId === undefined ? undefined : `${span.traceId} ${span.parentSpanId}`
    if (parent === undefined || !known.has(parent)) roots.push(span)
    else if (children.has(parent)) children.get(parent)!.push(span)
    else children.set(parent, [span])
  }
  const node = (span: SpanData): SpanNode => ({ span, children: (children.get(keyOf(span)) ?? []).map(node) })
  return { roots: roots.map(node) }
}

const keyOf = (span: SpanData): string => `${span.traceId} ${span.spanId}`

const compareStarts = (one: SpanData, other: SpanData): number =>
  one.startNanos < other.startNanos ? -1 : one.startNanos > other.startNanos ? 1 : 0

/** Lists all spans of a tree, parents before their children. */
export const flatten = (nodes: ReadonlyArray<SpanNode>): ReadonlyArray<SpanData> =>
  nodes.flatMap(({ children, span }) => [span, ...flatten(children)])

/** Finds the first node whose span satisfies a condition, depth first. */
export const find: {
  (is: (span: SpanData) => boolean): (tree: SpanTree) => SpanNode | undefined
  (tree: SpanTree, is: (span: SpanData) => boolean): SpanNode | undefined
} = dual(2, (tree: SpanTree, is: (span: SpanData) => boolean): SpanNode | undefined => {
  const search = (nodes: ReadonlyArray<SpanNode>): SpanNode | undefined => {
    for (const node of nodes) {
      const found = is(node.span) ? node : search(node.children)
      if (found !== undefined) return found
    }
    return undefined
  }
  return search(tree.roots)
})

/** Lists orphans: spans whose parent is neither among them nor the span of a caller. A trace must have none. */
export const orphans = (tree: SpanTree, callerSpanIds: ReadonlyArray<string> = []): ReadonlyArray<SpanData> =>
  tree.roots
    .map(({ span }) => span)
    .filter(({ parentSpanId }) => parentSpanId !== undefined && !callerSpanIds.includes(parentSpanId))

/** Nested names without times and ids, for tests and to compare two exporters. */
export interface Shape {
  readonly name: string
  readonly children: ReadonlyArray<Shape>
}

/** Returns the shape of a tree, with the children in the order of their start. */
export const shape = (nodes: ReadonlyArray<SpanNode>): ReadonlyArray<Shape> =>
  nodes.map(({ children, span }) => ({ name: span.name, children: shape(children) }))

/** Options of the text of a tree. */
export interface RenderOptions {
  /** Attributes to show after the name of a span. */
  readonly attributes?: ReadonlyArray<string> | undefined
}

const shown = ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "spindle.tool.status", "spindle.decision"]

/**
 * Formats trees as lines with durations, names and the outcome of spans that did not complete. Ends with a line break.
 */
export const render = (tree: SpanTree, options: RenderOptions = {}): string => {
  const attributes = options.attributes ?? shown
  const lines: Array<string> = []
  const write = ({ children, span }: SpanNode, lead: string, below: string): void => {
    lines.push(`${durationOf(span).padStart(9)}  ${lead}${span.name}${notesOf(span, attributes)}`)
    children.forEach((child, index) => {
      const isLast = index === children.length - 1
      write(child, `${below}${isLast ? "└─ " : "├─ "}`, `${below}${isLast ? "   " : "│  "}`)
    })
  }
  for (const root of tree.roots) write(root, "", "")
  return lines.map((line) => `${line}\n`).join("")
}

const notesOf = (span: SpanData, attributes: ReadonlyArray<string>): string => {
  const outcome = span.attributes["spindle.outcome"]
  const reason = span.attributes["spindle.abort.reason"]
  const ended =
    span.status === "error"
      ? [`failed: ${String(span.attributes["error.type"] ?? span.statusMessage)}`]
      : outcome === "aborted"
        ? [reason === undefined ? "aborted" : `aborted: ${String(reason)}`]
        : []
  const values = attributes.flatMap((name) =>
    name in span.attributes ? [`${name.split(".").at(-1)}=${String(span.attributes[name])}`] : []
  )
  const notes = [...ended, ...values]
  return notes.length === 0 ? "" : `  (${notes.join(", ")})`
}

const durationOf = (span: SpanData): string => {
  const millis = Number(span.endNanos - span.startNanos) / 1e6
  return millis < 10
    ? `${millis.toFixed(2)} ms`
    : millis < 1000
      ? `${millis.toFixed(0)} ms`
      : `${(millis / 1000).toFixed(2)} s`
}

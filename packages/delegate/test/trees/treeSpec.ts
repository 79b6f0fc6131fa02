/** Random trees of delegates as data. The same seed makes the same tree. */

/** What one session does, step by step. */
export type Step =
  | { readonly _tag: "Sleep"; readonly millis: number }
  /** Asks a question, and continues whatever the answer is. */
  | { readonly _tag: "Ask"; readonly question: boolean }
  /** Starts children, and waits for all of them or for none. */
  | { readonly _tag: "Spawn"; readonly children: ReadonlyArray<NodeSpec>; readonly wait: boolean }
  /** Ignores interruptions for this long. */
  | { readonly _tag: "Deaf"; readonly millis: number }
  | { readonly _tag: "Fail" }
  | { readonly _tag: "Die" }
  | { readonly _tag: "Hang" }

/** One session of a tree. */
export interface NodeSpec {
  readonly name: string
  readonly kind: "linked" | "detached" | "once"
  /** Milliseconds; undefined for no deadline. */
  readonly deadline: number | undefined
  readonly steps: ReadonlyArray<Step>
}

/** An action on the tree, and when it comes. */
export interface Hit {
  readonly at: number
  readonly action: "abort root" | "abort" | "end" | "answer" | "replace" | "close"
  /** Selects the session or the question, modulo their number, and the answer. */
  readonly pick: number
}

/** A tree and the actions on it. */
export interface TreeSpec {
  readonly root: ReadonlyArray<Step>
  readonly hits: ReadonlyArray<Hit>
  readonly concurrent: number
  /** How long each write of a journal takes. */
  readonly journalMillis: 0 | 1
}

/** Makes a generator of numbers in [0, 1): mulberry32. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const maxDepth = 5
const maxBreadth = 4
const maxNodes = 24

/** Makes the tree of a seed: up to five levels, four children of each session, and 24 delegates in all. */
export const treeOf = (seed: number): TreeSpec => {
  const random = randomOf(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const chance = (probability: number) => random() < probability
  let nodes = 0
  const steps = (depth: number): ReadonlyArray<Step> => {
    const out: Array<Step> = []
    const count = 1 + below(4)
    for (let index = 0; index < count; index++) out.push(step(depth))
    return out
  }
  const step = (depth: number): Step => {
    const roll = random()
    if (depth < maxDepth && nodes < maxNodes && roll < 0.45) {
      const children: Array<NodeSpec> = []
      const breadth = 1 + below(maxBreadth)
      for (let index = 0; index < breadth && nodes < maxNodes; index++) children.push(node(depth + 1))
      return { _tag: "Spawn", children, wait: chance(0.7) }
    }
    if (roll < 0.65) return { _tag: "Ask", question: chance(0.3) }
    if (roll < 0.85) return { _tag: "Sleep", millis: below(200) }
    if (roll < 0.9) return { _tag: "Deaf", millis: below(700) }
    if (roll < 0.94) return { _tag: "Fail" }
    return roll < 0.96 ? { _tag: "Die" } : { _tag: "Hang" }
  }
  const node = (depth: number): NodeSpec => {
    const name = `n${nodes++}`
    const roll = random()
    return {
      name,
      kind: roll < 0.45 ? "linked" : roll < 0.6 ? "detached" : "once",
      deadline: chance(0.3) ? 1 + below(1_000) : undefined,
      steps: steps(depth)
    }
  }
  const first: Step = { _tag: "Spawn", children: [node(1), node(1)], wait: chance(0.7) }
  const root = [first, ...steps(0)]
  const actions = [
    "answer",
    "answer",
    "answer",
    "answer",
    "answer",
    "answer",
    "abort",
    "abort",
    "end",
    "abort root",
    "replace",
    "close"
  ] as const
  const hits = Array.from({ length: below(20) }, () => ({
    at: below(600),
    action: actions[below(actions.length)]!,
    pick: below(1_000_000)
  }))
  return {
    root,
    hits: hits.toSorted((one, other) => one.at - other.at),
    concurrent: chance(0.2) ? 1 + below(3) : 24,
    journalMillis: chance(0.5) ? 1 : 0
  }
}

/** Returns how many sessions a tree may have, and how deep it is. */
export const sizeOf = (steps: ReadonlyArray<Step>): { readonly nodes: number; readonly depth: number } => {
  let nodes = 0
  let depth = 0
  for (const step of steps) {
    if (step._tag !== "Spawn") continue
    for (const child of step.children) {
      const below = sizeOf(child.steps)
      nodes += 1 + below.nodes
      depth = Math.max(depth, 1 + below.depth)
    }
  }
  return { nodes, depth }
}

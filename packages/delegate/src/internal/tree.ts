/**
 * The tree of delegates, one node for each session: what is below it, how much of its limits is used, and who has to be
 * told. Plain data, changed in single steps.
 */
import type { SessionId } from "@spindle/core/Ids"
import type { TurnSession } from "@spindle/core/Turn"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Delegate } from "../Delegate.ts"
import { DelegateRefused } from "../DelegateError.ts"
import { Limits } from "../Limits.ts"

/** One session of a tree. */
export class Node {
  readonly path: ReadonlyArray<SessionId>
  readonly parent: Node | undefined
  readonly limits: Limits
  /** Milliseconds since 1970 at which the session ends, at the latest. */
  readonly endsAt: number
  /** Delegates of this session that have not ended, by id. */
  readonly children = new Map<SessionId, Delegate>()
  /** The names that agents of the tree have had; those of the root are used. */
  private readonly names = new Set<string>()
  /** When its first delegate was started, in milliseconds since 1970. */
  private begunAt: number | undefined
  private active = 0
  private started = 0
  private spent = 0

  constructor(path: ReadonlyArray<SessionId>, limits: Limits, parent?: Node, endsAt = Infinity) {
    this.path = path
    this.limits = limits
    this.parent = parent
    this.endsAt = endsAt
    // mutant counts-in-the-whole-tree (D6: a limit holds for the entire tree below): replace: this.upward = [this]
    this.upward = [this, ...(parent?.upward ?? [])]
  }

  get sessionId(): SessionId {
    return this.path.at(-1)!
  }

  /** Why no delegate of this session may start now; undefined, and it is counted, if one may. */
  spawn(nowMillis: number): DelegateRefused | undefined {
    let levels = 0
    for (const node of this.upward) {
      levels++
      const { depth, lifetime } = node.limits
      if (levels > depth) return this.refused(node, "depth", depth)
      if (node.started >= lifetime) return this.refused(node, "lifetime", lifetime)
      if (node.spent >= node.limits.tokens) return this.refused(node, "tokens", node.limits.tokens)
      if (node.lastsUntil(nowMillis) <= nowMillis) return this.refused(node, "time")
    }
    const refused = this.begin()
    if (refused !== undefined) return refused
    for (const node of this.upward) {
      node.started++
      node.begunAt ??= nowMillis
    }
    return undefined
  }

  /** How many levels of delegates there may be below this session. */
  get levelsBelow(): number {
    return Math.min(...this.upward.map((node, above) => node.limits.depth - above))
  }

  /** When a delegate of this session that starts now ends at the latest: by the time of this session or of one above. */
  delegatesEndAt(nowMillis: number): number {
    return Math.min(...this.upward.map((node) => node.lastsUntil(nowMillis)))
  }

  private lastsUntil(nowMillis: number): number {
    return Math.min(this.endsAt, (this.begunAt ?? nowMillis) + this.limits.wallMillis)
  }

  /** Why no delegate of this session may work now; undefined, and it is counted, if one may. */
  begin(): DelegateRefused | undefined {
    for (const node of this.upward) {
      const { concurrent, tokens } = node.limits
      if (node.active >= concurrent) return this.refused(node, "concurrent", concurrent)
      if (node.spent >= tokens) return this.refused(node, "tokens", tokens)
    }
    this.count(1)
    return undefined
  }

  /** One more or one fewer delegate of this session works. */
  count(change: 1 | -1): void {
    for (const node of this.upward) node.active += change
  }

  /** Counts tokens of a delegate of this session; answers the highest session whose limit is spent by them. */
  charge(tokens: number): Node | undefined {
    let spent: Node | undefined
    for (const node of this.upward) {
      const isNew = node.spent < node.limits.tokens
      node.spent += tokens
      if (isNew && node.spent >= node.limits.tokens) spent = node
    }
    return spent
  }

  /** Whether the tokens of this session or of one above are spent. */
  get isSpent(): boolean {
    for (const node of this.upward) if (node.spent >= node.limits.tokens) return true
    return false
  }

  /** The names that agents of the whole tree have had. */
  get namesOfTree(): Set<string> {
    return this.upward.at(-1)!.names
  }

  /** Every delegate below this session that has not ended. */
  *descendants(): Generator<Delegate> {
    for (const child of this.children.values()) {
      yield child
      const node = nodes.get(child)
      if (node !== undefined) yield* node.descendants()
    }
  }

  /** The delegate of this id below this session. */
  find(delegateId: SessionId): Delegate | undefined {
    for (const one of this.descendants()) if (one.delegateId === delegateId) return one
    return undefined
  }

  /** This session and those above it, the root last. */
  private readonly upward: ReadonlyArray<Node>

  private refused(at: Node, limit: DelegateRefused["limit"], allowed?: number): DelegateRefused {
    return new DelegateRefused({
      path: this.path,
      limit,
      at: at.sessionId,
      ...(allowed === undefined ? {} : { allowed })
    })
  }
}

/** The node of a delegate. */
export const nodes = new WeakMap<Delegate, Node>()

/** The node of the session whose context this is; a root has none in its context. */
export class CurrentNode extends Context.Reference<Node | undefined>("@spindle/delegate/CurrentNode", {
  defaultValue: () => undefined
}) {}

const roots = new WeakMap<TurnSession, Node>()

/** The node of a session: that of its context, or for a root one for all its turns. */
export const nodeOf = (session: TurnSession): Effect.Effect<Node> =>
  Effect.gen(function* () {
    const current = yield* CurrentNode
    // a session that is no delegate may be made in the context of one
    if (current !== undefined && current.sessionId === session.sessionId) return current
    const limits = yield* Limits
    let root = roots.get(session)
    if (root === undefined) roots.set(session, (root = new Node(session.path, limits)))
    return root
  })

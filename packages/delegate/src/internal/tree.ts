/**
 * The tree of delegates, with one node for each session. A node holds all state of its session that delegates need: the
 * delegates below it, the agents that its model has started, and how much of its limits is used. Plain data that
 * changes synchronously.
 */
import type { SessionId } from "@spindle/core/Ids"
import * as Local from "@spindle/core/Local"
import type { TurnSession } from "@spindle/core/Turn"
import type { DelegateSpending } from "@spindle/core/SessionEvent"
import type { Spending } from "@spindle/core/Spending"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { DelegateRefused } from "../DelegateError.ts"
import * as Limits from "../Limits.ts"
import type { Wish } from "../Roles.ts"
import type { Interactive } from "./delegateTypes.ts"

/** One session of a tree. */
export class Node {
  readonly path: ReadonlyArray<SessionId>
  readonly parent: Node | undefined
  /** The limits for everything below it. Those of a root are read again with each turn that starts a delegate. */
  limits: Limits.Limits
  /** The time at which the session ends at the latest, in milliseconds since 1970. */
  readonly endsAt: number
  /** The delegates of this session that have not ended, by id. */
  readonly children = new Map<SessionId, Member>()
  /** The agents that the model of this session has started, by id, including the last ones that have ended. */
  readonly agents = new Map<SessionId, AgentEntry>()
  /** The names that agents of the tree have had. Only those of the root are used. */
  private readonly names = new Set<string>()
  /** The time at which its first delegate was started, in milliseconds since 1970. */
  private firstStartAt: number | undefined
  private active = 0
  private started = 0
  private spent = 0
  /** True once the spending of the session before it was resumed is counted. */
  isRestored = false

  constructor(path: ReadonlyArray<SessionId>, limits: Limits.Limits, parent?: Node, endsAt = Infinity) {
    this.path = path
    this.limits = limits
    this.parent = parent
    this.endsAt = endsAt
    // mutant counts-in-the-entire-tree (D6: a limit holds for the entire tree below): replace: this.upward = [this]
    this.upward = [this, ...(parent?.upward ?? [])]
  }

  get sessionId(): SessionId {
    return this.path.at(-1)!
  }

  /** Counts a delegate of this session that starts now. Returns the error if it may not start, else undefined. */
  spawn(nowMillis: number): DelegateRefused | undefined {
    let levels = 0
    for (const node of this.upward) {
      levels++
      const { depth, lifetime } = node.limits
      if (levels > depth) return this.refusedBy(node, "depth", depth)
      if (node.started >= lifetime) return this.refusedBy(node, "lifetime", lifetime)
      if (node.spent >= node.limits.tokens) return this.refusedBy(node, "tokens", node.limits.tokens)
      if (node.lastsUntil(nowMillis) <= nowMillis) return this.refusedBy(node, "time")
    }
    const refused = this.acquire()
    if (refused !== undefined) return refused
    for (const node of this.upward) {
      node.started++
      node.firstStartAt ??= nowMillis
    }
    return undefined
  }

  /** The number of levels of delegates that there may be below this session. */
  get levelsBelow(): number {
    return Math.min(...this.upward.map((node, above) => node.limits.depth - above))
  }

  /**
   * Returns the time at which a delegate of this session that starts now ends at the latest. It is limited by this
   * session and those above it.
   */
  delegatesEndAt(nowMillis: number): number {
    return Math.min(...this.upward.map((node) => node.lastsUntil(nowMillis)))
  }

  private lastsUntil(nowMillis: number): number {
    return Math.min(this.endsAt, (this.firstStartAt ?? nowMillis) + millis(this.limits.wallTime))
  }

  /** Counts the spending of the session before it was resumed. The sessions above it know it from their own records. */
  restore({ firstStartAt, started, tokens }: Omit<Spending, "unsettled">): void {
    if (this.isRestored) return
    this.isRestored = true
    this.firstStartAt ??= firstStartAt
    this.restored = { started, tokens }
    this.started += started
    this.spent += tokens
  }

  private restored = { started: 0, tokens: 0 }

  /** The spending of the delegates below this session since it was opened. */
  get used(): DelegateSpending {
    return { started: this.started - this.restored.started, tokens: this.spent - this.restored.tokens }
  }

  /** Keeps an agent. Forgets the oldest of those that have ended, which their journals still name. */
  keepAgent(agent: AgentEntry): void {
    this.agents.set(agent.agentId, agent)
    if (this.agents.size <= keptAgents) return
    for (const id of this.agents.keys()) {
      if (this.children.has(id)) continue
      this.agents.delete(id)
      return
    }
  }

  /** Takes a slot for a delegate of this session. Returns the error if there is none, else undefined. */
  acquire(): DelegateRefused | undefined {
    for (const node of this.upward) {
      const { concurrent, tokens } = node.limits
      if (node.active >= concurrent) return this.refusedBy(node, "concurrent", concurrent)
      if (node.spent >= tokens) return this.refusedBy(node, "tokens", tokens)
    }
    this.count(1)
    return undefined
  }

  /** Counts one more or one fewer working delegate of this session. */
  count(change: 1 | -1): void {
    for (const node of this.upward) node.active += change
  }

  /** Counts tokens of a delegate of this session. Returns the highest session whose limit they have just reached. */
  charge(tokens: number): Node | undefined {
    let spent: Node | undefined
    for (const node of this.upward) {
      const isNew = node.spent < node.limits.tokens
      node.spent += tokens
      if (isNew && node.spent >= node.limits.tokens) spent = node
    }
    return spent
  }

  /** True if the tokens of this session or of one above are spent. */
  get isSpent(): boolean {
    for (const node of this.upward) if (node.spent >= node.limits.tokens) return true
    return false
  }

  /** The names that agents of the entire tree have had. */
  get namesOfTree(): Set<string> {
    return this.upward.at(-1)!.names
  }

  /** Iterates over the delegates below this session that have not ended. */
  *descendants(): Generator<Member> {
    for (const child of this.children.values()) {
      yield child
      yield* child.node.descendants()
    }
  }

  /** Returns the delegate of this id below this session, if it has not ended. */
  find(delegateId: SessionId): Member | undefined {
    for (const one of this.descendants()) if (one.delegateId === delegateId) return one
    return undefined
  }

  /** This session and those above it, the root last. */
  private readonly upward: ReadonlyArray<Node>

  private refusedBy(at: Node, limit: DelegateRefused["limit"], allowed?: number): DelegateRefused {
    return new DelegateRefused({
      path: this.path,
      limit,
      at: at.sessionId,
      ...(allowed === undefined ? {} : { allowed })
    })
  }
}

const keptAgents = 256

const millis = (duration: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(duration))

/** A delegate in the tree. */
export interface Member extends Interactive {
  readonly node: Node
  /** True if it takes no submissions and has no reader. */
  readonly isOneShot: boolean
}

/** An agent that the model of a session has started. */
export interface AgentEntry {
  readonly agentId: SessionId
  readonly nickname: string
  readonly role: string
  /** The model and the effort that were asked for at its start, and are again when it is resumed. */
  readonly wish: Wish
  /** True if its notices start a turn. */
  readonly wakes: boolean
  readonly delegate: Interactive
}

/** The node of the current session. A root session has none in its context. */
export class CurrentNode extends Context.Reference<Node | undefined>("@spindle/delegate/CurrentNode", {
  defaultValue: () => undefined
}) {}

/** The node of a root session. Core makes the session, so the context has none. */
const rootNode = Local.make(({ path }: TurnSession) => new Node(path, Limits.defaults))

/** Returns the node of a session: that of its context, or for a root the same one in all its turns. */
export const nodeOf = (session: TurnSession): Effect.Effect<Node> =>
  Effect.gen(function* () {
    const current = yield* CurrentNode
    // a session that is no delegate may be made in the context of one
    if (current !== undefined && current.sessionId === session.sessionId) return current
    const root = Local.get(rootNode, session)
    // they may have been changed since the last turn
    root.limits = yield* Limits.Limits
    return root
  })

/** Starting a delegate, and its end: the one place that knows the order of both (contract D1, D2, D5). */
import * as Agent from "@spindle/core/Agent"
import { Approvals } from "@spindle/core/ports/Approvals"
import type { Journal } from "@spindle/core/ports/Journal"
import type { Model } from "@spindle/core/ports/Model"
import { type PermissionOf, ToolAuthority } from "@spindle/core/ports/ToolAuthority"
import { IdGenerator, type SessionId, type SubmissionId, type TurnId } from "@spindle/core/protocol/Ids"
import type { Op, Receipt, Submission } from "@spindle/core/protocol/Op"
import type { AbortReason } from "@spindle/core/protocol/Outcome"
import { SessionConfig, type SessionTunables } from "@spindle/core/protocol/SessionConfig"
import { fromSpan, type TraceContext } from "@spindle/core/protocol/TraceContext"
import { Session } from "@spindle/core/Session"
import { Turn } from "@spindle/core/Turn"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Bridge from "../Bridge.ts"
import type { DelegateOptions, Interactive, StartError } from "../Delegate.ts"
import { DelegateClosed, DelegateRefused } from "../DelegateError.ts"
import * as Limits from "../Limits.ts"
import * as Status from "../Status.ts"
import * as Forking from "./forking.ts"
import * as Notices from "./notices.ts"
import { Tracking } from "./tracking.ts"
import { CurrentNode, Node, nodes, rootNode } from "./tree.ts"
import * as Upward from "./upward.ts"

/** The most characters of what a delegate had said that a failure hands on. */
export const outcomeLimit = Status.messageLimit

/** How long a request of a delegate waits when neither its session nor its parent's says how long (A2). */
const requestDeadline: Duration.Input = "5 minutes"

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
type LaunchOptions<R> = DelegateOptions<R> & { readonly isOneShot: boolean }

/**
 * Starts a delegate. To be run uninterruptible; `restore` makes the opening of its session interruptible again, and an
 * interruption there leaves nothing.
 */
export const launch: <R>(
  options: LaunchOptions<R>,
  restore: Restore
) => Effect.Effect<Handle, StartError, R | Model | Journal | Turn> = Effect.fnUntraced(function* <R>(
  options: LaunchOptions<R>,
  restore: Restore
) {
  const turn = yield* Turn
  const clock = yield* Clock.Clock
  const node = yield* nodeOf(turn)
  const isStopping = (yield* turn.abortReason) !== undefined
  const tenants = yield* turn.session.scope
  const refused = isStopping ? aborted(node) : node.spawn(clock.currentTimeMillisUnsafe())
  if (refused !== undefined) return yield* refused
  const config = { ...(yield* SessionConfig), ...options.config }
  const ids = yield* IdGenerator
  const now = clock.currentTimeMillisUnsafe()
  const begin = options.begin ?? { _tag: "New" }
  const delegateId = begin._tag === "Resumed" ? begin.delegateId : (ids.next(now) as SessionId)
  const handle = new Handle({
    delegateId,
    turn,
    node,
    limits: Limits.inherited(node.limits, options.limits ?? {}),
    endsAt: Math.min(node.endsAt, now + Duration.toMillis(Duration.fromInputUnsafe(options.deadline))),
    name: options.name ?? options.source ?? "subagent",
    isDetached: options.detached === true,
    config: { ...config, requestDeadline: config.requestDeadline ?? requestDeadline },
    newId: () => ids.next(clock.currentTimeMillisUnsafe())
  })
  const opened = yield* Effect.exit(
    Effect.gen(function* () {
      yield* handle.register
      if (handle.isEnding) return yield* aborted(node)
      yield* restore(open(handle, tenants, options))
    })
  )
  if (Exit.isFailure(opened)) {
    yield* handle.discard
    return yield* Effect.failCause(opened.cause)
  }
  if (handle.isEnding) {
    yield* handle.discard
    return yield* aborted(node)
  }
  if (handle.node.endsAt < Infinity) {
    const expiry = Effect.andThen(Effect.sleep(handle.node.endsAt - now), handle.end("Deadline"))
    handle.timer = yield* Effect.forkIn(expiry, tenants)
  }
  if (handle.isDetached) yield* Effect.forkIn(handle.reporting(options.wake === true), tenants)
  return handle
})

const nodeOf = Effect.fnUntraced(function* ({ session }: Turn["Service"]) {
  const current = yield* CurrentNode
  // a session that is no delegate may be made in the context of one
  if (current !== undefined && current.sessionId === session.sessionId) return current
  return rootNode(session, yield* Limits.Limits)
})

const aborted = ({ path, sessionId }: Node) => new DelegateRefused({ path, limit: "aborted", at: sessionId })

/** Opens the session of a delegate, and its bridge unless nobody will read it. */
const open = Effect.fnUntraced(function* <R>(handle: Handle, tenants: Scope.Scope, options: LaunchOptions<R>) {
  const scope = yield* Scope.fork(tenants, "sequential")
  handle.scope = scope
  const { delegateId, turn } = handle
  const begin = options.begin ?? { _tag: "New" }
  const meta = {
    source: options.source ?? "subagent",
    name: handle.name,
    parent: turn.session.sessionId,
    parentTurn: turn.turnId,
    depth: String(handle.path.length - 1)
  }
  if (begin._tag === "Forked") {
    yield* turn.flush
    yield* Forking.write({ delegateId, source: turn.session.sessionId, meta, note: begin.note })
  }
  const parentSpan = yield* Effect.option(Effect.currentParentSpan)
  handle.trace = Option.getOrUndefined(Option.map(parentSpan, fromSpan))
  const own = Scope.forkUnsafe(scope, "sequential")
  const session = yield* Session.make(narrowed(options.agent, yield* ToolAuthority), {
    ...(begin._tag === "New" ? { sessionId: delegateId } : { resume: delegateId }),
    meta,
    ancestors: turn.session.path,
    onEvent: handle.onEvent
  }).pipe(
    Effect.provideService(Scope.Scope, own),
    Effect.provideService(Approvals, Upward.askParent(handle.isDetached ? turn.session.ask : turn.ask, options.review)),
    Effect.provideService(SessionConfig, handle.config),
    Effect.provideService(CurrentNode, handle.node)
  ) as Effect.Effect<Session["Service"], StartError, R | Model | Journal>
  handle.session = session
  handle.shutdown = Scope.close(own, Exit.void)
  if (!options.isOneShot) {
    const child: Bridge.Child = {
      path: handle.path,
      submit: ({ id, op, trace }) => session.submit(op, { id, ...(trace === undefined ? {} : { trace }) }),
      events: session.events({ from: (yield* session.snapshot).seq }),
      interrupt: session.abort,
      shutdown: handle.shutdown
    }
    const { forward } = options
    const bridging = Bridge.make(child, {
      drain: handle.config.delegateDeadline,
      ...(forward === undefined ? {} : { forward })
    })
    handle.bridge = yield* Effect.provideService(bridging, Scope.Scope, scope)
  }
  // last, so that it runs first: whoever closes the parent's session ends the delegate as everybody else does
  yield* Scope.addFinalizer(scope, handle.end("Shutdown"))
})

/** The agent with at most the authority of its parent's; the same one for the same two. */
const narrowed = <R>(agent: Agent.Agent<R>, most: PermissionOf): Agent.Agent<R> => {
  let known = narrowings.get(most)
  if (known === undefined) narrowings.set(most, (known = new WeakMap()))
  let made = known.get(agent)
  if (made === undefined) known.set(agent, (made = Agent.narrow(agent, most)))
  return made
}

const narrowings = new WeakMap<PermissionOf, WeakMap<Agent.Agent<any>, Agent.Agent<any>>>()

interface HandleOptions {
  readonly delegateId: SessionId
  readonly turn: Turn["Service"]
  readonly node: Node
  readonly limits: Limits.DelegateLimits
  readonly endsAt: number
  readonly name: string
  readonly isDetached: boolean
  readonly config: SessionTunables
  readonly newId: () => string
}

/** A delegate from its start to its end. */
export class Handle implements Interactive {
  readonly delegateId: SessionId
  readonly path: ReadonlyArray<SessionId>
  readonly name: string
  readonly isDetached: boolean
  readonly startedBy: TurnId
  readonly turn: Turn["Service"]
  readonly node: Node
  readonly config: SessionTunables
  /** Set while it is opened; nothing but its end uses them before. */
  scope: Scope.Closeable | undefined
  session: Session["Service"] | undefined
  shutdown: Effect.Effect<void> = Effect.void
  bridge: Bridge.Bridge | undefined
  trace: TraceContext | undefined
  timer: Fiber.Fiber<void> | undefined
  isEnding = false
  private readonly parent: Node
  private readonly tracking: Tracking
  private readonly newId: () => string
  private readonly over = Deferred.makeUnsafe<void>()
  private unregister: Effect.Effect<void> = Effect.void
  private recordEnd: (status: string) => void = () => undefined
  private isClosed = false

  constructor(options: HandleOptions) {
    this.delegateId = options.delegateId
    this.turn = options.turn
    this.parent = options.node
    this.path = [...options.turn.session.path, options.delegateId]
    this.name = options.name
    this.isDetached = options.isDetached
    this.startedBy = options.turn.turnId
    this.config = options.config
    this.newId = options.newId
    this.node = new Node(this.path, options.limits, options.node, options.endsAt)
    nodes.set(this, this.node)
    this.tracking = new Tracking(options.node, abortAll)
  }

  readonly onEvent: Tracking["onEvent"] = (event) => this.tracking.onEvent(event)

  /** Announces the delegate, and makes its turn end it; before there is a session, so that no abort misses it (D6). */
  readonly register = Effect.suspend(() => {
    const { delegateId, isDetached, name, turn } = this
    this.parent.children.set(delegateId, this)
    const recorded = Effect.map(turn.delegate({ delegateId, name, linked: !isDetached }), (record) => {
      this.recordEnd = record
    })
    if (isDetached) return recorded
    const cleanup = {
      kind: "delegate",
      name,
      drain: this.config.delegateDeadline,
      run: () => this.end("Parent")
    } as const
    return Effect.andThen(
      recorded,
      Effect.map(turn.onAbort(cleanup), (remove) => {
        this.unregister = remove
      })
    )
  })

  /** Takes back a start that came to nothing. */
  readonly discard = Effect.suspend(() => {
    this.isEnding = true
    return Effect.andThen(this.shutdown, this.finish)
  })

  get status(): Effect.Effect<Status.Status> {
    return Effect.sync(() => (this.isClosed ? Status.shutdown : this.tracking.status))
  }

  get snapshot() {
    return Effect.suspend(() => this.session!.snapshot)
  }

  get settled(): Effect.Effect<Status.Status> {
    return Effect.map(this.tracking.settled, () => this.tracking.status)
  }

  get awaitClosed(): Effect.Effect<void> {
    return Deferred.await(this.over)
  }

  get outcome(): Effect.Effect<Status.Status> {
    return Effect.map(this.awaitClosed, () => this.tracking.status)
  }

  get submissions() {
    return this.bridge!.submissions
  }

  get events() {
    return this.bridge!.events
  }

  submit(op: Op, options?: { readonly id?: SubmissionId; readonly trace?: TraceContext }) {
    return Effect.suspend((): Effect.Effect<Receipt, DelegateClosed | DelegateRefused> => {
      if (this.isEnding) return this.closed
      const refused = op._tag === "UserInput" ? this.tracking.begin() : undefined
      if (refused !== undefined) return Effect.fail(refused)
      const trace = options?.trace ?? this.trace
      const id = options?.id ?? (this.newId() as SubmissionId)
      const submission: Submission = { id, op, ...(trace === undefined ? {} : { trace }) }
      const handed =
        this.bridge === undefined
          ? Effect.catchTag(this.session!.submit(op, submission), "JournalFailed", () => this.closed)
          : this.bridge.submit(submission)
      return Effect.tap(handed, (receipt) =>
        Effect.sync(() => {
          if (receipt._tag === "Rejected") this.tracking.undo()
        })
      )
    })
  }

  private get closed() {
    return Effect.fail(new DelegateClosed({ path: this.path, delegateId: this.delegateId }))
  }

  abort(reason: AbortReason = "Interrupted"): Effect.Effect<boolean> {
    return Effect.suspend(() => this.session?.abort(reason) ?? Effect.succeed(false))
  }

  end(reason: AbortReason = "Parent"): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isEnding) return Deferred.await(this.over)
      this.isEnding = true
      // one that is still being opened is ended by whoever opens it
      if (this.session === undefined) return Deferred.await(this.over)
      const stopped = this.bridge === undefined ? this.stop(reason) : this.bridge.end(reason)
      return Effect.uninterruptible(Effect.andThen(stopped, this.finish))
    })
  }

  /** Ends a session that has no bridge, within the drain deadline. */
  private stop(reason: AbortReason): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const stopping = yield* Bridge.outlive(Effect.andThen(this.abort(reason), this.shutdown))
      if (stopping.pollUnsafe() !== undefined) return
      yield* Effect.timeoutOption(Fiber.await(stopping), this.config.delegateDeadline)
    })
  }

  private readonly finish = Effect.suspend(() => {
    this.isClosed = true
    this.timer?.interruptUnsafe()
    this.parent.children.delete(this.delegateId)
    this.tracking.end()
    this.recordEnd(Status.wordOf(this.tracking.status))
    Deferred.doneUnsafe(this.over, Effect.void)
    const { scope } = this
    return Effect.andThen(this.unregister, scope === undefined ? Effect.void : Scope.close(scope, Exit.void))
  })

  /** Tells the parent's inbox each time that it settles, until it has ended (D7). */
  reporting(wake: boolean): Effect.Effect<void> {
    const { delegateId, tracking, turn } = this
    return Effect.gen(function* () {
      for (let told = 0; ;) {
        told = yield* tracking.settledAfter(told)
        if (told === Infinity) return
        yield* Notices.tell(turn.session, { delegateId, status: tracking.status, wake })
      }
    })
  }
}

/** Stops everything that works below a session whose tokens are spent. */
const abortAll = (spent: Node): void => {
  for (const one of spent.descendants()) Effect.runSync(one.abort("Budget"))
}

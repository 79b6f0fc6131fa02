/** Starts delegates: place in the tree, registration, session, bridge, in this order (contract D1, D6). */
import * as Agent from "@spindle/core/Agent"
import { Approvals } from "@spindle/core/Approvals"
import { IdGenerator, type SessionId } from "@spindle/core/Ids"
import type { Journal } from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
import * as Session from "@spindle/core/Session"
import { SessionConfig } from "@spindle/core/SessionConfig"
import { SessionBusy } from "@spindle/core/SessionError"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { ToolAuthority } from "@spindle/core/ToolAuthority"
import { Turn } from "@spindle/core/Turn"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Bridge from "../Bridge.ts"
import { DelegateRefused } from "../DelegateError.ts"
import type * as Limits from "../Limits.ts"
import * as ParentApprovals from "./approvals.ts"
import * as DelegateSpan from "./delegateSpan.ts"
import type { DelegateOptions, StartError } from "./delegateTypes.ts"
import * as Forking from "./forking.ts"
import { Handle, type Opened } from "./handle.ts"
import * as Spending from "./spending.ts"
import { CurrentNode, type Node, nodeOf } from "./tree.ts"

/** The deadline of a question of a delegate if neither its settings nor its parent's have one (A2). */
const questionDeadline: Duration.Input = "5 minutes"

/**
 * Starts a delegate. Has to run uninterruptibly. `restore` makes the opening of its session interruptible again; an
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
  const parent = yield* nodeOf(turn.session)
  yield* Spending.restore(parent, turn.session)
  // mutant refuses-by-name (D6: a start after the abort fails with a named error): false
  const isStopping = (yield* turn.abortReason) !== undefined
  const sessionScope = yield* turn.session.scope
  const begin = options.begin ?? { _tag: "New" }
  // checked before the child is counted or announced: two delegates with one id could not be told apart
  if (begin._tag === "Resumed" && parent.children.has(begin.delegateId)) {
    return yield* new SessionBusy({ sessionId: begin.delegateId, holder: "a delegate that has not ended" })
  }
  const refused = isStopping ? refusalOfAbort(parent) : parent.spawn(clock.currentTimeMillisUnsafe())
  if (refused !== undefined) return yield* refused
  // mutant counts-when-it-looks (D6: a slot is taken atomically with the check for a free one):
  //   insert: parent.count(-1)
  const config = { ...(yield* SessionConfig), ...options.config }
  const ids = yield* IdGenerator
  const now = clock.currentTimeMillisUnsafe()
  const delegateId = begin._tag === "Resumed" ? begin.delegateId : (ids.next(now) as SessionId)
  const source = options.source ?? "subagent"
  const identity = { delegateId, path: [...turn.session.path, delegateId], isDetached: options.detached === true }
  const handle = new Handle({
    ...identity,
    name: options.name ?? source,
    isOneShot: options.isOneShot,
    turn,
    parent,
    limits: ownLimits(options.limits),
    endsAt: Math.min(parent.delegatesEndAt(now), now + Duration.toMillis(Duration.fromInputUnsafe(options.deadline))),
    // mutant in-the-scope-of-the-session (D1: the scope of a delegate is a child of the scope of its session):
    //   replace: scope: yield* Scope.make("sequential")
    scope: Scope.forkUnsafe(sessionScope, "sequential"),
    span: DelegateSpan.open(yield* Effect.context<never>(), identity, source),
    config: { ...config, questionDeadline: config.questionDeadline ?? questionDeadline },
    newId: () => ids.next(clock.currentTimeMillisUnsafe())
  })
  const opening = yield* Effect.exit(
    Effect.gen(function* () {
      // mutant registers-before-it-opens (I3: a delegate is registered before it is made): swap-next
      // mutant makes-none-when-refused (D6: a delegate whose registration is rejected is not made): drop
      yield* handle.register
      // mutant makes-none-when-refused (D6):
      //   replace: const opened = yield* Effect.tap(open(handle, options, restore), () => Effect.exit(handle.register))
      const opened = yield* open(handle, options, restore)
      return opened
    })
  )
  if (Exit.isFailure(opening)) {
    // mutant gives-back-a-failed-start (D6: a start that fails leaves nothing): drop
    yield* handle.discard()
    return yield* Effect.failCause(opening.cause)
  }
  // mutant ends-what-was-opened-meanwhile (D6: a delegate that was stopped while it was made is ended): drop
  if (handle.isEnding) {
    yield* handle.discard(opening.value)
    return yield* refusalOfAbort(parent)
  }
  handle.open(opening.value)
  // added last, so that it runs first: a parent session that closes ends the delegate like any other caller
  // mutant ends-with-the-session (D1: a delegate ends with the session that started it): drop
  yield* Scope.addFinalizer(handle.scope, handle.end("Shutdown"))
  // the scope of a session that has closed in the meantime runs the finalizer at once
  if (handle.isEnding) return yield* refusalOfAbort(parent)
  // mutant deadline (D7: a delegate ends at its deadline): false
  if (handle.node.endsAt < Infinity) yield* handle.expireIn(handle.node.endsAt - now, sessionScope)
  // mutant counts-when-it-looks (D6): insert: parent.count(1)
  if (handle.isDetached) yield* Effect.forkIn(handle.notifyParent(options.wake === true), sessionScope)
  return handle
})

/** The limits of a delegate for everything below it. Those of the sessions above hold as well. */
const ownLimits = (limits: Partial<Limits.Limits> = {}): Limits.Limits => ({
  depth: countOf(limits.depth),
  concurrent: countOf(limits.concurrent),
  lifetime: countOf(limits.lifetime),
  tokens: countOf(limits.tokens),
  wallTime: limits.wallTime ?? Infinity
})

// a limit that is not a number allows none
const countOf = (limit = Infinity): number => (Number.isNaN(limit) ? 0 : limit)

const refusalOfAbort = ({ path, sessionId }: Node) => new DelegateRefused({ path, limit: "aborted", at: sessionId })

/**
 * Opens the session of a delegate, and its bridge unless it is a one-shot delegate. Interruptible until the session
 * exists.
 */
const open = Effect.fnUntraced(function* <R>(handle: Handle, options: LaunchOptions<R>, restore: Restore) {
  const { delegateId, scope, turn } = handle
  const begin = options.begin ?? { _tag: "New" }
  const meta = {
    ...options.meta,
    source: options.source ?? "subagent",
    name: handle.name,
    parent: turn.session.sessionId,
    parentTurn: turn.turnId,
    depth: String(handle.path.length - 1)
  }
  if (begin._tag === "Forked") {
    const source = turn.session.sessionId
    yield* restore(Effect.andThen(turn.flush, Forking.write({ delegateId, source, meta, note: begin.note })))
  }
  const own = Scope.forkUnsafe(scope, "sequential")
  const shutdown = Scope.close(own, Exit.void)
  // mutant meets-authority (A4: a delegate never has more authority than its parent):
  //   replace: `narrow(options.agent, yield* ToolAuthority)` => `options.agent`
  const session = yield* Session.make(narrow(options.agent, yield* ToolAuthority), {
    ...(begin._tag === "New" ? { sessionId: delegateId } : { resume: delegateId }),
    meta,
    ancestors: turn.session.path,
    onEvent: observerOf(handle, options.onEvent)
  }).pipe(
    Effect.provideService(Scope.Scope, own),
    Effect.provideService(
      Approvals,
      ParentApprovals.askParent(
        // mutant detached-asks-the-session (A3: a question of a detached delegate is shown at its parent, even if the
        //   parent is idle):
        //   false
        (question) => (handle.isDetached ? turn.session.ask(question) : turn.ask(question)),
        options.review
      )
    ),
    Effect.provideService(SessionConfig, handle.config),
    Effect.provideService(CurrentNode, handle.node),
    restore
  ) as Effect.Effect<Session.Session, StartError, R | Model | Journal>
  const bridge = options.isOneShot ? undefined : yield* connect(handle, { session, shutdown }, options.forward)
  const opened: Opened = { session, shutdown, bridge }
  return opened
})

/** Makes the bridge of a delegate. */
const connect = Effect.fnUntraced(function* (
  handle: Handle,
  { session, shutdown }: Pick<Opened, "session" | "shutdown">,
  forward: DelegateOptions<never>["forward"]
) {
  const child: Bridge.Child = {
    path: handle.path,
    submit: (submission) => handle.deliver(session, submission),
    events: session.events({ from: (yield* session.snapshot).seq }),
    interrupt: session.abort,
    shutdown
  }
  // the handle ends it with its turn
  const bridging = Bridge.make(child, { drain: handle.config.delegateDeadline, forward, detached: true })
  return yield* Effect.provideService(bridging, Scope.Scope, handle.scope)
})

/** Returns the agent with at most the authority of its parent's; the same agent for the same two. */
const narrow = <R>(agent: Agent.Agent<R>, most: ToolAuthority): Agent.Agent<R> => {
  let known = narrowings.get(most)
  if (known === undefined) narrowings.set(most, (known = new WeakMap()))
  let made = known.get(agent)
  if (made === undefined) known.set(agent, (made = Agent.narrow(agent, most)))
  return made
}

const narrowings = new WeakMap<ToolAuthority, WeakMap<Agent.Agent<any>, Agent.Agent<any>>>()

/** Makes a part of a region interruptible again. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Reports events to the delegate and to the caller that runs it. */
const observerOf = ({ onEvent: own }: Handle, other: LaunchOptions<never>["onEvent"]): Handle["onEvent"] =>
  other === undefined
    ? own
    : (event) => {
        own(event)
        other(event)
      }

type LaunchOptions<R> = DelegateOptions<R> & {
  readonly isOneShot: boolean
  readonly onEvent?: ((event: SessionEvent) => void) | undefined
}

/** Starting a delegate: its place in the tree, its registration, its session, its bridge, in this order (contract D1, D6). */
import * as Agent from "@spindle/core/Agent"
import { Approvals } from "@spindle/core/Approvals"
import type { Journal } from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
import { ToolAuthority } from "@spindle/core/ToolAuthority"
import { IdGenerator, type SessionId } from "@spindle/core/Ids"
import { SessionConfig } from "@spindle/core/SessionConfig"
import { SessionBusy } from "@spindle/core/SessionError"
import * as Session from "@spindle/core/Session"
import { Turn } from "@spindle/core/Turn"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Bridge from "../Bridge.ts"
import type { DelegateOptions, StartError } from "../Delegate.ts"
import { DelegateRefused } from "../DelegateError.ts"
import * as Limits from "../Limits.ts"
import * as Status from "../Status.ts"
import * as DelegateSpan from "./delegateSpan.ts"
import * as ParentApprovals from "./approvals.ts"
import * as Forking from "./forking.ts"
import { Handle } from "./handle.ts"
import { CurrentNode, type Node, nodeOf } from "./tree.ts"

/** The most characters of what a delegate had said that a failure hands on. */
export const outcomeLimit = Status.messageLimit

/** How long a request of a delegate waits when neither its session nor its parent's says how long (A2). */
const questionDeadline: Duration.Input = "5 minutes"

/** Makes a part of a region interruptible again. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
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
  const node = yield* nodeOf(turn.session)
  // mutant refuses-by-name (D6: a start after the abort fails with a named error): false
  const isStopping = (yield* turn.abortReason) !== undefined
  const tenants = yield* turn.session.scope
  const begin = options.begin ?? { _tag: "New" }
  // before it is counted and announced: what is told of one would be told of the other
  if (begin._tag === "Resumed" && node.children.has(begin.delegateId)) {
    return yield* new SessionBusy({ sessionId: begin.delegateId, holder: "a delegate that has not ended" })
  }
  const refused = isStopping ? aborted(node) : node.spawn(clock.currentTimeMillisUnsafe())
  if (refused !== undefined) return yield* refused
  // mutant counts-when-it-looks (D6: a slot is taken atomically with the check for a free one): insert: node.count(-1)
  const config = { ...(yield* SessionConfig), ...options.config }
  const ids = yield* IdGenerator
  const now = clock.currentTimeMillisUnsafe()
  const delegateId = begin._tag === "Resumed" ? begin.delegateId : (ids.next(now) as SessionId)
  const handle = new Handle({
    delegateId,
    turn,
    node,
    limits: Limits.inherited(node.limits, options.limits ?? {}),
    endsAt: Math.min(node.delegatesEndAt(now), now + Duration.toMillis(Duration.fromInputUnsafe(options.deadline))),
    name: options.name ?? options.source ?? "subagent",
    isDetached: options.detached === true,
    config: { ...config, questionDeadline: config.questionDeadline ?? questionDeadline },
    newId: () => ids.next(clock.currentTimeMillisUnsafe())
  })
  handle.span = DelegateSpan.open(yield* Effect.context<never>(), handle, options.source ?? "subagent")
  const opened = yield* Effect.exit(
    Effect.gen(function* () {
      // mutant registers-before-it-opens (I3: a delegate is registered before it is made): swap-next
      // mutant makes-none-when-refused (D6: a delegate whose registration is rejected is not made): drop
      yield* handle.register
      // mutant makes-none-when-refused (D6):
      //   replace: yield* Effect.andThen(restore(open(handle, tenants, options)), Effect.exit(handle.register))
      yield* restore(open(handle, tenants, options))
    })
  )
  if (Exit.isFailure(opened)) {
    // mutant gives-back-a-failed-start (D6: a start that fails leaves nothing): drop
    yield* handle.discard
    return yield* Effect.failCause(opened.cause)
  }
  // mutant ends-what-was-opened-meanwhile (D6: a delegate that was stopped while it was made is ended): drop
  if (handle.isEnding) {
    yield* handle.discard
    return yield* aborted(node)
  }
  // mutant deadline (D7: a delegate ends at its deadline): false
  if (handle.node.endsAt < Infinity) {
    const expiry = Effect.andThen(Effect.sleep(handle.node.endsAt - now), handle.end("Deadline"))
    handle.timer = yield* Effect.forkIn(expiry, tenants)
  }
  // mutant counts-when-it-looks (D6): insert: node.count(1)
  if (handle.isDetached) yield* Effect.forkIn(handle.reporting(options.wake === true), tenants)
  return handle
})

const aborted = ({ path, sessionId }: Node) => new DelegateRefused({ path, limit: "aborted", at: sessionId })

/** Opens the session of a delegate, and its bridge unless nobody will read it. */
const open = Effect.fnUntraced(function* <R>(handle: Handle, tenants: Scope.Scope, options: LaunchOptions<R>) {
  // mutant in-the-scope-of-the-session (D1: the scope of a delegate is a child of the scope of its session):
  //   replace: const scope = yield* Scope.make("sequential")
  const scope = yield* Scope.fork(tenants, "sequential")
  handle.scope = scope
  const { delegateId, turn } = handle
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
    yield* turn.flush
    yield* Forking.write({ delegateId, source: turn.session.sessionId, meta, note: begin.note })
  }
  const own = Scope.forkUnsafe(scope, "sequential")
  // mutant meets-authority (A4: a delegate never has more authority than its parent):
  //   replace: `narrowed(options.agent, yield* ToolAuthority)` => `options.agent`
  const session = yield* Session.make(narrowed(options.agent, yield* ToolAuthority), {
    ...(begin._tag === "New" ? { sessionId: delegateId } : { resume: delegateId }),
    meta,
    ancestors: turn.session.path,
    onEvent: handle.onEvent
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
    Effect.provideService(CurrentNode, handle.node)
  ) as Effect.Effect<Session.Session, StartError, R | Model | Journal>
  handle.session = session
  handle.shutdown = Scope.close(own, Exit.void)
  if (!options.isOneShot) {
    const child: Bridge.Child = {
      path: handle.path,
      submit: (submission) => handle.take(submission),
      events: session.events({ from: (yield* session.snapshot).seq }),
      interrupt: session.abort,
      shutdown: handle.shutdown
    }
    const { forward } = options
    const bridging = Bridge.make(child, {
      drain: handle.config.delegateDeadline,
      // the handle ends it with its turn
      detached: true,
      ...(forward === undefined ? {} : { forward })
    })
    handle.bridge = yield* Effect.provideService(bridging, Scope.Scope, scope)
  }
  // last, so that it runs first: whoever closes the parent's session ends the delegate as everybody else does
  // mutant ends-with-the-session (D1: a delegate ends with the session that started it): drop
  yield* Scope.addFinalizer(scope, handle.end("Shutdown"))
})

/** The agent with at most the authority of its parent's; the same one for the same two. */
const narrowed = <R>(agent: Agent.Agent<R>, most: ToolAuthority): Agent.Agent<R> => {
  let known = narrowings.get(most)
  if (known === undefined) narrowings.set(most, (known = new WeakMap()))
  let made = known.get(agent)
  if (made === undefined) known.set(agent, (made = Agent.narrow(agent, most)))
  return made
}

const narrowings = new WeakMap<ToolAuthority, WeakMap<Agent.Agent<any>, Agent.Agent<any>>>()

/**
 * The open sessions of an application. Each is opened once, and closed on request, after a failure, or when it has been idle
 * for too long.
 *
 * ```
 *   open, create, fork ──► lock of the id ──► open ──┬─ close, archive, delete ─┐
 *         ▲                                          ├─ the session has failed ──┼─► leaving ──► lock of the id ──► closed
 *         └── an open session is returned at once    └─ idle for too long ───────┘
 * ```
 *
 * 1. An operation takes the lock of its id only to open or close the session. Returning an open session takes no
 *    lock.
 * 2. A session that is leaving is never returned. The next opening waits until it is closed, and then reads its journal.
 * 3. A session is closed in a fiber of `Parts.run`, because the caller that asked for it may be interrupted.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { Agent } from "../../Agent.ts"
import { Alongside } from "../../Alongside.ts"
import { Journal } from "../../ports/Journal.ts"
import { Model } from "../../ports/Model.ts"
import { type SessionStore, SessionStores } from "../../ports/SessionStores.ts"
import { IdGenerator, type SessionId, type TurnId } from "../../protocol/Ids.ts"
import {
  AgentMismatch,
  AgentNotFound,
  type JournalFailed,
  type SessionBusy,
  type SessionNotFound,
  type TurnNotFound
} from "../../protocol/SessionError.ts"
import { rename } from "../../protocol/Op.ts"
import type { JournalRecord } from "../../protocol/SessionEvent.ts"
import * as Session from "../../Session.ts"
import * as Tracing from "../../Tracing.ts"
import { CallerContexts } from "./callerContexts.ts"
import * as Deletion from "./deletion.ts"
import { handOver } from "./handOver.ts"
import { HostedSession } from "./hostedSession.ts"
import { KeyedLock } from "./keyedLock.ts"
import * as StoredJournals from "./storedJournals.ts"

/** The options of {@link HostedSessions}. */
export interface HostedSessionsOptions {
  readonly agents: ReadonlyArray<Agent<any>>
  readonly references: ReadonlyArray<Context.Reference<any>>
  readonly idleTimeToLive: Duration.Input | undefined
}

/** The reason why a session cannot be opened. */
export type OpenError = SessionNotFound | SessionBusy | JournalFailed | AgentNotFound | AgentMismatch

/** The start of a session. `agent` is the name of its agent. */
type Start = Omit<Session.SessionOptions, "resume" | "sessionId"> & {
  readonly mode: "create" | "existing"
  readonly agent?: string | undefined
  /** The references that the session runs with, in place of those of the application. */
  readonly references?: Context.Context<never> | undefined
}

type Opening = Pick<Start, "agent" | "references">
type Forking = Pick<Start, "references"> & { readonly until?: TurnId | undefined }

/** Makes {@link HostedSessions} in the current scope. It captures all services that its sessions need. */
export const make = Effect.fnUntraced(function* ({ agents, idleTimeToLive, references }: HostedSessionsOptions) {
  const captured = yield* Effect.context<Model | Journal>()
  const callers = new CallerContexts(references)
  // sessions are not part of the trace or the task in which they are made
  const context = Context.omit(
    Tracer.ParentSpan,
    Alongside
  )(captured).pipe(Context.add(Model, callers.toModel(Context.get(captured, Model))), (context) =>
    callers.toReferences(context)
  ) as Context.Context<any>
  const sessionScopes = yield* Effect.acquireRelease(Scope.make("parallel"), (scope, exit) => Scope.close(scope, exit))
  const sessions = new HostedSessions({
    context,
    callers,
    clock: yield* Clock.Clock,
    journal: yield* Journal,
    stores: yield* SessionStores,
    ids: yield* IdGenerator,
    agents: new Map(agents.map((agent) => [agent.name, callers.toAgent(agent)])),
    agent: agents[0]?.name,
    idleMillis: idleTimeToLive === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(idleTimeToLive)),
    sessionScopes,
    run: yield* FiberSet.makeRuntime<never, unknown, unknown>()
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => void (sessions.isClosed = true)))
  return sessions
})

interface Parts {
  /** The context in which the sessions run. */
  readonly context: Context.Context<any>
  readonly callers: CallerContexts
  readonly clock: Clock.Clock
  readonly journal: Journal
  readonly stores: ReadonlyArray<SessionStore>
  readonly ids: IdGenerator
  readonly agents: ReadonlyMap<string | undefined, Agent<any>>
  /** The name of the agent of sessions for which none is named. */
  readonly agent: string | undefined
  readonly idleMillis: number | undefined
  /** The parent of the scopes of all sessions. */
  readonly sessionScopes: Scope.Scope
  /** Runs an effect in a fiber that ends with the scope of all sessions. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

/** The open sessions of an application, by id. */
export class HostedSessions {
  isClosed = false
  readonly parts: Parts
  private readonly byId = new Map<SessionId, HostedSession>()
  private readonly locks = new KeyedLock<SessionId>()
  constructor(parts: Parts) {
    this.parts = parts
  }

  /** Returns a new id. */
  nextId(): SessionId {
    return this.parts.ids.next(this.parts.clock.currentTimeMillisUnsafe()) as SessionId
  }

  create(sessionId: SessionId, options: Omit<Start, "mode">): Effect.Effect<Session.Session, OpenError> {
    const creating = this.locks.withLock(sessionId, this.start(sessionId, { ...options, mode: "create" }))
    return this.inSpan("create", sessionId, creating)
  }

  open(sessionId: SessionId, options: Opening): Effect.Effect<Session.Session, OpenError> {
    return Effect.suspend(() => this.lookup(sessionId, options.agent) ?? this.resume(sessionId, options))
  }

  /** Returns the session if it is open. */
  private lookup(
    sessionId: SessionId,
    agent: string | undefined
  ): Effect.Effect<Session.Session, AgentMismatch> | undefined {
    const hosted = this.byId.get(sessionId)
    if (hosted === undefined || hosted.isLeaving) return undefined
    const { agent: actual } = hosted.options
    if (agent !== undefined && agent !== actual) {
      return Effect.fail(new AgentMismatch({ sessionId, requested: agent, actual: actual ?? "" }))
    }
    return Effect.succeed(hosted.session)
  }

  private resume(sessionId: SessionId, options: Opening): Effect.Effect<Session.Session, OpenError> {
    const opening = Effect.suspend(() => {
      // another caller may have opened it in the meantime
      const found = this.lookup(sessionId, options.agent)
      if (found !== undefined) return found
      const resuming = Effect.andThen(this.closeNow(sessionId), this.start(sessionId, { ...options, mode: "existing" }))
      return this.inSpan("resume", sessionId, resuming)
    })
    return this.locks.withLock(sessionId, opening)
  }

  /** Makes a session; if that fails, nothing is left of it. Runs with the lock of its id. */
  private start(sessionId: SessionId, { references, ...options }: Start): Effect.Effect<Session.Session, OpenError> {
    const { sessionScopes } = this.parts
    const context = this.contextWith(references)
    if (this.isClosed) return Effect.interrupt
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Scope.fork(sessionScopes, "sequential"), (scope) => {
        const making = (span: Tracer.AnySpan | undefined) =>
          restore(makeSession(this, { ...options, sessionId, scope, span }))
        // the context of the caller does not reach the session (contract S9), but its first records descend from the
        // span of the start
        const inContext = Effect.contextWith((caller: Context.Context<never>) =>
          Effect.updateContext(making(Tracing.currentSpan(caller)), () => Context.add(context, Scope.Scope, scope))
        )
        return (inContext as Effect.Effect<HostedSession, OpenError>).pipe(
          Effect.map((hosted) => this.register(hosted)),
          Effect.onError(() => Scope.close(scope, Exit.void))
        )
      })
    )
  }

  /** Runs the start of a session in a span below that of the caller. The tracer of the application makes the span. */
  private inSpan<A, E>(how: "create" | "resume" | "fork", sessionId: SessionId, start: Effect.Effect<A, E>) {
    const attributes = { "gen_ai.conversation.id": sessionId }
    const spanned = Tracing.span({ name: `spindle.session.${how}`, attributes }, () => start)
    return Effect.provideService(spanned, Tracer.Tracer, Context.get(this.parts.context, Tracer.Tracer))
  }

  /** Returns the context of a session with these references. */
  private contextWith(references: Context.Context<never> | undefined): Context.Context<any> {
    const { callers, context } = this.parts
    if (references === undefined) return context
    return Context.merge(context, callers.toReferences(references))
  }

  private register(hosted: HostedSession): Session.Session {
    this.byId.set(hosted.sessionId, hosted)
    return hosted.session
  }

  /** Forgets a session whose scope is closing. */
  forget(hosted: HostedSession): void {
    hosted.isLeaving = true
    if (this.byId.get(hosted.sessionId) === hosted) this.byId.delete(hosted.sessionId)
  }

  /** Takes a session out of use, and closes it in the background. */
  readonly leave = (hosted: HostedSession): void => {
    hosted.isLeaving = true
    // in the next step, because this may be called in the middle of a step of the session
    this.parts.run(Effect.andThen(Effect.yieldNow, this.withLock(hosted.sessionId, closeScope(hosted))))
  }

  /** Closes the session with an id, and returns whether it was open. Runs with the lock of the id. */
  private closeNow(sessionId: SessionId): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const hosted = this.byId.get(sessionId)
      if (hosted === undefined) return Effect.succeed(false)
      hosted.isLeaving = true
      return Effect.as(closeScope(hosted), true)
    })
  }

  /** Runs an effect with the lock of an id. The effect is not interruptible once it has the lock. */
  private withLock<A, E>(sessionId: SessionId, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return this.locks.withLock(sessionId, Effect.uninterruptible(effect))
  }

  close(sessionId: SessionId): Effect.Effect<boolean> {
    return Effect.suspend(() => (this.isClosed ? Effect.succeed(false) : this.afterClose(sessionId, Effect.succeed)))
  }

  /** Closes a session if it is open, and then runs an effect on its journal. **Interruption** stops only the wait. */
  afterClose<A, E>(sessionId: SessionId, next: (wasOpen: boolean) => Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() =>
      Fiber.join(this.parts.run(this.withLock(sessionId, Effect.flatMap(this.closeNow(sessionId), next))))
    )
  }

  /** Deletes a session and the child sessions below it. Each is closed first. **Interruption** stops only the wait. */
  delete(sessionId: SessionId): Effect.Effect<void, Deletion.DeleteError> {
    const { journal } = this.parts
    return this.afterClose(sessionId, () =>
      Effect.gen({ self: this }, function* () {
        for (const below of yield* Deletion.descendantsOf(journal, sessionId)) {
          const deleting = Effect.andThen(this.closeNow(below), Deletion.deleteOne(this.parts, below))
          yield* this.withLock(below, deleting)
        }
        yield* Deletion.deleteOne(this.parts, sessionId)
      })
    )
  }

  /** Runs an effect on the journal of a session unless the session is open. **Interruption** stops only the wait. */
  unlessOpen<E>(sessionId: SessionId, next: Effect.Effect<void, E>): Effect.Effect<void, E> {
    const guarded = Effect.suspend(() => (this.lookup(sessionId, undefined) === undefined ? next : Effect.void))
    return Effect.suspend(() => Fiber.join(this.parts.run(this.withLock(sessionId, guarded))))
  }

  /** Renames a session: an open one through its records, any other in its journal. **Interruption** stops only the wait. */
  rename(sessionId: SessionId, title: string): Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed> {
    const { clock, journal } = this.parts
    const inJournal = Effect.andThen(this.closeNow(sessionId), StoredJournals.rename(journal, sessionId, title, clock))
    const renaming = Effect.suspend(() => {
      const hosted = this.byId.get(sessionId)
      if (hosted === undefined || hosted.isLeaving) return inJournal
      return Effect.flatMap(hosted.session.submit(rename(title)), (receipt) =>
        // the session has failed in the meantime
        receipt._tag === "Rejected" ? inJournal : Effect.void
      )
    })
    return Effect.suspend(() => Fiber.join(this.parts.run(this.withLock(sessionId, renaming))))
  }

  fork(source: SessionId, { references, until }: Forking): Effect.Effect<Session.Session, OpenError | TurnNotFound> {
    return Effect.suspend(() => {
      const sessionId = this.nextId()
      const copying = StoredJournals.copy(this.parts.journal, { source, sessionId, until })
      const starting = Effect.andThen(copying, this.start(sessionId, { mode: "existing", references }))
      return this.inSpan("fork", sessionId, this.locks.withLock(sessionId, starting))
    })
  }
}

const closeScope = (hosted: HostedSession): Effect.Effect<void> => Scope.close(hosted.options.scope, Exit.void)

const makeSession = Effect.fnUntraced(function* (
  sessions: HostedSessions,
  {
    agent: requested,
    mode,
    onEvent,
    scope,
    sessionId,
    span,
    ...options
  }: Start & {
    readonly sessionId: SessionId
    readonly scope: Scope.Closeable
    readonly span: Tracer.AnySpan | undefined
  }
) {
  const { callers, clock, idleMillis, journal } = sessions.parts
  // a journal is not created for an agent that does not exist
  if (mode === "create") yield* agentFor(sessions, { sessionId, requested, recorded: undefined })
  const writer = yield* journal.open(sessionId, mode)
  const agent = yield* agentFor(sessions, { sessionId, requested, recorded: agentNameOf(writer.opened.records) })
  const hosted: HostedSession = new HostedSession(sessionId, {
    agent: agent.name,
    scope,
    callers,
    nowMillis: () => clock.currentTimeMillisUnsafe(),
    onFailure: sessions.leave
  })
  const making = Session.make(agent, {
    ...options,
    ...(mode === "create" ? { sessionId } : { resume: sessionId }),
    meta: agent.name === undefined ? { ...options.meta } : { ...options.meta, [agentKey]: agent.name },
    onEvent: (event) => {
      hosted.onEvent(event)
      onEvent?.(event)
    }
  }).pipe(Effect.provideService(Journal, handOver(journal, sessionId, writer)))
  const session = yield* span === undefined ? making : Effect.provideService(making, Tracer.ParentSpan, span)
  hosted.setSession(session)
  yield* Scope.addFinalizer(
    scope,
    Effect.sync(() => sessions.forget(hosted))
  )
  if (idleMillis !== undefined) yield* Effect.forkIn(unload(sessions, hosted, idleMillis), scope)
  return hosted
})

/**
 * Returns the agent of a session: the one that its first record names, else the requested one, else the first of the
 * application.
 */
const agentFor = (
  { parts }: HostedSessions,
  {
    recorded,
    requested,
    sessionId
  }: {
    readonly sessionId: SessionId
    readonly requested: string | undefined
    readonly recorded: string | undefined
  }
): Effect.Effect<Agent<any>, AgentNotFound | AgentMismatch> => {
  if (recorded !== undefined && requested !== undefined && recorded !== requested) {
    return Effect.fail(new AgentMismatch({ sessionId, requested, actual: recorded }))
  }
  const name = recorded ?? requested ?? parts.agent
  const agent = parts.agents.get(name)
  return agent === undefined ? Effect.fail(new AgentNotFound({ sessionId, agent: name ?? "" })) : Effect.succeed(agent)
}

/** The key of the agent's name in the first record of a session. */
const agentKey = "agent"

const agentNameOf = ([first]: ReadonlyArray<JournalRecord>): string | undefined =>
  first?._tag === "SessionStarted" ? first.meta[agentKey] : undefined

/** Waits until a session has been idle for this time, and takes it out of use. */
const unload = Effect.fnUntraced(function* (sessions: HostedSessions, hosted: HostedSession, idleMillis: number) {
  const leftMillis = () => hosted.usedAt + idleMillis - sessions.parts.clock.currentTimeMillisUnsafe()
  for (;;) {
    yield* Effect.sleep(Math.max(leftMillis(), 1))
    if (leftMillis() > 0) continue
    const isBusy = yield* hosted.isBusy
    // the session may have been used during the check
    if (!isBusy && leftMillis() <= 0) return sessions.leave(hosted)
    hosted.usedAt = sessions.parts.clock.currentTimeMillisUnsafe()
  }
})

/** A hosted session: the session that clients get, and the state that decides when it is closed for being idle. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SessionId } from "../../protocol/Ids.ts"
import type { SessionEvent } from "../../protocol/SessionEvent.ts"
import type { Session } from "../../Session.ts"
import type { CallerContexts } from "./callerContexts.ts"

/** The options of a hosted session. */
export interface HostedOptions {
  /** The name of its agent. */
  readonly agent: string | undefined
  /** The scope that closes the session. */
  readonly scope: Scope.Closeable
  readonly callers: CallerContexts
  readonly nowMillis: () => number
  /** Called when the session has failed. */
  readonly onFailure: (hosted: HostedSession) => void
}

/** A session of `HostedSessions`. */
export class HostedSession {
  readonly sessionId: SessionId
  readonly options: HostedOptions
  /** True if the session is closed or about to be closed. It is no longer returned then. */
  isLeaving = false
  /** The time at which it was last opened, used or active, in milliseconds since 1970. */
  usedAt: number
  private subscriberCount = 0
  /** The open child sessions. */
  private readonly delegates = new Set<SessionId>()
  private inner: Session | undefined
  private shown: Session | undefined

  constructor(sessionId: SessionId, options: HostedOptions) {
    this.sessionId = sessionId
    this.options = options
    this.usedAt = options.nowMillis()
  }

  /** The session that clients get. */
  get session(): Session {
    this.usedAt = this.options.nowMillis()
    return this.shown!
  }

  /** Sets the session once it is made. */
  setSession(inner: Session): void {
    this.inner = inner
    this.shown = toShown(this, inner)
  }

  /** Called with each event of the session. */
  readonly onEvent = (event: SessionEvent): void => {
    this.usedAt = this.options.nowMillis()
    if (event._tag === "DelegateStarted") this.delegates.add(event.delegateId)
    else if (event._tag === "DelegateEnded") this.delegates.delete(event.delegateId)
    else if (event._tag === "SessionFailed") this.options.onFailure(this)
  }

  /** Returns whether a turn, a process, a child session or a subscriber needs the session to stay open. */
  get isBusy(): Effect.Effect<boolean> {
    const { processes, snapshot } = this.inner!
    return Effect.zipWith(
      snapshot,
      processes,
      ({ status }, running) =>
        status !== "idle" || running.length > 0 || this.subscriberCount > 0 || this.delegates.size > 0
    )
  }

  /** Counts a subscriber until the scope closes. */
  get subscribe(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => void this.subscriberCount++),
      () =>
        Effect.sync(() => {
          this.subscriberCount--
          this.usedAt = this.options.nowMillis()
        })
    )
  }
}

const toShown = (hosted: HostedSession, inner: Session): Session => ({
  ...inner,
  submit: (submission) =>
    Effect.contextWith((caller: Context.Context<never>) => {
      hosted.usedAt = hosted.options.nowMillis()
      return inner.submit(hosted.options.callers.remember(submission, caller))
    }),
  start: (task, input) =>
    Effect.suspend(() => {
      hosted.usedAt = hosted.options.nowMillis()
      return inner.start(task, input)
    }),
  events: (options) => Stream.unwrap(Effect.suspend(() => Effect.as(hosted.subscribe, inner.events(options))))
})

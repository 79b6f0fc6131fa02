/**
 * The sessions of an application, by id: each is opened once and kept until it is closed or the application ends.
 *
 * Each session has its own scope below the scope of this service. Opening a session that is open returns the same one, so
 * that several clients of one program share it. Between programs the lease of the journal decides (contract J2).
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Agent } from "./Agent.ts"
import { Journal } from "./ports/Journal.ts"
import type { Model } from "./ports/Model.ts"
import { IdGenerator, type SessionId, type TurnId } from "./protocol/Ids.ts"
import type { JournalEntry } from "./protocol/JournalEntry.ts"
import { type JournalFailed, type SessionBusy, type SessionNotFound, TurnNotFound } from "./protocol/SessionError.ts"
import { isTerminal, type JournalRecord } from "./protocol/SessionEvent.ts"
import * as Session from "./Session.ts"

type OpenError = SessionNotFound | SessionBusy | JournalFailed

/** The sessions of an application. */
export interface Sessions {
  /** Makes a new session. **Interruption** leaves none behind. **Errors**: as `Session.make`. */
  readonly create: <R>(
    agent: Agent<R>,
    options?: Omit<Session.SessionOptions, "resume">
  ) => Effect.Effect<Session.Session, OpenError, R | Model>
  /**
   * Returns the session of this id: the open one, or else one resumed from its journal. **Interruption**, **Errors**: as
   * `create`; `SessionNotFound`.
   */
  readonly open: <R>(agent: Agent<R>, sessionId: SessionId) => Effect.Effect<Session.Session, OpenError, R | Model>
  /**
   * Makes a session with the records of another, up to the end of a turn or up to now (J4). The source is not touched; a
   * turn that is open in the copy is marked as interrupted. **Errors**: `SessionNotFound`, `JournalFailed`;
   * `TurnNotFound` if the turn `until` does not exist.
   */
  readonly fork: <R>(
    agent: Agent<R>,
    source: SessionId,
    options?: { readonly until?: TurnId }
  ) => Effect.Effect<Session.Session, OpenError | TurnNotFound, R | Model>
  /** The sessions that have a journal and are not archived, the latest first. */
  readonly list: Effect.Effect<ReadonlyArray<JournalEntry>, JournalFailed>
  /**
   * Archives a session: closes it if it is open here, and removes it from `list`. Its journal keeps everything and can be
   * forked; `open` refuses it until `unarchive`. Does nothing for one that is archived. **Interruption**: as `close`, and
   * not while the journal is moved. **Errors**: `SessionNotFound`; `SessionBusy` while another process has it open;
   * `JournalFailed`.
   */
  readonly archive: (sessionId: SessionId) => Effect.Effect<void, OpenError>
  /** Returns an archived session to `list`. Does nothing for one that is not archived. **Errors**: as `archive`. */
  readonly unarchive: (sessionId: SessionId) => Effect.Effect<void, OpenError>
  /** The sessions that are archived, the latest first. */
  readonly archived: Effect.Effect<ReadonlyArray<JournalEntry>, JournalFailed>
  /**
   * Closes a session, and returns whether it was open. **Interruption** stops only the wait. See `Session` for what closing
   * does.
   */
  readonly close: (sessionId: SessionId) => Effect.Effect<boolean>
}

/** The service key of {@link Sessions}. */
export const Sessions: Context.Service<Sessions, Sessions> = Context.Service("@spindle/core/Sessions")

/** The sessions of this scope: closing it closes them all, concurrently. */
export const layer: Layer.Layer<Sessions, never, Journal> = Layer.effect(
  Sessions,
  Effect.suspend(() => makeSessions)
)

interface Open {
  readonly session: Session.Session
  readonly scope: Scope.Closeable
}

const makeSessions = Effect.gen(function* () {
  const journal = yield* Journal
  const ids = yield* IdGenerator
  const all = yield* Effect.acquireRelease(Scope.make("parallel"), (scope, exit) => Scope.close(scope, exit))
  const sessions = new Map<SessionId, Open>()
  // one opening or closing at a time, so that two clients that open one session get the same one
  // mutant one-opening-at-a-time (J2: clients of one host that open a session at the same time get the same one):
  //   replace: const gate = Semaphore.makeUnsafe(99)
  const gate = Semaphore.makeUnsafe(1)

  const start = <R>(agent: Agent<R>, options: Session.SessionOptions) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(all, "sequential")
        const made = Session.make(agent, options).pipe(
          Effect.provideService(Journal, journal),
          Effect.provideService(Scope.Scope, scope)
        )
        const session = yield* Effect.onError(restore(made), () => Scope.close(scope, Exit.void))
        sessions.set(session.sessionId, { session, scope })
        yield* Scope.addFinalizer(
          scope,
          Effect.sync(() => void sessions.delete(session.sessionId))
        )
        return session
      })
    )

  const fork = Effect.fnUntraced(function* <R>(agent: Agent<R>, source: SessionId, until: TurnId | undefined) {
    const { records } = yield* journal.load(source)
    if (until !== undefined && !records.some((record) => record._tag === "TurnStarted" && record.turnId === until)) {
      return yield* new TurnNotFound({ sessionId: source, turnId: until })
    }
    const sessionId = ids.next(yield* Clock.currentTimeMillis) as SessionId
    yield* Effect.scoped(
      Effect.flatMap(journal.open(sessionId, "create"), (writer) =>
        writer.append(copyOf(records, { source, sessionId, until }))
      )
    )
    return yield* start(agent, { resume: sessionId })
  })

  const close = (sessionId: SessionId) =>
    Effect.suspend(() => {
      const open = sessions.get(sessionId)
      return open === undefined ? Effect.succeed(false) : Effect.as(Scope.close(open.scope, Exit.void), true)
    })

  return Sessions.of({
    create: (agent, options) => Semaphore.withPermit(gate, start(agent, options ?? {})),
    open: (agent, sessionId) =>
      Semaphore.withPermit(
        gate,
        Effect.suspend(() => {
          const open = sessions.get(sessionId)
          return open === undefined ? start(agent, { resume: sessionId }) : Effect.succeed(open.session)
        })
      ),
    fork: (agent, source, options) => Semaphore.withPermit(gate, fork(agent, source, options?.until)),
    list: journal.list,
    archive: (sessionId) => Semaphore.withPermit(gate, Effect.andThen(close(sessionId), journal.archive(sessionId))),
    unarchive: (sessionId) => Semaphore.withPermit(gate, journal.unarchive(sessionId)),
    archived: journal.archived,
    close: (sessionId) => Semaphore.withPermit(gate, close(sessionId))
  })
})

/** The records of a copy: its own first record, then those of the source up to the end of a turn. */
const copyOf = (
  records: ReadonlyArray<JournalRecord>,
  {
    sessionId,
    source,
    until
  }: { readonly source: SessionId; readonly sessionId: SessionId; readonly until: TurnId | undefined }
): ReadonlyArray<JournalRecord> => {
  const end = until === undefined ? -1 : records.findIndex((record) => isTerminal(record) && record.turnId === until)
  const kept = end < 0 ? records : records.slice(0, end + 1)
  return kept.map((record) =>
    record._tag === "SessionStarted" ? { ...record, sessionId, forkedFrom: source } : record
  )
}

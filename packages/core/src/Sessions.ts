/**
 * The sessions of an application, by id. Each is opened once. It stays open until it is closed, fails, or has been idle
 * for too long, or until the application ends.
 *
 * The layer captures everything that the sessions need when it is built, so `create` and `open` have no requirements.
 * The README says under *Hosting* what a turn sees of the caller that submitted its input (contract S9). All clients in
 * one program share an open session. Between programs, the journal decides which of them has it open (contract J2).
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Agent } from "./Agent.ts"
import * as Deletion from "./internal/hosting/deletion.ts"
import * as HostedSessions from "./internal/hosting/hostedSessions.ts"
import { Journal, type JournalPage, type PageOptions } from "./ports/Journal.ts"
import type { Model } from "./ports/Model.ts"
import { SessionStores } from "./ports/SessionStores.ts"
import type { SessionId, TurnId } from "./protocol/Ids.ts"
import type { JournalFailed, SessionBusy, SessionNotFound, TurnNotFound } from "./protocol/SessionError.ts"
import type * as Session from "./Session.ts"

export type { DeleteError } from "./internal/hosting/deletion.ts"
export type { OpenError } from "./internal/hosting/hostedSessions.ts"

/** Options of a new session. */
export interface CreateOptions extends Omit<Session.SessionOptions, "resume"> {
  /** The name of the agent that it runs. Default: the first agent of the layer. */
  readonly agent?: string | undefined
  /** See `OpenOptions.references`. */
  readonly references?: Context.Context<never> | undefined
}

/** Options for opening a session. */
export interface OpenOptions {
  /** The name of the agent that the caller expects. Default: any agent. */
  readonly agent?: string | undefined
  /**
   * References that the session runs with, in place of those of the layer. For example, `SessionConfig` has the bounds
   * of its turns, and `Limits` of `@spindle/delegate` those of its tree. They apply while the session is open. They
   * have no effect if the session is open already. `SessionConfig.adjustable` and `Limits.adjustable` make references
   * that can be changed while the session is open.
   */
  readonly references?: Context.Context<never> | undefined
}

/** Options of a fork. */
export interface ForkOptions extends Pick<OpenOptions, "references"> {
  /** The last turn to copy. Default: everything up to now is copied. */
  readonly until?: TurnId | undefined
}

/** The sessions of an application. */
export interface Sessions {
  /**
   * Makes a new session. **Interruption** before it is made leaves no session. **Errors**: as `Session.make`, for an id
   * that exists `SessionBusy` while that session is open and `JournalFailed` otherwise; `AgentNotFound` if the layer has
   * no agent of this name.
   */
  readonly create: (options?: CreateOptions) => Effect.Effect<Session.Session, HostedSessions.OpenError>
  /**
   * Returns the session with this id: the open one, or else one that is resumed from its journal. It runs the agent
   * that it was created with. Keep the id, and call `open` for each use: a session that was closed in the meantime
   * rejects submissions. **Interruption**: as `create`. **Errors**: `SessionNotFound`, `SessionBusy`, `JournalFailed`;
   * `AgentMismatch` if the session runs another agent; `AgentNotFound` if the layer does not have its agent.
   */
  readonly open: (
    sessionId: SessionId,
    options?: OpenOptions
  ) => Effect.Effect<Session.Session, HostedSessions.OpenError>
  /**
   * Makes a new session with the records of another, up to the end of a turn or up to now (J4). The source is not
   * touched. A turn that has not ended in the copy is marked as interrupted. Without `references` the copy runs with
   * those of the layer, even if the source was opened with others. **Interruption**: as `create`. **Errors**: as `open`;
   * `TurnNotFound` if the source has no turn `until`.
   */
  readonly fork: (
    source: SessionId,
    options?: ForkOptions
  ) => Effect.Effect<Session.Session, HostedSessions.OpenError | TurnNotFound>
  /**
   * Returns a page of the sessions that have a journal, open or not, the latest first; without a limit it returns all
   * of them. The filters select sessions by whether they are archived, by the beginning of their id, by their title,
   * and by the time of their last record. **Errors**: `JournalFailed`, including for a cursor that is not from a page.
   */
  readonly list: (options?: PageOptions) => Effect.Effect<JournalPage, JournalFailed>
  /**
   * Gives a session a title, whether it is open or not. `list` and its snapshot show the title. An empty title removes
   * it. White space is collapsed, and a title is cut after 200 characters. An open session records it as it does
   * `Op.rename`. **Interruption** stops only the wait. **Errors**: `SessionNotFound`, including for one that is
   * archived; `SessionBusy` while another process has it open; `JournalFailed`.
   */
  readonly rename: (
    sessionId: SessionId,
    title: string
  ) => Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed>
  /**
   * Closes a session if it is open here, and archives its journal. An archived session is listed as such and can be
   * forked, but `open` refuses it until `unarchive`. Does nothing for a session that is archived. **Interruption**
   * stops only the wait. **Errors**: `SessionNotFound`; `SessionBusy` while another process has it open;
   * `JournalFailed`.
   */
  readonly archive: (sessionId: SessionId) => Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed>
  /** Undoes `archive`. Does nothing for a session that is not archived. **Interruption**, **Errors**: as `archive`. */
  readonly unarchive: (sessionId: SessionId) => Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed>
  /**
   * Closes a session if it is open here, and deletes it with its child sessions. First its data in the stores of the
   * layer are deleted (`SessionStores`), and then its journal, with the parts that were cut off it. Forks of it stay.
   * **Interruption**: as `archive`. **Errors**: as `archive`; `StoreFailed` if a store fails. After an error the
   * deletion can be repeated.
   */
  readonly delete: (sessionId: SessionId) => Effect.Effect<void, Deletion.DeleteError>
  /** Closes a session (S7), and returns whether it was open. **Interruption** stops only the wait. */
  readonly close: (sessionId: SessionId) => Effect.Effect<boolean>
}

/** The service key of {@link Sessions}. */
export const Sessions: Context.Service<Sessions, Sessions> = Context.Service("@spindle/core/Sessions")

/** Options of {@link layer}. */
export interface SessionsOptions {
  /**
   * References that a submission passes from its caller to the turn that it starts, in addition to the trace and the
   * log annotations: for example, the user. Default: none.
   */
  readonly context?: ReadonlyArray<Context.Reference<any>> | undefined
  /**
   * Closes a session that has been idle for this long; `open` resumes it. A session with a running turn, process, child
   * session or subscriber is not idle. Default: never.
   */
  readonly idleTimeToLive?: Duration.Input | undefined
}

/** The services that an agent needs. */
export type RequirementsOf<A> = A extends Agent<infer R> ? Exclude<R, Scope.Scope> : never

/**
 * Hosts the sessions of one agent, or of several that differ by name. The layer captures the services that the agents
 * need, once. Closing its scope closes all sessions concurrently (S7). **Errors**: throws if two agents have the same
 * name.
 *
 * @example
 * ```ts
 * import { Agent, Ids, Op, Sessions } from "@spindle/core"
 * import { Effect } from "effect"
 *
 * const assistant = Agent.make({ name: "assistant", instructions: "Answer in one sentence." })
 *
 * // provide the layer once, where the application is composed; it needs a Model and a Journal
 * export const layer = Sessions.layer(assistant)
 *
 * export const ask = Effect.fn("ask")(function* (user: string, question: string) {
 *   const sessions = yield* Sessions.Sessions
 *   const session = yield* sessions.open(Ids.SessionId.make(user))
 *   return yield* session.submit(Op.userInput(question))
 * })
 * ```
 */
export const layer = <A extends Agent<any>>(
  agents: A | ReadonlyArray<A>,
  options: SessionsOptions = {}
): Layer.Layer<Sessions, never, RequirementsOf<A> | Model | Journal> => {
  const all = Array.isArray(agents) ? (agents as ReadonlyArray<A>) : [agents as A]
  const names = all.map(({ name }) => name)
  const repeated = names.findIndex((name, index) => names.indexOf(name) !== index)
  if (repeated >= 0) throw new Error(`cannot host two agents that are named ${names[repeated]}`)
  return Layer.effect(
    Sessions,
    Effect.map(
      HostedSessions.make({ agents: all, references: options.context ?? [], idleTimeToLive: options.idleTimeToLive }),
      makeService
    )
  ) as Layer.Layer<Sessions, never, RequirementsOf<A> | Model | Journal>
}

const makeService = (sessions: HostedSessions.HostedSessions): Sessions => {
  const { journal } = sessions.parts
  return {
    create: ({ sessionId, ...options } = {}) =>
      Effect.suspend(() => sessions.create(sessionId ?? sessions.nextId(), options)),
    open: (sessionId, options) => sessions.open(sessionId, options ?? {}),
    fork: (source, options) => sessions.fork(source, options ?? {}),
    list: (options = {}) => journal.page(options),
    rename: (sessionId, title) => sessions.rename(sessionId, title),
    archive: (sessionId) => sessions.afterClose(sessionId, () => journal.archive(sessionId)),
    unarchive: (sessionId) => sessions.unlessOpen(sessionId, journal.unarchive(sessionId)),
    delete: (sessionId) => sessions.delete(sessionId),
    close: (sessionId) => sessions.close(sessionId)
  }
}

/**
 * Deletes a session as `Sessions.delete` does, for a program that hosts no sessions. The program must not have the
 * session open. The stores are those of the context. **Interruption**: not interruptible, except for the stores.
 * **Errors**: as `Sessions.delete`.
 */
export const deleteClosed = (sessionId: SessionId): Effect.Effect<void, Deletion.DeleteError, Journal> =>
  Effect.gen(function* () {
    const parts = { journal: yield* Journal, stores: yield* SessionStores }
    const below = yield* Deletion.descendantsOf(parts.journal, sessionId)
    for (const one of [...below, sessionId]) yield* Deletion.deleteOne(parts, one)
  }).pipe(Effect.uninterruptible)

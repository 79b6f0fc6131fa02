/**
 * The sessions of an application, by id: each is opened once, and stays open until it is closed, fails, has been idle for
 * too long, or the application ends.
 *
 * Everything that the sessions need is captured where the layer is built, so `create` and `open` need nothing. What a turn
 * sees of the caller that submitted its input is in the README under *Hosting* (contract S9). Within one program an open
 * session is shared by all its clients; between programs the journal decides who has it (contract J2).
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Agent } from "./Agent.ts"
import * as Deletion from "./internal/hosting/deletion.ts"
import * as Host from "./internal/hosting/host.ts"
import { Journal, type JournalPage, type PageOptions } from "./ports/Journal.ts"
import type { Model } from "./ports/Model.ts"
import { SessionStores } from "./ports/SessionStores.ts"
import type { SessionId, TurnId } from "./protocol/Ids.ts"
import type { JournalFailed, SessionBusy, SessionNotFound, TurnNotFound } from "./protocol/SessionError.ts"
import type * as Session from "./Session.ts"

export type { DeleteError } from "./internal/hosting/deletion.ts"
export type { OpenError } from "./internal/hosting/host.ts"

/** Options of a new session. */
export interface CreateOptions extends Omit<Session.SessionOptions, "resume"> {
  /** The name of its agent. Default: the first agent of the layer. */
  readonly agent?: string | undefined
  /** As in `OpenOptions`. */
  readonly references?: Context.Context<never> | undefined
}

/** Options of an opening. */
export interface OpenOptions {
  /** The name of the agent that the caller expects. */
  readonly agent?: string | undefined
  /**
   * References that the session runs with, in place of those of the host: `SessionConfig` has the bounds of its turns, and
   * `Limits` of `@spindle/delegate` those of its tree. They hold while the session is open; an opening that finds it open
   * changes nothing. `SessionConfig.adjustable` and `Limits.adjustable` make some that can be changed meanwhile.
   */
  readonly references?: Context.Context<never> | undefined
}

/** Options of a fork. */
export interface ForkOptions extends Pick<OpenOptions, "references"> {
  /** The last turn that is copied. Default: everything up to now. */
  readonly until?: TurnId | undefined
}

/** The sessions of an application. */
export interface Sessions {
  /**
   * Makes a new session. **Interruption** leaves none behind. **Errors**: as `Session.make`; `AgentNotFound` if the layer
   * has no agent of this name.
   */
  readonly create: (options?: CreateOptions) => Effect.Effect<Session.Session, Host.OpenError>
  /**
   * Returns the session of this id: the open one, or else one that is resumed from its journal. It runs the agent that it
   * was created with. Keep the id and open the session for each use: a
   * session that was closed in the meantime rejects submissions. **Interruption**: as `create`. **Errors**:
   * `SessionNotFound`, `SessionBusy`, `JournalFailed`; `AgentMismatch` if the session runs another agent;
   * `AgentNotFound` if the layer does not have its agent.
   */
  readonly open: (sessionId: SessionId, options?: OpenOptions) => Effect.Effect<Session.Session, Host.OpenError>
  /**
   * Makes a new session with the records of another, up to the end of a turn or up to now (J4). The source is not touched.
   * A turn that is open in the copy is marked as interrupted. Without `references` the copy runs with those of the host,
   * whatever the source was opened with. **Errors**: as `open`; `TurnNotFound` if there is no turn `until`.
   */
  readonly fork: (
    source: SessionId,
    options?: ForkOptions
  ) => Effect.Effect<Session.Session, Host.OpenError | TurnNotFound>
  /**
   * Returns a page of the sessions that have a journal, open or not, the latest first; without a limit all of them. Only
   * those that pass the filters count: archived or not, the beginning of their id, their title, the time of their last
   * record.
   * **Errors**: `JournalFailed`, including for a cursor that no page returned.
   */
  readonly list: (options?: PageOptions) => Effect.Effect<JournalPage, JournalFailed>
  /**
   * Gives a session a title, open or not, which `list` and its snapshot show; an empty one takes it away. White space is
   * collapsed, and what is longer than 200 characters is cut. An open session records it as it does `Op.rename`.
   * **Interruption** stops only the wait. **Errors**: `SessionNotFound`, including for one that is archived;
   * `SessionBusy` while another process has it open; `JournalFailed`.
   */
  readonly rename: (
    sessionId: SessionId,
    title: string
  ) => Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed>
  /**
   * Closes a session if it is open here, and archives its journal: it is listed as archived, can be forked, and `open`
   * refuses it until `unarchive`. Does nothing for one that is archived. **Interruption** stops only the wait.
   * **Errors**: `SessionNotFound`; `SessionBusy` while another process has it open; `JournalFailed`.
   */
  readonly archive: (sessionId: SessionId) => Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed>
  /** Undoes `archive`. Does nothing for a session that is not archived. **Interruption**, **Errors**: as `archive`. */
  readonly unarchive: (sessionId: SessionId) => Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed>
  /**
   * Closes a session if it is open here, and deletes it with its child sessions: what the stores of the host keep of it
   * (`SessionStores`), and last its journal, with what was cut off it. Forks of it stay. **Interruption**: as `archive`.
   * **Errors**: as `archive`; `StoreFailed` if a store fails. After an error the deletion can be repeated.
   */
  readonly delete: (sessionId: SessionId) => Effect.Effect<void, Deletion.DeleteError>
  /** Closes a session (S7), and returns whether it was open. **Interruption** stops only the wait. */
  readonly close: (sessionId: SessionId) => Effect.Effect<boolean>
}

/** The service key of {@link Sessions}. */
export const Sessions: Context.Service<Sessions, Sessions> = Context.Service("@spindle/core/Sessions")

/** How sessions are hosted. */
export interface SessionsOptions {
  /**
   * References that a submission passes on to the turn that it starts, in addition to the caller's trace and log
   * annotations: the user, for example. Default: none.
   */
  readonly context?: ReadonlyArray<Context.Reference<any>> | undefined
  /**
   * Closes a session that has been idle for this long; `open` resumes it. A session with a running turn, process, child
   * session or subscriber is not idle. Default: never.
   */
  readonly idleTimeToLive?: Duration.Input | undefined
}

/** What an agent needs. */
export type RequirementsOf<A> = A extends Agent<infer R> ? Exclude<R, Scope.Scope> : never

/**
 * The sessions of one agent, or of several that differ by name. Captures what the agents need, once. Closing the scope
 * closes all sessions concurrently (S7). Throws if two agents have the same name.
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
      Host.make({ agents: all, references: options.context ?? [], idleTimeToLive: options.idleTimeToLive }),
      makeService
    )
  ) as Layer.Layer<Sessions, never, RequirementsOf<A> | Model | Journal>
}

const makeService = (host: Host.Host): Sessions => {
  const { journal } = host.parts
  return {
    create: ({ sessionId, ...options } = {}) => Effect.suspend(() => host.create(sessionId ?? host.nextId(), options)),
    open: (sessionId, options) => host.open(sessionId, options ?? {}),
    fork: (source, options) => host.fork(source, options ?? {}),
    list: (options = {}) => journal.page(options),
    rename: (sessionId, title) => host.rename(sessionId, title),
    archive: (sessionId) => host.afterClose(sessionId, () => journal.archive(sessionId)),
    unarchive: (sessionId) => host.unlessOpen(sessionId, journal.unarchive(sessionId)),
    delete: (sessionId) => host.delete(sessionId),
    close: (sessionId) => host.close(sessionId)
  }
}

/**
 * As `Sessions.delete`, for a program that hosts no sessions: deletes a session that it does not have open. The stores are
 * those of the context. **Interruption**: not interruptible, except for the stores. **Errors**: as `Sessions.delete`.
 */
export const deleteClosed = (sessionId: SessionId): Effect.Effect<void, Deletion.DeleteError, Journal> =>
  Effect.gen(function* () {
    const parts = { journal: yield* Journal, stores: yield* SessionStores }
    const below = yield* Deletion.descendantsOf(parts.journal, sessionId)
    for (const one of [...below, sessionId]) yield* Deletion.deleteOne(parts, one)
  }).pipe(Effect.uninterruptible)

/**
 * The port to what an application keeps of a session outside its journal: outputs, snapshots of files, rows of a database.
 * `Sessions.delete` deletes it together with the journal.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionId } from "../protocol/Ids.ts"

/** A place outside the journal in which something of sessions is kept. */
export interface SessionStore {
  /** Names it in the error of a deletion. */
  readonly name: string
  /**
   * Deletes what is kept of a session, and succeeds if that is nothing. No process has the session open then, and none can
   * open it. It runs again if a deletion is repeated. One that takes longer than a minute is interrupted and has failed.
   */
  readonly delete: (sessionId: SessionId) => Effect.Effect<void, unknown>
}

/** The stores from which sessions are deleted. By default there are none. */
export const SessionStores: Context.Reference<ReadonlyArray<SessionStore>> = Context.Reference<
  ReadonlyArray<SessionStore>
>("@spindle/core/SessionStores", { defaultValue: () => [] })

/** Adds a store to those of the context in which the layer is built. */
export const layer = (store: SessionStore): Layer.Layer<never> =>
  Layer.effect(
    SessionStores,
    Effect.map(SessionStores, (stores) => [...stores, store])
  )

/**
 * The port to data of sessions outside their journals: outputs, snapshots of files, rows of a database.
 * `Sessions.delete` deletes these data with the journal.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionId } from "../protocol/Ids.ts"

/** A store of data of sessions outside the journal. */
export interface SessionStore {
  /** The name of the store in the error of a deletion. */
  readonly name: string
  /**
   * Deletes the data of a session, and succeeds if there are none. Meanwhile no process has the session open, and none
   * can open it. It runs again if a deletion is repeated. If it takes longer than a minute, it is interrupted and
   * counts as failed.
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

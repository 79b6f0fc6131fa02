/**
 * The spending of the child sessions of a session, folded from its records, so that limits of a tree survive a resume
 * (contract D6).
 */
import type { SessionId } from "../protocol/Ids.ts"
import type { DelegateEnded, DelegateStarted } from "../protocol/SessionEvent.ts"

/**
 * The spending of child sessions. `unsettled` names those whose end was not recorded, or was recorded without their
 * spending. Their own journals have it.
 */
export interface Spending {
  /** The number of sessions that were started, including those below them. */
  readonly started: number
  readonly tokens: number
  /** The time at which the first one was started, in milliseconds since 1970. */
  readonly firstStartAt: number | undefined
  readonly unsettled: ReadonlyArray<SessionId>
}

/** No spending. */
export const none: Spending = { started: 0, tokens: 0, firstStartAt: undefined, unsettled: [] }

/** Counts the start of a child session. */
export const start = (self: Spending, { at }: Pick<DelegateStarted, "at">): Spending => ({
  ...self,
  started: self.started + 1,
  firstStartAt: self.firstStartAt ?? at
})

/** Counts the spending of a child session at its end. */
export const end = (self: Spending, { delegateId, spent }: Pick<DelegateEnded, "delegateId" | "spent">): Spending =>
  spent === undefined
    ? leave(self, [delegateId])
    : { ...self, started: self.started + spent.started, tokens: self.tokens + spent.tokens }

/** Adds child sessions whose end is not recorded. */
export const leave = (self: Spending, ids: ReadonlyArray<SessionId>): Spending =>
  ids.length === 0 ? self : { ...self, unsettled: Array.from(new Set([...self.unsettled, ...ids])) }

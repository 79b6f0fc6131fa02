/**
 * What the child sessions of a session have used, folded from its records, so that limits of a tree survive a resume
 * (contract D6).
 */
import type { SessionId } from "../protocol/Ids.ts"
import type { DelegateEnded, DelegateStarted } from "../protocol/SessionEvent.ts"

/**
 * What child sessions have used. `unsettled` names those whose end was not recorded, or without what they used: their own
 * journals say it.
 */
export interface Spending {
  /** How many were started, those below them included. */
  readonly started: number
  readonly tokens: number
  /** When the first one was started, in milliseconds since 1970. */
  readonly firstStartAt: number | undefined
  readonly unsettled: ReadonlyArray<SessionId>
}

/** Nothing. */
export const none: Spending = { started: 0, tokens: 0, firstStartAt: undefined, unsettled: [] }

/** Counts a child session that is started. */
export const start = (self: Spending, { at }: Pick<DelegateStarted, "at">): Spending => ({
  ...self,
  started: self.started + 1,
  firstStartAt: self.firstStartAt ?? at
})

/** Counts what a child session has used at its end. */
export const end = (self: Spending, { delegateId, spent }: Pick<DelegateEnded, "delegateId" | "spent">): Spending =>
  spent === undefined
    ? leave(self, [delegateId])
    : { ...self, started: self.started + spent.started, tokens: self.tokens + spent.tokens }

/** Notes child sessions whose end is not recorded. */
export const leave = (self: Spending, ids: ReadonlyArray<SessionId>): Spending =>
  ids.length === 0 ? self : { ...self, unsettled: Array.from(new Set([...self.unsettled, ...ids])) }

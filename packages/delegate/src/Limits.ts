/**
 * How much a tree of delegates may be and cost (contract D6). Each session of a tree has limits for everything below it;
 * a spawn has to fit all sessions above it, so limits only narrow on their way down.
 */
import * as Context from "effect/Context"

/** Limits for all that is below one session. 0 is zero; `Infinity` has to be written. */
export interface Limits {
  /** Levels of delegates. Default 5. */
  readonly depth: number
  /** Delegates that work at the same time; one that has settled does not count. Default 16. */
  readonly concurrent: number
  /** Delegates ever started. Default 256. */
  readonly lifetime: number
  /** Tokens of all their model requests together. What works when they are spent is stopped (`Budget`). Default none. */
  readonly tokens: number
  /** Milliseconds from the first start of a delegate on: what works when they are over ends (`Deadline`). Default none. */
  readonly wallMillis: number
}

/** The defaults. */
export const defaults: Limits = {
  depth: 5,
  concurrent: 16,
  lifetime: 256,
  tokens: Infinity,
  wallMillis: Infinity
}

/** The limits of a root session, with {@link defaults} as default. A delegate gets its own from `Delegate.start`. */
export const Limits: Context.Reference<Limits> = Context.Reference<Limits>("@spindle/delegate/Limits", {
  defaultValue: () => defaults
})

/** The narrower of two limits, of each kind: commutative, associative, idempotent. */
export const meet = (self: Limits, that: Limits): Limits => ({
  depth: Math.min(self.depth, that.depth),
  concurrent: Math.min(self.concurrent, that.concurrent),
  lifetime: Math.min(self.lifetime, that.lifetime),
  tokens: Math.min(self.tokens, that.tokens),
  wallMillis: Math.min(self.wallMillis, that.wallMillis)
})

/** What a child may at most have of its parent's limits: one level less, and no limit that is not a number. */
export const inherited = (parent: Limits, own: Partial<Limits>): Limits =>
  meet(
    { ...parent, depth: Math.max(0, parent.depth - 1) },
    {
      depth: count(own.depth),
      concurrent: count(own.concurrent),
      lifetime: count(own.lifetime),
      tokens: count(own.tokens),
      wallMillis: count(own.wallMillis)
    }
  )

// a limit that is no count at all allows nothing
const count = (limit: number | undefined): number =>
  limit === undefined ? Infinity : Number.isNaN(limit) ? 0 : Math.max(0, limit)

/**
 * Limits on the size and the cost of a tree of delegates (contract D6). Each session of a tree has limits for everything
 * below it. A spawn has to stay within the limits of all sessions above it, so limits only narrow on their way down.
 */
import * as Context from "effect/Context"

/** Limits for everything below one session. 0 allows none; `Infinity` has to be written. */
export interface Limits {
  /** Levels of delegates. Default: 5. */
  readonly depth: number
  /** Delegates that work at the same time. A delegate that has settled does not count. Default: 16. */
  readonly concurrent: number
  /** Delegates ever started. Default: 256. */
  readonly lifetime: number
  /** Tokens of all their model requests together. Working delegates are stopped when they are spent (`Budget`). Default: none. */
  readonly tokens: number
  /** Milliseconds from the first start of a delegate until all of them end (`Deadline`). Default: none. */
  readonly wallMillis: number
}

/** The default limits. */
export const defaults: Limits = {
  depth: 5,
  concurrent: 16,
  lifetime: 256,
  tokens: Infinity,
  wallMillis: Infinity
}

/** The limits of a root session. Default: {@link defaults}. A delegate gets its limits from `Delegate.start`. */
export const Limits: Context.Reference<Limits> = Context.Reference<Limits>("@spindle/delegate/Limits", {
  defaultValue: () => defaults
})

/** Returns the narrower of two limits, for each kind. Commutative, associative, idempotent. */
export const meet = (self: Limits, that: Limits): Limits => ({
  depth: Math.min(self.depth, that.depth),
  concurrent: Math.min(self.concurrent, that.concurrent),
  lifetime: Math.min(self.lifetime, that.lifetime),
  tokens: Math.min(self.tokens, that.tokens),
  wallMillis: Math.min(self.wallMillis, that.wallMillis)
})

/** Returns the limits of a child: at most those of its parent with one level less. A limit that is not a number allows none. */
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

const count = (limit: number | undefined): number =>
  limit === undefined ? Infinity : Number.isNaN(limit) ? 0 : Math.max(0, limit)

/**
 * Limits on the size and the cost of a tree of delegates (contract D6). Each session of a tree has limits for
 * everything below it. A spawn has to stay within the limits of all sessions above it, so limits only narrow on their
 * way down. What was used is folded from records, so a session that is resumed continues to count where it was.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Limits for everything below one session. 0 allows none; `Infinity` has to be written. */
export interface Limits {
  /** Levels of delegates. Default: 5. */
  readonly depth: number
  /** Delegates that work at the same time. A delegate that has settled does not count. Default: 16. */
  readonly concurrent: number
  /** Delegates ever started. Default: none. */
  readonly lifetime: number
  /**
   * Tokens of all their model requests together. Working delegates are stopped when they are spent (`Budget`). Default:
   * none.
   */
  readonly tokens: number
  /** The time from the first start of a delegate until all of them end (`Deadline`). Default: none. */
  readonly wallTime: Duration.Input
}

/** The default limits. */
export const defaults: Limits = {
  depth: 5,
  concurrent: 16,
  lifetime: Infinity,
  tokens: Infinity,
  wallTime: Infinity
}

/**
 * The limits of a root session: those in the context of the turn that starts a delegate, which is that of its session
 * unless a caller provides others. Default: {@link defaults}. A delegate gets its limits from `Delegate.start`.
 */
export const Limits: Context.Reference<Limits> = Context.Reference<Limits>("@spindle/delegate/Limits", {
  defaultValue: () => defaults
})

/** Provides limits to the sessions that are made with this layer. What is left out has its default. */
export const layer = (limits: Partial<Limits>): Layer.Layer<never> => Layer.succeed(Limits, { ...defaults, ...limits })

/** {@link layer}, the limits read from the configuration. */
export const layerConfig = (limits: Config.Wrap<Partial<Limits>>): Layer.Layer<never, Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(limits), layer))

/** Limits that can be changed while sessions use them. */
export interface Adjustable {
  /** Provide these: they always have the present values. */
  readonly limits: Limits
  /**
   * Changes some of the limits. They hold from the next start of a delegate and the next input of one; a delegate that
   * runs keeps its deadline.
   */
  readonly change: (limits: Partial<Limits>) => Effect.Effect<void>
}

/** Makes limits that can be changed. What is left out has its default. */
export const adjustable = (initial: Partial<Limits> = {}): Effect.Effect<Adjustable> =>
  Effect.sync(() => {
    let current: Limits = { ...defaults, ...initial }
    return {
      limits: {
        get depth() {
          return current.depth
        },
        get concurrent() {
          return current.concurrent
        },
        get lifetime() {
          return current.lifetime
        },
        get tokens() {
          return current.tokens
        },
        get wallTime() {
          return current.wallTime
        }
      },
      change: (limits) => Effect.sync(() => void (current = { ...current, ...limits }))
    }
  })

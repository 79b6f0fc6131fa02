/**
 * The compactions that a turn makes by itself: when the context reaches its limit of tokens, and when the model refuses
 * the context.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { textOf } from "../internal/foreign.ts"
import type { Model } from "../ports/Model.ts"
import type { SessionConfig } from "../protocol/SessionConfig.ts"
import * as History from "../state/History.ts"
import type { Turn } from "../Turn.ts"
import { compact, type Trigger } from "./compaction.ts"

/** The share of the context window from which a turn compacts, by default. */
const defaultShare = 0.9

const no = Effect.succeed(false)

/** The compactions of one turn. */
export interface AutomaticCompaction {
  /**
   * Compacts if the context has reached its limit, and returns whether it did. Before the turn takes its input, the
   * input is counted as well. If a compaction fails or dies, a warning reports it, and the turn continues with the
   * history as it was. Otherwise its input would stay in the inbox, and each later turn would fail in the same way.
   */
  readonly beforeRequest: () => Effect.Effect<boolean, never, Model>
  /** Compacts because the model refused the context, and returns whether the request can be sent again. */
  readonly afterOverflow: Effect.Effect<boolean, never, Model>
}

/** Makes the compactions of one turn. */
export const make = (turn: Turn, config: SessionConfig, model: Model): AutomaticCompaction => {
  let left = config.turnCompactions
  let isInputTaken = false
  const attempt = (trigger: Trigger): Effect.Effect<boolean, never, Model> =>
    Effect.suspend(() => {
      if (left < 1) return no
      left--
      return Effect.matchCauseEffect(compact({ turn, config, trigger }), {
        onSuccess: () => Effect.succeed(true),
        onFailure: (cause) => {
          if (Cause.hasInterrupts(cause)) return Effect.failCause(cause as Cause.Cause<never>)
          // it would probably fail again, so the turn does not try it at each of its requests
          left = 0
          return Effect.as(turn.warn(`the conversation was not compacted: ${textOf(Cause.squash(cause))}`), false)
        }
      })
    })
  return {
    beforeRequest: () => {
      // a model may know its window only after its first request
      const window = model.contextWindow ?? Infinity
      // a session may have a smaller model than the one that the limit was configured for
      const limit = Math.min(window, config.compactFromTokens ?? defaultShare * window)
      const isFirst = !isInputTaken
      isInputTaken = true
      if (left < 1 || limit === Infinity) return no
      const inputTokens = isFirst ? History.estimateInput(turn.input) : 0
      return Effect.flatMap(turn.contextTokens, (tokens) => (inputTokens + tokens < limit ? no : attempt("limit")))
    },
    afterOverflow: attempt("overflow")
  }
}

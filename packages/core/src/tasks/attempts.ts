/** Model requests with their retries. No other code tries a model again. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { millis } from "../internal/session/sessionContext.ts"
import type { Model } from "../ports/Model.ts"
import type { ToolCall } from "../protocol/Item.ts"
import type { SessionConfig } from "../protocol/SessionConfig.ts"
import { ModelFailed } from "../protocol/SessionError.ts"
import type { Sampled, SampleRequest, Turn } from "../Turn.ts"

/** A request of a task. */
export interface Attempts {
  readonly turn: Turn
  readonly config: SessionConfig
  readonly request: SampleRequest
  readonly onCall: (call: ToolCall) => Effect.Effect<void>
  /** Runs after each response that broke off, before the next request. */
  readonly afterFailure: Effect.Effect<unknown>
}

/** Sends a request until it succeeds, fails for good, or has no retries left. */
export const sample = ({
  afterFailure,
  config,
  onCall,
  request,
  turn
}: Attempts): Effect.Effect<Sampled, ModelFailed, Model> =>
  Effect.gen(function* () {
    let requestRetries = 0
    let streamRetries = 0
    for (let count = 1; ; count++) {
      const sampled = yield* Effect.matchEager(turn.sample(request, count, onCall), {
        onFailure: (error: ModelFailed) => error,
        onSuccess: (ended) => ended
      })
      if (!(sampled instanceof ModelFailed)) return sampled
      // the calls of the broken response get their results first, so that the next request pairs up
      yield* afterFailure
      const hadStarted = sampled.kind === "Disconnected" || sampled.kind === "IdleTimeout"
      const [done, most] = hadStarted
        ? [++streamRetries, config.streamRetries]
        : [++requestRetries, config.requestRetries]
      if (!sampled.isRetryable || done > most) return yield* sampled
      const delayMillis = sampled.retryAfterMillis ?? (yield* backOff(config, done))
      yield* turn.retrying({ attempt: done, maxAttempts: most, delayMillis, error: sampled })
      yield* Effect.sleep(delayMillis)
    }
  })

/** The delay before a retry: it doubles each time and varies by 10 % each way. */
const backOff = (config: SessionConfig, attempt: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) => Math.round(millis(config.retryDelay) * 2 ** (attempt - 1) * (0.9 + 0.2 * random)))

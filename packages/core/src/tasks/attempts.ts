/** Sends model requests with retries. No other code sends a request again. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
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
  readonly onCall: (call: ToolCall) => Effect.Effect<unknown>
  /** Runs after each response that broke off, before the next request. */
  readonly afterFailure: Effect.Effect<unknown>
  /** Handles the failure of a request that is not sent again. Default: the attempts fail with it. */
  readonly orElse?: ((error: ModelFailed) => Effect.Effect<Sampled, ModelFailed, Model>) | undefined
}

/** Sends a request until it succeeds, fails with an error that is not retried, or has no retries left. */
export const sample = (attempts: Attempts): Effect.Effect<Sampled, ModelFailed, Model> =>
  Effect.catch(attempts.turn.sample(attempts.request, 1, attempts.onCall), (error) => {
    const retried = retry(attempts, error)
    return attempts.orElse === undefined ? retried : Effect.catch(retried, attempts.orElse)
  })

/** Sends a request again after its first failure. */
const retry = Effect.fnUntraced(function* (
  { afterFailure, config, onCall, request, turn }: Attempts,
  firstError: ModelFailed
) {
  const requests = new Retries(config.requestRetries, config.retrySchedule)
  const streams = new Retries(config.streamRetries, config.retrySchedule)
  let error = firstError
  for (let count = 2; ; count++) {
    // the calls of the broken response get their results first, so that each call in the next request has its result
    yield* afterFailure
    const hadStarted = error.kind === "Disconnected" || error.kind === "IdleTimeout"
    const retries = hadStarted ? streams : requests
    const delay = error.isRetryable ? yield* retries.next(error) : undefined
    if (delay === undefined) return yield* error
    yield* turn.reportRetry({ attempt: retries.done, maxAttempts: retries.most, delay, error })
    yield* Effect.sleep(delay)
    const sampled = yield* Effect.matchEager(turn.sample(request, count, onCall), {
      onFailure: (failed) => failed,
      onSuccess: (ended) => ended
    })
    if (!(sampled instanceof ModelFailed)) return sampled
    error = sampled
  }
})

/** The retries of one kind: their number, and the delay of the next one. */
class Retries {
  done = 0
  readonly most: number
  private readonly schedule: SessionConfig["retrySchedule"]
  private step: Effect.Success<ReturnType<typeof Schedule.toStep<unknown, ModelFailed, never, never>>> | undefined
  constructor(most: number, schedule: SessionConfig["retrySchedule"]) {
    this.most = most
    this.schedule = schedule
  }

  /** Returns the delay of the next retry, in milliseconds; undefined if there is none. */
  next(error: ModelFailed): Effect.Effect<number | undefined> {
    return Effect.gen({ self: this }, function* () {
      if (++this.done > this.most) return undefined
      this.step ??= yield* Schedule.toStep(this.schedule)
      const due = yield* Pull.catchDone(this.step(yield* Clock.currentTimeMillis, error), () => Effect.undefined)
      return due && (error.retryAfterMillis ?? Math.round(Duration.toMillis(due[1])))
    })
  }
}

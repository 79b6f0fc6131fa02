/** The pauses of a schedule, one after the other. */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"

/** Draws the pauses of a schedule. */
export class Pauses<Input> {
  private readonly schedule: Schedule.Schedule<unknown, Input>
  private step: Step<Input> | undefined
  constructor(schedule: Schedule.Schedule<unknown, Input>) {
    this.schedule = schedule
  }

  /** Starts the schedule over. */
  reset(): void {
    this.step = undefined
  }

  /** Returns the next pause; undefined after the schedule has ended. */
  next(input: Input): Effect.Effect<Duration.Duration | undefined> {
    return Effect.gen({ self: this }, function* () {
      const step: Step<Input> = (this.step ??= yield* Schedule.toStep(this.schedule))
      const due = yield* Pull.catchDone(step(yield* Clock.currentTimeMillis, input), () => Effect.undefined)
      return due?.[1]
    })
  }
}

type Step<Input> = (now: number, input: Input) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

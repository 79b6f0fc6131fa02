/** Virtual time, which passes only when nothing else can happen: the timers of the clock fire one by one, in order. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

interface Timer {
  readonly at: number
  readonly fire: () => void
}

/** A clock that starts at 0 milliseconds. Timers of the same moment fire in the order in which they were set. */
export class VirtualClock implements Clock.Clock {
  private now = 0
  private readonly timers: Array<Timer> = []
  /** The number of sleeps that have no end. */
  endlessCount = 0
  readonly currentTimeMillis = Effect.sync(() => this.now)
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())

  currentTimeMillisUnsafe(): number {
    return this.now
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.now * 1_000_000))
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    return Effect.callback<void>((resume) => {
      if (!Number.isFinite(millis)) {
        this.endlessCount++
        return Effect.sync(() => void this.endlessCount--)
      }
      const timer = { at: this.now + millis, fire: () => resume(Effect.void) }
      const index = this.timers.findIndex((one) => one.at > timer.at)
      this.timers.splice(index < 0 ? this.timers.length : index, 0, timer)
      return Effect.sync(() => {
        const found = this.timers.indexOf(timer)
        if (found >= 0) this.timers.splice(found, 1)
      })
    })
  }

  /** Jumps to the earliest timer within this time and fires it. Returns false if there is none. */
  advance(withinMillis = Infinity): boolean {
    const timer = this.timers[0]
    if (timer === undefined || timer.at > this.now + withinMillis) return false
    this.timers.shift()
    this.now = timer.at
    timer.fire()
    return true
  }
}

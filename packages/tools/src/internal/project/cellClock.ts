/** The time that a cell has used. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

/** A clock that stops while a cell waits for a tool: a person who is asked may take any time. */
export interface CellClock {
  /** Stops the clock during an effect. */
  readonly pauseDuring: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Waits until the cell has used its time. */
  readonly used: Effect.Effect<void>
}

/** Makes a clock that gives a cell this many milliseconds. It runs from the start of `used`. */
export const make = (limitMillis: number): CellClock => {
  const isRunning = Latch.makeUnsafe(true)
  const isPaused = Latch.makeUnsafe(false)
  let pausesCount = 0
  return {
    pauseDuring: (effect) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          if (pausesCount++ > 0) return
          Latch.closeUnsafe(isRunning)
          Latch.openUnsafe(isPaused)
        }),
        () => effect,
        () =>
          Effect.sync(() => {
            if (--pausesCount > 0) return
            Latch.closeUnsafe(isPaused)
            Latch.openUnsafe(isRunning)
          })
      ),
    used: Effect.gen(function* () {
      let leftMillis = limitMillis
      while (leftMillis > 0) {
        yield* isRunning.await
        const startedAt = yield* Clock.currentTimeMillis
        yield* Effect.raceFirst(Effect.sleep(leftMillis), isPaused.await)
        leftMillis -= (yield* Clock.currentTimeMillis) - startedAt
      }
    })
  }
}

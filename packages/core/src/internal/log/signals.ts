/** Measures a session for observers with an `onSignal` function (see `SessionSignal`). */
import type * as Clock from "effect/Clock"
import type { SessionObserver, SessionSignal } from "../../ports/SessionObserver.ts"
import type { SessionId } from "../../protocol/Ids.ts"

/** The options of signals. `onThrow` is called with an observer that threw. */
export interface SignalsOptions {
  readonly sessionId: SessionId
  readonly clock: Clock.Clock
  readonly observers: ReadonlyArray<SessionObserver>
  readonly onThrow: (observer: SessionObserver, error: unknown) => void
}

/** The signals of one session, and the observers that receive them. */
export class Signals {
  private observers: ReadonlyArray<SessionObserver>
  private readonly options: SignalsOptions
  constructor(options: SignalsOptions) {
    this.options = options
    this.observers = options.observers.filter(({ onSignal }) => onSignal !== undefined)
  }

  /** True if an observer receives signals. Otherwise nothing is measured. */
  get isMeasuring(): boolean {
    return this.observers.length > 0
  }

  /** Returns the present time, for {@link millisSince}. */
  nowNanos(): bigint {
    return this.options.clock.currentTimeNanosUnsafe()
  }

  /** Returns the milliseconds since a time, with fractions. */
  millisSince(from: bigint): number {
    return Number(this.nowNanos() - from) / 1e6
  }

  /** Calls the observers with a signal. */
  emit(signal: SessionSignal): void {
    for (const observer of this.observers) {
      try {
        observer.onSignal!(this.options.sessionId, signal)
      } catch (error) {
        this.options.onThrow(observer, error)
      }
    }
  }

  /** Removes an observer that threw, so that it is not called again. */
  remove(observer: SessionObserver): void {
    this.observers = this.observers.filter((one) => one !== observer)
  }
}

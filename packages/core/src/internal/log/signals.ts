/** What a session measures, for the observers that want to know (`SessionSignal`). */
import type * as Clock from "effect/Clock"
import type { SessionObserver, SessionSignal } from "../../ports/SessionObserver.ts"
import type { SessionId } from "../../protocol/Ids.ts"

/** What signals work with. `onThrow` is called with an observer that threw. */
export interface SignalsOptions {
  readonly sessionId: SessionId
  readonly clock: Clock.Clock
  readonly observers: ReadonlyArray<SessionObserver>
  readonly onThrow: (observer: SessionObserver, error: unknown) => void
}

/** The stop-watch of one session, and the observers of what it measures. */
export class Signals {
  private observers: ReadonlyArray<SessionObserver>
  private readonly options: SignalsOptions
  constructor(options: SignalsOptions) {
    this.options = options
    this.observers = options.observers.filter(({ onSignal }) => onSignal !== undefined)
  }

  /** Whether an observer wants signals. Without one nothing is measured. */
  get isMeasuring(): boolean {
    return this.observers.length > 0
  }

  /** The time, for {@link millisSince}. */
  nowNanos(): bigint {
    return this.options.clock.currentTimeNanosUnsafe()
  }

  /** Milliseconds, with fractions, since a time. */
  millisSince(from: bigint): number {
    return Number(this.nowNanos() - from) / 1e6
  }

  /** Calls the observers with what was measured. */
  emit(signal: SessionSignal): void {
    for (const observer of this.observers) {
      try {
        observer.onSignal!(this.options.sessionId, signal)
      } catch (error) {
        this.options.onThrow(observer, error)
      }
    }
  }

  /** An observer that threw is not called again. */
  remove(observer: SessionObserver): void {
    this.observers = this.observers.filter((one) => one !== observer)
  }
}

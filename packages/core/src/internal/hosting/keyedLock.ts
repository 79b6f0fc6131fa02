/** Locks by key. Only fibers that need the same key wait for each other. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/** A lock for each key. A key that no fiber holds or waits for takes no memory. */
export class KeyedLock<K> {
  private readonly locks = new Map<K, Lock>()

  /** Runs an effect while no other effect runs for this key. **Interruption** stops the wait or the effect. */
  withLock<A, E, R>(key: K, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.enter(key)),
      ({ semaphore }) => Semaphore.withPermit(semaphore, effect),
      (lock) => Effect.sync(() => this.leave(key, lock))
    )
  }

  /** The number of keys that are locked. */
  get size(): number {
    return this.locks.size
  }

  private enter(key: K): Lock {
    // mutant one-opening-at-a-time (J2: clients of one host that open a session at the same time get the same one):
    //   replace: const lock = this.locks.get(key) ?? { semaphore: Semaphore.makeUnsafe(99), users: 0 }
    const lock = this.locks.get(key) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
    lock.users++
    this.locks.set(key, lock)
    return lock
  }

  private leave(key: K, lock: Lock): void {
    if (--lock.users === 0) this.locks.delete(key)
  }
}

interface Lock {
  readonly semaphore: Semaphore.Semaphore
  /** The number of fibers that hold the lock or wait for it. */
  users: number
}

/** Drains the microtask queue of the platform without a return to its event loop. */

/** The part of Node's `process` that is used here. */
interface NodeProcess {
  readonly nextTick?: (callback: () => void) => void
}

const nextTick = (globalThis as { process?: NodeProcess }).process?.nextTick

/** The number of promise continuations that are run in a row where the platform has no `process.nextTick`. */
const continuations = 100

/**
 * The number of drains after which the queue counts as empty. A callback of `process.nextTick` that calls it again
 * takes one more each time.
 */
export const quietDrains = 16

/**
 * Waits until the promise continuations and microtasks that are queued have run, with those that they queue. Node runs
 * the callbacks of `process.nextTick` after them and before any timer, so neither timers nor sockets are served.
 */
export const drainMicrotasks: () => Promise<void> =
  nextTick === undefined
    ? async () => {
        for (let left = continuations; left > 0; left--) await undefined
      }
    : () => new Promise((resolve) => nextTick(resolve))

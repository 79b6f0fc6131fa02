/** The output of one process between its pipes and its reader. */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

/** The number of bytes that may wait for the reader before the process has to wait. */
const capacityBytes = 65_536
/** The number of bytes that are accepted after the exit of the process: more than its pipes can hold. */
const tailCapacityBytes = 1_048_576
/** The time, in milliseconds, for which the output of descendants is accepted after the exit of the process. */
const tailMillis = 100

/**
 * `pump` moves the output until the last writer has closed its end. Run `ended` when the process has exited; it returns
 * when `output` is complete. Output that descendants write later is read and dropped, so that they do not block.
 */
export interface OutputPipe {
  readonly output: Stream.Stream<Uint8Array>
  readonly pump: Effect.Effect<void>
  readonly ended: Effect.Effect<void>
}

/** Makes the pipe for an output that has no other reader. */
export const make = Effect.fnUntraced(function* (source: Stream.Stream<Uint8Array, PlatformError>) {
  // bounded by `capacityBytes`, and by `tailCapacityBytes` after the exit
  const queue = yield* Queue.unbounded<Uint8Array, Cause.Done>()
  const room = Latch.makeUnsafe(true)
  const drained = Deferred.makeUnsafe<void>()
  let waitingBytes = 0
  let exited = false
  let dropping = false

  const accept = (chunk: Uint8Array): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (exited && waitingBytes >= tailCapacityBytes) dropping = true
      if (dropping) return Effect.void
      Queue.offerUnsafe(queue, chunk)
      waitingBytes += chunk.length
      if (waitingBytes >= capacityBytes && !exited) room.closeUnsafe()
      return room.await
    })

  const pipe: OutputPipe = {
    output: Stream.map(Stream.fromQueue(queue), (chunk) => {
      waitingBytes -= chunk.length
      if (waitingBytes < capacityBytes) room.openUnsafe()
      return chunk
    }),
    pump: Stream.runForEach(source, accept).pipe(
      Effect.catch((error) => Effect.logWarning("the output of a process could not be read to its end", error)),
      Effect.ensuring(
        Effect.sync(() => {
          Queue.endUnsafe(queue)
          Deferred.doneUnsafe(drained, Effect.void)
        })
      )
    ),
    ended: Effect.suspend(() => {
      exited = true
      room.openUnsafe()
      return Effect.timeoutOption(Deferred.await(drained), tailMillis)
    }).pipe(
      Effect.andThen(
        Effect.sync(() => {
          dropping = true
          Queue.endUnsafe(queue)
        })
      )
    )
  }
  return pipe
})

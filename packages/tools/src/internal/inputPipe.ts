/** The input of one process between its writers and its pipe. */
import type { ProcessId } from "@spindle/core/Ids"
import { InputClosed, type ProcessInput } from "@spindle/core/Processes"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

/** The number of bytes that may wait for the process. */
const capacityBytes = 1_048_576

/** `source` is the input that the process reads. Call `end` when the process has exited. */
export interface InputPipe {
  readonly input: ProcessInput
  readonly source: Stream.Stream<Uint8Array>
  readonly end: () => void
}

/** Makes the pipe of a process. */
export const make = Effect.fnUntraced(function* (processId: ProcessId) {
  // bounded by `capacityBytes`
  const queue = yield* Queue.unbounded<Uint8Array, Cause.Done>()
  let waitingBytes = 0
  let closed: string | undefined
  const close = (detail: string) => {
    closed ??= detail
    Queue.endUnsafe(queue)
  }
  const pipe: InputPipe = {
    input: {
      isTerminal: false,
      write: (bytes) =>
        Effect.suspend(() => {
          if (closed !== undefined) return Effect.fail(new InputClosed({ processId, detail: closed }))
          if (waitingBytes + bytes.length > capacityBytes) {
            return Effect.fail(new InputClosed({ processId, detail: "it does not read the input that it was sent" }))
          }
          waitingBytes += bytes.length
          Queue.offerUnsafe(queue, bytes)
          return Effect.void
        }),
      close: Effect.sync(() => close("its input was closed")),
      resize: () => Effect.void
    },
    source: Stream.map(Stream.fromQueue(queue), (bytes) => {
      waitingBytes -= bytes.length
      return bytes
    }),
    end: () => close("it has ended")
  }
  return pipe
})

/** Reading the output of a process in tests. */
import { Deferred, Effect, Stream } from "effect"

/**
 * Reads until a word has come. Returns the output until then, and an effect that waits for all of it. A fiber of the
 * scope reads the rest.
 */
export const readUntil = Effect.fnUntraced(function* (output: Stream.Stream<Uint8Array>, word: string) {
  const seen = yield* Deferred.make<string>()
  const complete = yield* Deferred.make<string>()
  let text = ""
  yield* Stream.runForEach(Stream.decodeText(output), (piece) => {
    text += piece
    return text.includes(word) ? Deferred.succeed(seen, text) : Effect.void
  }).pipe(Effect.andThen(Effect.suspend(() => Deferred.succeed(complete, text))), Effect.forkScoped)
  return { first: yield* Deferred.await(seen), all: Deferred.await(complete) }
})

/** Reads until a word has come, and returns the output until then. A fiber of the scope reads the rest. */
export const until = (output: Stream.Stream<Uint8Array>, word: string) =>
  Effect.map(readUntil(output, word), ({ first }) => first)

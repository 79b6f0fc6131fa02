/**
 * The headers of a turn (contract M1): facts about the turn of a call, for servers that are configured to receive them.
 *
 * They are read when a `tools/call` is sent, and sent with nothing else. No shared state holds them: the turn of a call
 * is in its context, so two turns that share a server cannot see each other's headers. Once the turn has settled,
 * reading them is an interruption, as every call of its members is.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Turn } from "@spindle/core/Turn"

/** Headers by name. */
export interface Headers {
  readonly [name: string]: string
}

/**
 * Returns the headers of a turn as they are now. It runs for each call, so that a value that is found while the turn
 * runs is in the calls that follow. **Interruption**: it is interrupted with the call. By default there are none.
 */
export const TurnHeaders: Context.Reference<(turn: Turn) => Effect.Effect<Headers>> = Context.Reference<
  (turn: Turn) => Effect.Effect<Headers>
>("@spindle/mcp/TurnHeaders", { defaultValue: () => () => Effect.succeed({}) })

/** Returns the headers that HTTP allows: names that are tokens, values of visible ASCII text with spaces inside. */
export const legal = (headers: Headers): Headers =>
  Object.fromEntries(Object.entries(headers).filter(([name, value]) => isToken(name) && isValue(value)))

const isToken = (name: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)
const isValue = (value: string): boolean => /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(value)

/**
 * Reads the headers of the turn of a call that is about to be sent. Interrupts the caller if the turn has settled, even
 * while the headers were read.
 */
export const read = (turn: Turn): Effect.Effect<Headers> =>
  Effect.flatMap(turn.abortReason, () =>
    Effect.flatMap(Effect.service(TurnHeaders), (headersOf) =>
      Effect.flatMap(headersOf(turn), (headers) => Effect.as(turn.abortReason, legal(headers)))
    )
  )

/** The mutation gate of the agent loop. */
import * as Effect from "effect/Effect"
import { MutationGate } from "../MutationGate.ts"
import { CallbackFailed } from "../protocol/AgentError.ts"
import type { Turn } from "../Turn.ts"

/**
 * Runs the loop with the gate of its turn, if there is one. If the gate throws, a warning reports it, and the turn runs
 * without a gate.
 */
export const withGate = <A, E, R>(
  turn: Turn,
  gate: MutationGate | undefined,
  loop: (own: MutationGate | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (gate === undefined) return loop(undefined)
  let own: MutationGate | undefined
  let report: Effect.Effect<void> = Effect.void
  try {
    own = gate.forTurn(turn)
  } catch (cause) {
    report = turn.warn(new CallbackFailed({ callback: "MutationGate.forTurn", cause }).message)
  }
  return Effect.andThen(report, Effect.provideService(loop(own), MutationGate, own))
}

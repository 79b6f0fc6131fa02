/** Input that is withdrawn at any step of the turn that may carry it (contract P8). */
import { conversation, type Exploration, session, startingEffect } from "../scenario.ts"
import * as Effect from "effect/Effect"

/** Input that steers a turn or waits for its own, withdrawn before, while or after a turn carries it. */
const withdrawing: Exploration = {
  ...session({ harness: conversation }),
  actions: [["repeat", "withdraw"]],
  maxRuns: 60
}

/** Input that a task leaves in the queue. */
const withdrawingFromTheQueue: Exploration = {
  ...session({ harness: conversation, begin: startingEffect(Effect.sleep(3)) }),
  actions: [["repeat", "withdraw"]],
  maxRuns: 60
}

/** The explorations by name. */
export const input = { withdrawing, withdrawingFromTheQueue }

/** The `interrupt` hooks of the application, which run after the abort of a turn. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { isNone } from "../../Hooks.ts"
import type { AbortHook } from "../../TaskSupervisor.ts"
import { Turn } from "../../Turn.ts"
import { forkDetached } from "../detached.ts"
import type { Ledger } from "./ledger.ts"
import type { TurnParts } from "./turnParts.ts"
import { make as makeTurn } from "./turnService.ts"
import { below } from "./turnSpan.ts"

/**
 * Returns the abort hooks for the supervisor. Processes that the hooks start end with them, and with the turn at the
 * latest.
 */
export const afterAbort = (parts: TurnParts, ledgerOf: () => Ledger): ReadonlyArray<AbortHook> => {
  const { hooks } = parts.session
  if (isNone(hooks)) return none
  return [
    {
      name: "interrupt",
      limit: parts.session.config.interruptHookLimit,
      run: (reason) => {
        const ledger = ledgerOf()
        const { turnId } = ledger.origin
        const hook = Effect.provideContext(
          hooks.interrupt(turnId, reason),
          Context.make(Turn, turnOfHook(parts, ledger))
        )
        return Effect.ensuring(below(ledger, hook), parts.resources.endLate(turnId))
      }
    }
  ]
}

const none: ReadonlyArray<never> = []

/** Makes the turn of an `interrupt` hook. It records until the turn is settled, and can start processes only. */
const turnOfHook = (parts: TurnParts, ledger: Ledger): Turn => {
  const { resources, session } = parts
  // mutant fence-of-interrupt-hooks (I3: a hook on an abort that exceeds its limit records nothing): false
  const isFenced = () => ledger.isSettled()
  return makeTurn(parts, ledger, isFenced, {
    isClosing: isFenced,
    own: (resource) => {
      const release = resources.ownLate(ledger, resource)
      // the turn may have been settled while the process started
      // mutant late-processes-end (X1: a process that a hook starts while its turn settles is ended): false
      if (ledger.isSettled()) forkDetached(session.context, resources.endLate(ledger.origin.turnId))
      return release
    }
  })
}

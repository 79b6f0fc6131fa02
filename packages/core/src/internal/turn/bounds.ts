/** The bounds of a turn: model requests, tool calls, tokens and time (contract S10). */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { AbortReason } from "../../protocol/Outcome.ts"
import { forkDetached } from "../detached.ts"
import type { SessionContext } from "../session/sessionContext.ts"
import type { Ledger } from "./ledger.ts"
import type { TurnParts } from "./turnParts.ts"

const stop = (ledger: Ledger, reason: AbortReason, bound: string): void => {
  if (ledger.isClosing()) return
  // before the abort, because the owner may settle the turn at once
  ledger.stopAt(bound)
  ledger.slot.abort(reason)
}

const count = (value: number): string => value.toLocaleString("en-US")

/** Counts one more model request. Stops the turn and returns false if it has no request or no tokens left. */
export const takeRequest = ({ recorder, session }: TurnParts, ledger: Ledger): boolean => {
  const { turnModelRequests, turnTokens } = session.config
  if ((recorder.state.turn?.usage.total ?? 0) >= turnTokens) stop(ledger, "Budget", `${count(turnTokens)} tokens`)
  else if (ledger.requestsCount >= turnModelRequests) {
    stop(ledger, "Budget", `${count(turnModelRequests)} model requests`)
  }
  if (ledger.isClosing()) return false
  ledger.requestsCount++
  return true
}

/** Counts one more tool call, and stops the turn if it exceeds the bound. */
export const takeCall = ({ config }: SessionContext, ledger: Ledger): void => {
  ledger.toolCallsCount++
  if (ledger.toolCallsCount > config.turnToolCalls) stop(ledger, "Budget", `${count(config.turnToolCalls)} tool calls`)
}

/** Starts a fiber that stops the turn at its deadline, if there is one. It is interrupted when the turn has ended. */
export const startTimer = ({ config, context }: SessionContext, ledger: Ledger): Fiber.Fiber<void> | undefined => {
  const { turnDuration } = config
  if (turnDuration === undefined) return undefined
  const duration = Duration.fromInputUnsafe(turnDuration)
  return forkDetached(
    context,
    Effect.andThen(
      Effect.sleep(duration),
      Effect.sync(() => stop(ledger, "Deadline", Duration.format(duration)))
    )
  )
}

/** The hooks that notify a person about a turn: while its questions wait, and when it completes. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { isNone } from "../../Hooks.ts"
import { Turn } from "../../Turn.ts"
import { forkDetached } from "../detached.ts"
import type { Ledger } from "./ledger.ts"
import type { WhileWaiting } from "./questions.ts"
import type { TurnParts } from "./turnParts.ts"

/**
 * Runs the hooks on a question that waits, in a fiber that the turn owns. A hook that cannot be interrupted then delays
 * neither the answer nor the abort.
 */
export const whileWaiting =
  ({ resources, session }: TurnParts, ledger: Ledger, turn: Turn): WhileWaiting =>
  (question, context) => {
    const hook = session.hooks.notification(ledger.origin.turnId, { _tag: "QuestionWaits", question })
    const fiber = forkDetached(context, Effect.provideService(hook, Turn, turn))
    // mutant turn-owns-its-notifications (I3: a hook that still notifies when its turn is aborted is named):
    //   replace: const release = () => {}
    const release = resources.own(ledger, {
      kind: "hook",
      id: `notification ${question.questionId}`,
      name: "notification",
      end: () => Effect.asVoid(Fiber.interrupt(fiber)),
      drain: session.config.grace
    })
    fiber.addObserver(release)
    return () => fiber.interruptUnsafe()
  }

/**
 * Runs the hooks on a turn of a root session whose task has returned. No more input joins the turn. Returns undefined
 * if there are no hooks to run.
 */
export const beforeCompletion = (
  { recorder, session }: TurnParts,
  ledger: Ledger,
  turn: Turn
): Effect.Effect<void> | undefined => {
  if (isNone(session.hooks) || session.ancestors.length > 0) return undefined
  return Effect.suspend(() => {
    // mutant gate-closes-before-notifying (P4: input does not join a turn that only notifies): drop
    ledger.closeGate()
    const { projected } = ledger
    const lastMessage = projected === undefined ? recorder.state.turn?.lastMessage : (projected ?? undefined)
    const hook = session.hooks.notification(ledger.origin.turnId, { _tag: "TurnCompletes", lastMessage })
    return Effect.provideService(hook, Turn, turn)
  })
}

/** Settles turns: writes their last records, once, and waits until they are durable (contract S2, I3, I5 to I7, P2). */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Outcome } from "../../protocol/Outcome.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import * as TurnEnd from "../../state/TurnEnd.ts"
import type { Ended } from "../../TaskSupervisor.ts"
import { forkDetached } from "../detached.ts"
import { tagOf, textOf } from "../foreign.ts"
import { flush } from "../log/flush.ts"
import type { Ledger } from "./ledger.ts"
import type { TurnParts } from "./turnParts.ts"
import * as TurnSpan from "./turnSpan.ts"

/** Writes the last records of a turn, as one batch, and returns its outcome when they are durable (S2, I5). */
export const settle = Effect.fnUntraced(function* <A, E>(parts: TurnParts, ledger: Ledger, ended: Ended<A, E>) {
  const { questions, recorder, resources, session } = parts
  const { origin, response } = ledger
  ledger.settle()
  // mutant questions-end-with-their-turn (A1: the open questions of a turn are settled before its terminal record):
  //   drop
  questions.cancelAll(origin.turnId, ended._tag === "Aborted" ? "abort" : "end")
  response.cut("aborted")
  const last = TurnEnd.records(recorder.state, endOf(parts, ledger, ended))
  // in one batch: input that an observer of such a record submits then comes after the terminal record, which cannot
  // name it (P2)
  // mutant ends-in-one-step (P2: the terminal record of a turn names all input that was accepted before it):
  //   replace: for (const record of last) recorder.append(record)
  recorder.appendAll(last)
  resources.leave(origin.turnId)
  // a hook that exceeded its limit may have left processes
  // mutant late-resources-end-with-the-turn (X1: what a hook started after an abort ends with the turn): drop
  if (resources.hasLate(origin.turnId)) forkDetached(session.context, resources.endLate(origin.turnId))
  // if the journal fails here, the turn has failed (S2); the error is in the recorder
  // mutant durable-before-the-slot-is-free (S2: the terminal record is durable before the next turn may start): drop
  yield* Effect.ignore(flush(recorder, origin.span))
  const { failure } = recorder
  const final: Ended<A, E | JournalFailed> =
    failure === undefined ? ended : { _tag: "Failed", cause: Cause.fail(failure) }
  const terminal = last.at(-1)
  TurnSpan.end(session, ledger, final, terminal !== undefined && "usage" in terminal ? terminal.usage : undefined)
  return outcomeOf(final)
})

const endOf = <A, E>(
  { resources, session }: TurnParts,
  { live, origin, projected, stoppedAt }: Ledger,
  ended: Ended<A, E>
): TurnEnd.TurnEnd => {
  switch (ended._tag) {
    case "Completed":
      return { _tag: "Completed", lastMessage: projected, live }
    case "Failed": {
      const error = Cause.squash(ended.cause)
      return { _tag: "Failed", error: { tag: tagOf(error), message: textOf(error) }, live }
    }
    case "Aborted": {
      const { policy } = session
      return { ...ended, keptProcesses: resources.keptProcesses(origin.turnId), policy, bound: stoppedAt, live }
    }
  }
}

const outcomeOf = <A, E>(ended: Ended<A, E>): Outcome<A, E> =>
  ended._tag === "Aborted"
    ? { _tag: "Aborted", reason: ended.reason, stragglers: ended.stragglers.map((one) => `${one.kind} ${one.name}`) }
    : ended

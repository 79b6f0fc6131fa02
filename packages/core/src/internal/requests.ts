/** Questions of a turn: registered, announced, settled once (contract A1 to A5). */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { RequestId } from "../protocol/Ids.ts"
import type { Decision } from "../protocol/Op.ts"
import * as Authority from "../rules/Authority.ts"
import type { Answer, Question } from "../Turn.ts"
import { type Kernel, millis } from "./kernel.ts"
import type { Ledger } from "./ledger.ts"

/** Asks, beside the clients of the session, whoever decides for it. */
export const ask = (kernel: Kernel, ledger: Ledger, question: Question): Effect.Effect<Answer> =>
  Effect.suspend(() => {
    const { recorder } = kernel
    const key = Authority.keyOf(question.tool, question.payload)
    if (Authority.isGranted(recorder.state.grants, key))
      return Effect.succeed<Answer>({ _tag: "Approved", scope: "once" })
    const requestId = kernel.newId() as RequestId
    const { turnId } = ledger.origin
    const path = [kernel.sessionId]
    const answered = Deferred.makeUnsafe<Answer>()
    const settle = (decision: Answer): void => {
      if (!kernel.requests.delete(requestId)) return
      recorder.append({ _tag: "RequestSettled", turnId, requestId, decision })
      Deferred.doneUnsafe(answered, Effect.succeed(decision))
      if (decision._tag === "Abort") kernel.supervisor.abort("Interrupted")
    }
    // registered before it is announced (A1)
    kernel.requests.set(requestId, settle)
    recorder.append({
      _tag: "RequestOpened",
      turnId,
      requestId,
      kind: question.kind,
      payload: question.payload,
      path,
      ...(question.callId === undefined ? {} : { callId: question.callId }),
      ...(question.tool === undefined ? {} : { tool: question.tool })
    })
    const request = {
      sessionId: kernel.sessionId,
      turnId,
      requestId,
      callId: question.callId,
      kind: question.kind,
      tool: question.tool,
      payload: question.payload,
      path
    }
    const decided = Effect.map(kernel.decider.decide(request), (decision: Decision): Answer => decision)
    const inTime = kernel.config.requestDeadline === undefined ? decided : atDeadline(decided, kernel, question)
    // the first answer settles; the others find nothing to settle
    return Effect.raceFirst(
      Deferred.await(answered),
      Effect.flatMap(inTime, (answer) => {
        settle(answer)
        return Deferred.await(answered)
      })
    ).pipe(
      Effect.onInterrupt(() =>
        Effect.sync(() => settle({ _tag: "Cancelled", by: ledger.slot.reason() === undefined ? "end" : "abort" }))
      )
    )
  })

/** What nobody answered in time: a question gets an empty answer, everything else is cancelled, which grants nothing (A2). */
const atDeadline = (decided: Effect.Effect<Answer>, kernel: Kernel, question: Question): Effect.Effect<Answer> =>
  Effect.timeoutOrElse(decided, {
    duration: millis(kernel.config.requestDeadline!),
    orElse: () =>
      Effect.succeed<Answer>(
        question.kind === "question" ? { _tag: "Answered", answers: {} } : { _tag: "Cancelled", by: "deadline" }
      )
  })

/** Settles every request that a turn leaves behind. Its waiters are told that they were cancelled, which is no refusal (A2). */
export const cancelAll = (kernel: Kernel, by: "abort" | "end"): void => {
  for (const settle of kernel.requests.values()) settle({ _tag: "Cancelled", by })
}

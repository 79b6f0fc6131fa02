/** The session as its turns see it: one small object for all of them. */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { SessionId, SubmissionId } from "../../protocol/Ids.ts"
import type { Op } from "../../protocol/Op.ts"
import type { TraceContext } from "../../protocol/TraceContext.ts"
import type { NewQuestion, TurnSession } from "../../Turn.ts"
import { type Kernel, pathOf } from "./sessionContext.ts"
import * as Requests from "../turn/questions.ts"
import type { Submissions } from "./submissions.ts"

/** See `TurnSession`. */
export class SessionOfTurns implements TurnSession {
  private readonly kernel: Kernel
  private readonly submissions: Submissions
  constructor(kernel: Kernel, submissions: Submissions) {
    this.kernel = kernel
    this.submissions = submissions
  }

  get sessionId(): SessionId {
    return this.kernel.sessionId
  }

  get path(): ReadonlyArray<SessionId> {
    return pathOf(this.kernel)
  }

  submit(op: Op, options?: { readonly id?: SubmissionId; readonly trace?: TraceContext }) {
    return this.submissions.submit(op, options)
  }

  ask(question: NewQuestion) {
    return Requests.ask(this.kernel, undefined, question)
  }

  get scope(): Effect.Effect<Scope.Scope> {
    return Effect.suspend(() => {
      if (this.kernel.closed) return Effect.interrupt
      this.kernel.tenants ??= Scope.makeUnsafe("parallel")
      return Effect.succeed(this.kernel.tenants)
    })
  }
}

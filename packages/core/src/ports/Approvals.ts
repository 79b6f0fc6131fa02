/**
 * Who decides about a request (contract A1 to A4). The session announces and settles; this port only answers.
 *
 * `decide` runs beside the clients of the session: the first of its answer, a client's `Answer`, the deadline and the
 * end of whoever asks (the abort of the turn; of a request of the session, its close) settles the request, and the others
 * are too late.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Decision } from "../protocol/Op.ts"
import type { Question } from "../protocol/Question.ts"

export type { Question } from "../protocol/Question.ts"

/** What a decider says: a decision, or that nobody decided in time, which grants nothing and refuses nothing (A2). */
export type Decided = Decision | { readonly _tag: "Cancelled"; readonly by: "deadline" }

/** The answering side of a session's requests. */
export interface Approvals {
  /** Answers, or never does and leaves it to a client. Interrupted as soon as the request is settled otherwise. */
  readonly decide: (request: Question) => Effect.Effect<Decided>
}

/** Leaves every decision to the clients of the session. */
export const askClient: Approvals = { decide: () => Effect.never }

/** Denies everything; for a session that nobody attends. */
export const denyAll = (reason: string): Approvals => ({ decide: () => Effect.succeed({ _tag: "Denied", reason }) })

/** Approves everything, once each. */
export const approveAll: Approvals = { decide: () => Effect.succeed({ _tag: "Approved", scope: "once" }) }

/** Decides about requests. The default is {@link askClient}. */
export const Approvals: Context.Reference<Approvals> = Context.Reference<Approvals>("@spindle/core/Approvals", {
  defaultValue: () => askClient
})

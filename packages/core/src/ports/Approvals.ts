/**
 * The port for decisions about the questions of a session (contract A1 to A4). The session opens and settles a
 * question; an implementation of this port only decides.
 *
 * `decide` runs concurrently with the clients of the session. A question is settled by its decision, by the `Answer` of
 * a client, by the deadline, or by the end of the asker, whichever comes first. The end of the asker is the abort of a
 * turn that asked, or the close of a session that asked. Later answers have no effect.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Decision } from "../protocol/Op.ts"
import type { DecisionSource, Question } from "../protocol/Question.ts"

export type { Question } from "../protocol/Question.ts"

/**
 * A decision, or `Cancelled` if none came before the deadline, which neither grants nor refuses (A2). Its `source` is
 * recorded. Default: `user`.
 */
export type Decided = (Decision | { readonly _tag: "Cancelled"; readonly by: "deadline" }) & {
  readonly source?: DecisionSource
}

/** A decider of questions. */
export interface Approvals {
  /**
   * Decides a question, or never returns and leaves the decision to a client. The session interrupts it when the
   * question is settled in another way. If it dies or interrupts itself, the turn that asked fails with
   * `CallbackFailed`.
   */
  readonly decide: (question: Question) => Effect.Effect<Decided>
}

/** Leaves every decision to the clients of the session. */
export const askClient: Approvals = { decide: () => Effect.never }

/** Denies everything. It is meant for sessions without a person. */
export const denyAll = (reason: string): Approvals => ({
  decide: () => Effect.succeed({ _tag: "Denied", reason, source: "policy" })
})

/** Approves every question, once. */
export const approveAll: Approvals = {
  decide: () => Effect.succeed({ _tag: "Approved", scope: "once", source: "policy" })
}

/**
 * The decider of the sessions that are made in this context. Default: {@link askClient}.
 *
 * @example
 * ```ts
 * import { Approvals } from "@spindle/core"
 * import { Effect, Layer } from "effect"
 *
 * export const cautious = Layer.succeed(Approvals.Approvals, {
 *   decide: ({ tool }) =>
 *     Effect.succeed(
 *       tool === "read" ? { _tag: "Approved", scope: "once", source: "policy" } : { _tag: "Denied", reason: "read only" }
 *     )
 * })
 * ```
 */
export const Approvals: Context.Reference<Approvals> = Context.Reference<Approvals>("@spindle/core/Approvals", {
  defaultValue: () => askClient
})

/**
 * A marker in types: the session has a decider. Only {@link layer} provides it. `Agent.requireDecider` makes an agent
 * that requires it.
 */
export interface Decider {
  readonly [DeciderTypeId]: typeof DeciderTypeId
}

const DeciderTypeId = "~@spindle/core/Approvals/Decider"

/** The service key of {@link Decider}. */
export const Decider: Context.Service<Decider, Decider> = Context.Service("@spindle/core/Approvals/Decider")

/** Provides the decider of the sessions that are made with this layer. */
export const layer = (self: Approvals): Layer.Layer<Decider> =>
  Layer.succeedContext(Context.make(Decider, { [DeciderTypeId]: DeciderTypeId }).pipe(Context.add(Approvals, self)))

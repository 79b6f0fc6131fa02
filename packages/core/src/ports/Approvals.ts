/**
 * Approvals: decisions about the questions of a session (contract A1 to A4). The session announces and settles a question;
 * this port only decides.
 *
 * `decide` runs concurrently with the clients of the session. The first of these settles the question: its decision, the
 * `Answer` of a client, the deadline, and the end of the asker (for a question of a turn its abort, for one of the session
 * its close). Later ones are too late.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { CallbackFailed } from "../protocol/AgentError.ts"
import type { Decision } from "../protocol/Op.ts"
import type { DecisionSource, Question } from "../protocol/Question.ts"

export type { Question } from "../protocol/Question.ts"

/**
 * A decision, or `Cancelled` if none came before the deadline, which neither grants nor refuses (A2). The default of its
 * `source`, which is recorded, is `user`.
 */
export type Decided = (Decision | { readonly _tag: "Cancelled"; readonly by: "deadline" }) & {
  readonly source?: DecisionSource
}

/** The decider of a session. */
export interface Approvals {
  /**
   * Decides, or never returns and leaves the decision to a client. **Interruption**: as soon as the question is settled
   * otherwise. A decider that dies fails the turn that asked with `CallbackFailed`.
   */
  readonly decide: (question: Question) => Effect.Effect<Decided>
}

/** Leaves every decision to the clients of the session. */
export const askClient: Approvals = { decide: () => Effect.never }

/** Denies everything; for a session that no one attends. */
export const denyAll = (reason: string): Approvals => ({
  decide: () => Effect.succeed({ _tag: "Denied", reason, source: "policy" })
})

/** Approves everything, once each. */
export const approveAll: Approvals = {
  decide: () => Effect.succeed({ _tag: "Approved", scope: "once", source: "policy" })
}

/**
 * The decider of the sessions that are made in this context. The default is {@link askClient}.
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

/** Names the defects of a decider: it dies with `CallbackFailed`. */
export const nameDefects = (self: Approvals): Approvals =>
  self === askClient
    ? askClient
    : {
        decide: (question) =>
          Effect.catchDefect(
            Effect.suspend(() => self.decide(question)),
            (cause) =>
              Effect.die(
                cause instanceof CallbackFailed ? cause : new CallbackFailed({ callback: "Approvals.decide", cause })
              )
          )
      }

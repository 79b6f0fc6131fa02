/**
 * Approvals: decisions about the questions of a session (contract A1 to A4). The session announces and settles a question;
 * this port only decides.
 *
 * `decide` runs concurrently with the clients of the session. The first of these settles the question: its decision, the
 * `Answer` of a client, the deadline, and the end of the asker (for a question of a turn its abort, for one of the session
 * its close). Later ones are too late.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
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

/**
 * Shows in the type that a session has a decider: {@link layer} is the only way to provide it. `Agent.requireDecider`
 * makes an agent that needs it.
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

/**
 * Reports a question that no one seems to answer: it waits for a client, has no deadline, and is still open after some
 * time. Each question is reported at most once.
 */
export const reportUnanswered: {
  (options: UnansweredOptions): (self: Approvals) => Approvals
  (self: Approvals, options: UnansweredOptions): Approvals
} = dual(2, (self: Approvals, { after, report }: UnansweredOptions): Approvals =>
  self === askClient
    ? {
        decide: (question) => Effect.andThen(Effect.sleep(after), Effect.andThen(report(question), Effect.never))
      }
    : self
)

/** When to report a question that no one answers, and to whom. */
export interface UnansweredOptions {
  readonly after: Duration.Input
  readonly report: (question: Question) => Effect.Effect<void>
}

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

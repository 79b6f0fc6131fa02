/** The choices in which a session may follow the reference system instead of the contract. */
import * as Context from "effect/Context"

/** The choices in which this project may differ from the reference system. The defaults follow the contract. */
export interface SessionPolicy {
  /**
   * The fate of the processes of an interrupted turn. `keep` also applies to turns that complete, fail or are replaced.
   */
  readonly processesOnInterrupt: "end" | "keep"
  /**
   * The fate of steered input that still waits when the task returns: one more model request carries it, or it is only
   * recorded.
   */
  readonly leftoverInput: "request" | "record"
  /**
   * The fate of steered input that was not carried when the turn is interrupted: it is returned, or it is dropped. The
   * terminal record names it in both cases. With `drop` a replacement drops it as well.
   */
  readonly steeredOnInterrupt: "return" | "drop"
  /**
   * The aborts after which the history gets the marker: those that contract I5 names, or only an interrupt and the
   * close of the session.
   */
  readonly marker: "contract" | "interrupted-only"
  /** True if turn metrics count aborted turns. */
  readonly abortedTurnMetrics: boolean
}

/** The choices of the contract, which are the default. */
export const contract: SessionPolicy = {
  processesOnInterrupt: "end",
  leftoverInput: "request",
  steeredOnInterrupt: "return",
  marker: "contract",
  abortedTurnMetrics: true
}

/** The choices of the reference system. */
export const reference: SessionPolicy = {
  processesOnInterrupt: "keep",
  leftoverInput: "record",
  steeredOnInterrupt: "drop",
  marker: "interrupted-only",
  abortedTurnMetrics: false
}

/** The choices in force, with {@link contract} as default. */
export const SessionPolicy: Context.Reference<SessionPolicy> = Context.Reference<SessionPolicy>(
  "@spindle/core/SessionPolicy",
  { defaultValue: () => contract }
)

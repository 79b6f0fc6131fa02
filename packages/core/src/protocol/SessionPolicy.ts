/** The choices in which a session may follow the reference system instead of the contract. */
import * as Context from "effect/Context"

/**
 * The choices in which this project differs from the reference system. The defaults follow the contract.
 */
export interface SessionPolicy {
  /** What happens to the processes of a turn that is interrupted; with `keep`, also of one that completes, fails or is replaced. */
  readonly processesOnInterrupt: "end" | "keep"
  /**
   * What happens to steered input that still waits when the task returns: one more model request, or a record only.
   */
  readonly leftoverInput: "request" | "record"
  /**
   * What an interrupt does to steered input that was not carried: return it by name, or drop it by name, which a
   * replacement then does as well.
   */
  readonly steeredOnInterrupt: "return" | "drop"
  /** When the history gets the marker of contract I5: as it says there, or at an interrupt and at the close of the session. */
  readonly marker: "contract" | "interrupted-only"
  /** Whether aborted turns are counted in turn metrics. */
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

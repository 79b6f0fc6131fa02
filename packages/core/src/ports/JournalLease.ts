/**
 * The port to the lease of a session: at most one holder writes a journal (contract J2).
 *
 * Whoever implements it must let go by itself when its holder dies, and must never hand one session to two holders at a
 * time. Where a host cannot promise that (network file systems, hosts that share a disk but no kernel), the file
 * journal's fence is what is left: the earlier writer is refused at its next write.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SessionId } from "../protocol/Ids.ts"
import type { JournalFailed, SessionBusy } from "../protocol/SessionError.ts"

/** Hands out leases. */
export interface JournalLease {
  /**
   * Takes the lease of a session until the scope closes. **Interruption** leaves nothing taken. **Errors**:
   * `SessionBusy` while another holder has it;
   * `JournalFailed` when the host cannot tell.
   */
  readonly acquire: (sessionId: SessionId) => Effect.Effect<void, SessionBusy | JournalFailed, Scope.Scope>
}

/**
 * The leases in force. By default there are none between processes: a file journal then guards against its own process,
 * and by its fence, which refuses the earlier of two writers at its next write, after the later one has opened. With
 * leases the later one gets `SessionBusy` instead. `@spindle/app/SessionLease` has a layer of leases for Node, held by
 * the kernel of one machine.
 */
export const JournalLease: Context.Reference<JournalLease> = Context.Reference<JournalLease>(
  "@spindle/core/JournalLease",
  { defaultValue: () => ({ acquire: () => Effect.void }) }
)

/**
 * The port to the lease of a session: at most one holder writes a journal (contract J2).
 *
 * An implementation must release a lease when its holder dies, and must never grant one session to two holders at a
 * time. On hosts that cannot promise this (network file systems, hosts that share a disk but no kernel) only the fence
 * of the file journal remains. It refuses the earlier writer at its next write.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SessionId } from "../protocol/Ids.ts"
import type { JournalFailed, SessionBusy } from "../protocol/SessionError.ts"

/** Grants leases. */
export interface JournalLease {
  /**
   * Takes the lease of a session until the scope closes. **Interruption** leaves nothing taken. **Errors**:
   * `SessionBusy` while another holder has it; `JournalFailed` if the host cannot determine the holder.
   */
  readonly acquire: (sessionId: SessionId) => Effect.Effect<void, SessionBusy | JournalFailed, Scope.Scope>
}

/**
 * The leases of the journals in this context. By default there are none between processes. A file journal then refuses
 * a second writer in its own process. Between processes only its fence applies: when a second writer has opened the
 * journal, the first one is refused at its next write. With leases the second writer gets `SessionBusy` instead.
 * `@spindle/app/SessionLease` has a layer of leases for Node, which the kernel of one machine holds.
 */
export const JournalLease: Context.Reference<JournalLease> = Context.Reference<JournalLease>(
  "@spindle/core/JournalLease",
  { defaultValue: () => ({ acquire: () => Effect.void }) }
)

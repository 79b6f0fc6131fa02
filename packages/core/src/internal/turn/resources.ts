/**
 * The resources that turns have started and must end: processes, child sessions, clean-ups of tasks (contract X1, D1,
 * I3).
 */
import * as Effect from "effect/Effect"
import type { ProcessId, TurnId } from "../../protocol/Ids.ts"
import type { AbortReason } from "../../protocol/Outcome.ts"
import type { SessionPolicy } from "../../protocol/SessionPolicy.ts"
import type { KeptProcess } from "../../state/TurnEnd.ts"
import type { OwnedResource } from "../../Turn.ts"
import type { Ledger } from "./ledger.ts"
import { below } from "./turnSpan.ts"

/** A resource that is not known to have ended. */
interface Owned {
  readonly resource: OwnedResource
  readonly turnId: TurnId
  isKept: boolean
  /** True if a hook has started it after the abort of its turn; see `Resources.ownLate`. */
  readonly isLate: boolean
  /** Removes it from the registers of its session and its turn. */
  readonly release: () => void
}

/** Makes the spans of a resource's end descend from the turn that owns it, even if it ends later. */
const withTrace = (ledger: Ledger, resource: OwnedResource): OwnedResource => ({
  ...resource,
  end: (reason) => below(ledger, resource.end(reason))
})

/** The resources of one session. A turn ends its own resources. When the session closes, it ends the rest. */
export class Resources {
  private readonly owned = new Set<Owned>()
  private readonly policy: SessionPolicy
  constructor(policy: SessionPolicy) {
    this.policy = policy
  }

  /** Registers a resource of a turn; see `Turn.own`. Returns a function that reports that the resource has ended. */
  own(ledger: Ledger, resource: OwnedResource): () => void {
    const { origin, slot } = ledger
    const { afterHook, drain, keep = false, kind, name } = resource
    let unregister = () => {}
    const owned: Owned = {
      resource: withTrace(ledger, resource),
      turnId: origin.turnId,
      isKept: keep,
      isLate: false,
      release: () => {
        this.owned.delete(owned)
        unregister()
      }
    }
    this.owned.add(owned)
    const run = (reason: AbortReason) =>
      Effect.suspend(() => {
        owned.isKept = this.survives(owned, slot.reason())
        return owned.isKept ? Effect.void : this.endOwned(owned, reason)
      })
    unregister = slot.onAbort({ kind, name, drain, afterHook, run })
    return owned.release
  }

  /** Registers a resource that a hook starts after the abort of its turn; see `endLate`. */
  ownLate(ledger: Ledger, resource: OwnedResource): () => void {
    const release = () => void this.owned.delete(owned)
    const { turnId } = ledger.origin
    const owned: Owned = { resource: withTrace(ledger, resource), turnId, isKept: false, isLate: true, release }
    this.owned.add(owned)
    return release
  }

  /** Returns whether a resource that a hook has started after the abort of a turn is not known to have ended. */
  hasLate(turnId: TurnId): boolean {
    for (const owned of this.owned) if (owned.isLate && owned.turnId === turnId) return true
    return false
  }

  /** Ends, concurrently, the resources that hooks have started after the abort of a turn. */
  endLate(turnId: TurnId): Effect.Effect<void> {
    return Effect.suspend(() => {
      const late = Array.from(this.owned).filter((owned) => owned.isLate && owned.turnId === turnId)
      return Effect.forEach(late, (owned) => this.endOwned(owned, "Interrupted"), {
        concurrency: "unbounded",
        discard: true
      })
    })
  }

  /** Returns whether a resource outlives its turn. `reason` is that of the abort; undefined if the task returned. */
  private survives({ isKept, resource }: Owned, reason: AbortReason | undefined): boolean {
    if (reason === "Parent" || reason === "Shutdown") return false
    const isBounded = reason === "Deadline" || reason === "Budget"
    return isKept || (resource.kind === "process" && !isBounded && this.policy.processesOnInterrupt === "keep")
  }

  private endOwned({ release, resource }: Owned, reason: AbortReason): Effect.Effect<void> {
    return Effect.andThen(resource.end(reason), Effect.sync(release))
  }

  private find(id: string): Owned | undefined {
    for (const owned of this.owned) if (owned.resource.id === id) return owned
    return undefined
  }

  /** See `Turn.keep`. */
  keep(id: string): boolean {
    const owned = this.find(id)
    if (owned === undefined) return false
    owned.isKept = true
    return true
  }

  /** Ends one resource. Does nothing if it has ended. */
  end(id: string): Effect.Effect<void> {
    const owned = this.find(id)
    return owned === undefined ? Effect.void : this.endOwned(owned, "Interrupted")
  }

  /** Called when a turn has settled. Forgets the resources that only its abort would have ended. */
  leave(turnId: TurnId): void {
    for (const owned of this.owned) {
      if (owned.turnId === turnId && !owned.isKept && owned.resource.drain === undefined) owned.release()
    }
  }

  /** The processes that are not known to have ended. */
  get processes(): ReadonlyArray<KeptProcess> {
    return Array.from(this.owned).flatMap(({ resource: { id, kind, name } }) =>
      kind === "process" ? [{ processId: id as ProcessId, name }] : []
    )
  }

  /** Returns the processes that a turn has started and that outlive it. */
  keptProcesses(turnId: TurnId): ReadonlyArray<KeptProcess> {
    return Array.from(this.owned).flatMap(({ isKept, resource: { id, kind, name }, turnId: of }) =>
      kind === "process" && isKept && of === turnId ? [{ processId: id as ProcessId, name }] : []
    )
  }

  /** Ends the processes that outlive their turns, concurrently. */
  get endKeptProcesses(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const kept = Array.from(this.owned).filter(({ isKept, resource }) => isKept && resource.kind === "process")
      return Effect.forEach(kept, (owned) => this.endOwned(owned, "Interrupted"), {
        concurrency: "unbounded",
        discard: true
      })
    })
  }

  /** True if no resource is left to end. */
  get isEmpty(): boolean {
    return this.owned.size === 0
  }

  /** Ends every resource of the session, concurrently. */
  get endAll(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach(Array.from(this.owned), (owned) => this.endOwned(owned, "Shutdown"), {
        concurrency: "unbounded",
        discard: true
      })
    )
  }
}

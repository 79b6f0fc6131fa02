/**
 * The port to snapshots of a workspace: what an undo restores.
 *
 * An implementation keeps its snapshots outside of the journal, which carries ids only; it bounds each in bytes and in
 * time and says what it left out; it never touches files that the workspace ignores, nor what its user has staged.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** Names a snapshot. */
export const SnapshotId = Schema.String.pipe(Schema.brand("SnapshotId"))
/** @see {@link SnapshotId} */
export type SnapshotId = typeof SnapshotId.Type

/** A snapshot could not be taken, compared or restored. */
export class SnapshotFailed extends Schema.TaggedError<SnapshotFailed>()("SnapshotFailed", {
  operation: Schema.Literals(["take", "compare", "restore"]),
  directory: Schema.String,
  snapshotId: Schema.optionalKey(SnapshotId),
  detail: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message() {
    const which = this.snapshotId === undefined ? "a snapshot" : `snapshot ${this.snapshotId}`
    return `cannot ${this.operation} ${which} of ${this.directory}: ${this.detail}`
  }
}

/** What was taken. Paths are relative to the directory. */
export interface Snapshot {
  readonly snapshotId: SnapshotId
  readonly directory: string
  /** What is not in it, and why: too large, too many, gone while it was read. */
  readonly skipped: ReadonlyArray<{ readonly path: string; readonly reason: string }>
}

/** One thing that restoring would do to a file. */
export interface Change {
  readonly path: string
  readonly change: "restore" | "replace" | "remove"
}

/** Snapshots of the workspace. */
export interface Snapshots {
  /**
   * Takes a snapshot of a directory; none where the host keeps none there. **Interruption** leaves no snapshot.
   * **Errors**: `SnapshotFailed`.
   */
  readonly take: (directory: string) => Effect.Effect<Option.Option<Snapshot>, SnapshotFailed>
  /** What `restore` would change now, for a person to see first. **Errors**: `SnapshotFailed`. */
  readonly changes: (snapshot: Snapshot) => Effect.Effect<ReadonlyArray<Change>, SnapshotFailed>
  /**
   * Makes these changes, which `changes` named, and no others. **Interruption**: not interruptible once it writes.
   * **Errors**: `SnapshotFailed`, also when a file has changed since; then nothing was written.
   */
  readonly restore: (snapshot: Snapshot, changes: ReadonlyArray<Change>) => Effect.Effect<void, SnapshotFailed>
}

/** The service key of {@link Snapshots}. */
export const Snapshots: Context.Service<Snapshots, Snapshots> = Context.Service("@spindle/core/Snapshots")

/** A host that keeps no snapshots. */
export const layerNone: Layer.Layer<Snapshots> = Layer.sync(Snapshots, () => {
  const refuse = (operation: "compare" | "restore", { directory, snapshotId }: Snapshot) =>
    new SnapshotFailed({ operation, directory, snapshotId, detail: "this host keeps no snapshots" })
  return {
    take: () => Effect.succeed(Option.none()),
    changes: (snapshot) => Effect.fail(refuse("compare", snapshot)),
    restore: (snapshot) => Effect.fail(refuse("restore", snapshot))
  }
})

import { assert, describe, it } from "@effect/vitest"
import * as Snapshots from "@spindle/core/Snapshots"
import { Effect, Option } from "effect"

describe("Snapshots.layerNone", () => {
  it.effect("takes nothing, and says by name what it cannot compare or restore", () =>
    Effect.gen(function* () {
      const snapshots = yield* Snapshots.Snapshots
      assert.isTrue(Option.isNone(yield* snapshots.take("/work")))
      const snapshot = { snapshotId: "1" as Snapshots.SnapshotId, directory: "/work", skipped: [] }
      const compared = yield* Effect.flip(snapshots.changes(snapshot))
      assert.strictEqual(compared.message, "cannot compare snapshot 1 of /work: this host keeps no snapshots")
      const restored = yield* Effect.flip(snapshots.restore(snapshot, []))
      assert.deepStrictEqual([restored.operation, restored.snapshotId], ["restore", snapshot.snapshotId])
    }).pipe(Effect.provide(Snapshots.layerNone))
  )
})

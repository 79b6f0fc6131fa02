/**
 * Snapshots of the files around the turns of a session: one before the first tool call of a turn that may change
 * something, and one after the turn. With both, the undo task takes back the changes of the turn.
 *
 * ```
 * TurnStarted ─► reading calls ─► first mutating call waits ─► SnapshotTaken ─► calls run ─► TurnCompleted ─► after
 * ```
 *
 * A turn without such a call takes no snapshot. A turn whose snapshot fails cannot be undone, but is otherwise
 * unaffected. A delegate uses the snapshot of the turn that started it, and takes its own once that turn has ended.
 */
import type { SessionId, TurnId } from "@spindle/core/Ids"
import { Journal } from "@spindle/core/Journal"
import type { MutationGate } from "@spindle/core/MutationGate"
import * as NoteKind from "@spindle/core/NoteKind"
import type { SessionObserver } from "@spindle/core/SessionObserver"
import type { Turn } from "@spindle/core/Turn"
import type { GitFailed } from "@spindle/tools/Git"
import { type Change, describeLeftOut, type SnapshotFailed, Snapshots } from "@spindle/tools/Snapshots"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type * as Scope from "effect/Scope"

/** A snapshot was taken before the first mutating call of a turn. */
export const SnapshotTaken = NoteKind.make("snapshot.taken", {
  data: Schema.Struct({ snapshotId: Schema.String, leftOut: Schema.Finite })
})

/** The time after which a warning reports that a snapshot is slow. */
const warnAfter = "240 seconds"

/** The time that the end of a session waits for the snapshots of its last turns. */
const endLimit = "60 seconds"

/** The parts that a session needs so that its turns take snapshots. */
export interface TurnSnapshots {
  readonly gate: MutationGate
  readonly observer: SessionObserver
}

/** The state that the gates of one session share. */
interface Shared {
  readonly cwd: string
  readonly snapshots: Snapshots
  /** The gates of the turns that run. */
  readonly gates: Map<TurnId, TurnGate>
  /** Runs an effect that outlives its turn. */
  readonly run: (effect: Effect.Effect<unknown>) => void
  /** Removes the snapshots of sessions that no longer exist, once. */
  readonly collect: Effect.Effect<void>
  /** The last warning: about files that are left out, or about missing snapshots. */
  warned: string | undefined
}

/** Makes the snapshots of the turns of a session. Closing the scope waits for the last ones. */
export const make = Effect.fnUntraced(function* (
  cwd: string
): Effect.fn.Return<TurnSnapshots, never, Snapshots | Journal | Scope.Scope> {
  const journal = yield* Journal
  const snapshots = yield* Snapshots
  const fibers = yield* FiberSet.make()
  const run = yield* FiberSet.runtime(fibers)()
  const shared: Shared = {
    cwd,
    snapshots,
    gates: new Map(),
    run: (effect) => void run(effect),
    collect: yield* Effect.cached(collect(journal, snapshots)),
    warned: undefined
  }
  yield* Effect.addFinalizer(() => Effect.timeoutOption(FiberSet.awaitEmpty(fibers), endLimit))
  return {
    gate: { forTurn: (turn) => new TurnGate(shared, turn, undefined), pass: Effect.void },
    observer: {
      onEvent: (_, event) => {
        if (event._tag !== "TurnCompleted" && event._tag !== "TurnFailed" && event._tag !== "TurnAborted") return
        shared.gates.get(event.turnId)?.end()
      }
    }
  }
})

class TurnGate implements MutationGate {
  private taking: Fiber.Fiber<Change | undefined> | undefined
  private hasEnded = false
  private readonly shared: Shared
  private readonly turn: Turn
  private readonly above: TurnGate | undefined
  constructor(shared: Shared, turn: Turn, above: TurnGate | undefined) {
    this.shared = shared
    this.turn = turn
    this.above = above
    shared.gates.set(turn.turnId, this)
  }

  readonly forTurn = (turn: Turn): MutationGate => new TurnGate(this.shared, turn, this)

  readonly pass: Effect.Effect<void> = Effect.suspend(() => {
    const { above } = this
    return above === undefined || above.hasEnded ? this.passOwn : above.pass
  })

  // one snapshot for concurrent calls
  private readonly begin = Semaphore.makeUnsafe(1).withPermits(1)(
    Effect.suspend(() =>
      // mutant one-snapshot-a-turn (S12: concurrent calls of a turn take one snapshot): false
      this.taking !== undefined
        ? Effect.void
        : Effect.flatMap(this.turn.session.scope, (scope) =>
            Effect.uninterruptible(
              Effect.map(Effect.forkIn(this.take, scope), (fiber) => {
                this.taking = fiber
              })
            )
          )
    )
  )

  // mutant calls-wait-for-the-snapshot (S12: a call that changes something waits for the snapshot of its turn):
  //   replace: private readonly passOwn = this.begin
  private readonly passOwn = Effect.andThen(
    this.begin,
    Effect.suspend(() => Effect.asVoid(Fiber.await(this.taking!)))
  )

  /** Takes the snapshot, in a fiber that no call can interrupt. */
  private readonly take = Effect.gen({ self: this }, function* () {
    const { shared, turn } = this
    const slow = Effect.andThen(
      Effect.sleep(warnAfter),
      turn.warn("the snapshot before the first change takes long; tools wait for it")
    )
    yield* Effect.forkScoped(slow)
    const change = yield* shared.snapshots.begin(turn.sessionId, shared.cwd)
    shared.run(shared.collect)
    const leftOut = describeLeftOut(change.before)
    if (leftOut !== undefined && leftOut !== shared.warned) yield* turn.warn(leftOut)
    shared.warned = leftOut
    yield* turn.note(SnapshotTaken, { snapshotId: change.id, leftOut: change.before.leftOut.length })
    return change
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.as(this.report(error), undefined))
  )

  private report(error: GitFailed | SnapshotFailed): Effect.Effect<void> {
    if (error._tag === "GitFailed" && error.problem !== "Failed") {
      return Effect.logDebug(`no snapshots are taken: ${error.message}`)
    }
    const message = `this turn cannot be undone: ${error.message}`
    if (this.shared.warned === message) return Effect.void
    this.shared.warned = message
    return this.turn.warn(message)
  }

  /** Takes the snapshot after the turn, once the turn has ended. */
  end(): void {
    this.hasEnded = true
    const { shared, taking, turn } = this
    shared.gates.delete(turn.turnId)
    if (taking === undefined) return
    // an incomplete snapshot would not show the files as they were before the turn
    // mutant no-snapshot-after-its-turn (S12: a snapshot that its turn does not wait for is not taken): drop
    taking.interruptUnsafe()
    shared.run(
      Effect.flatMap(Fiber.await(taking), (exit) => {
        if (exit._tag === "Failure" || exit.value === undefined) return Effect.void
        return Effect.catch(shared.snapshots.complete(turn.sessionId, exit.value.id), (error) =>
          Effect.logWarning(`cannot record the changes of the turn ${turn.turnId} for an undo: ${error.message}`)
        )
      })
    )
  }
}

const collect = (journal: Journal, snapshots: Snapshots): Effect.Effect<void> =>
  Effect.gen(function* () {
    const entries = [...(yield* journal.list), ...(yield* journal.archived)]
    const known = new Set<string>(entries.map(({ sessionId }) => sessionId))
    yield* snapshots.collect((owner) => known.has(owner))
  }).pipe(Effect.catch((error) => Effect.logWarning(`old snapshots could not be removed: ${error.message}`)))

/** Finishes or reverts an undo that a crash has cut, and returns the text about it for the model. */
export const recover = (sessionId: SessionId): Effect.Effect<string | undefined, never, Snapshots> =>
  Effect.gen(function* () {
    const snapshots = yield* Snapshots
    const recovered = yield* snapshots.recover(sessionId)
    if (recovered === undefined) return undefined
    const left = recovered.untouched.length === 0 ? "" : ` Left as they are: ${recovered.untouched.join(", ")}.`
    return recovered.result === "rolledBack"
      ? undefined
      : `An undo that was cut by a crash has been finished. Restored: ${recovered.paths.join(", ")}.${left}`
  }).pipe(
    Effect.catch((error) =>
      Effect.as(Effect.logWarning(`an undo that a crash has cut could not be finished: ${error.message}`), undefined)
    )
  )

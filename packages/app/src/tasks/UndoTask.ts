/**
 * The undo task: reverts the changes of the last turns to files, and informs the model.
 *
 * ```
 * restored   TurnStarted  UndoStarted  UndoCompleted(restored)   UserMessage  TurnCompleted
 * dry run    TurnStarted  UndoStarted  UndoCompleted(dryRun)                  TurnCompleted
 * conflict   TurnStarted  UndoStarted  UndoCompleted(refused)                 TurnFailed
 * no plan    TurnStarted               UndoCompleted(failed)                  TurnFailed
 * aborted    TurnStarted  UndoStarted  UndoCompleted(cancelled)               TurnAborted
 * too late   TurnStarted  UndoStarted  UndoCompleted(restored)   UserMessage  TurnAborted
 * crashed    TurnStarted  UndoStarted                                         TurnAborted, by the next start
 * ```
 *
 * An abort before the first file is moved leaves every file as it was. A later abort is too late: its hook waits for
 * the end and reports it. After a crash, `TurnSnapshots.recover` finishes an undo that had started.
 */
import * as Input from "@spindle/core/Input"
import * as Local from "@spindle/core/Local"
import * as NoteKind from "@spindle/core/NoteKind"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import { Turn } from "@spindle/core/Turn"
import type { GitFailed } from "@spindle/tools/Git"
import {
  type Change,
  type NothingToUndo,
  type Plan,
  type SnapshotFailed,
  Snapshots,
  type UndoConflict
} from "@spindle/tools/Snapshots"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"

/** The parameters of an undo. */
export const Params = Schema.Struct({
  /** The number of turns to revert. Default: 1. */
  turns: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  /** Reverts the last undo instead. */
  redo: Schema.optionalKey(Schema.Boolean),
  /** Reports the changes of an undo without making them. */
  dryRun: Schema.optionalKey(Schema.Boolean),
  /** Restores files even if they were changed since. */
  force: Schema.optionalKey(Schema.Boolean)
})
/** @see {@link Params} */
export type Params = typeof Params.Type

const PathProblem = Schema.Struct({ path: Schema.String, detail: Schema.String })

/** An undo starts. The note lists the changes that it is about to make. */
export const UndoStarted = NoteKind.make("undo.started", {
  data: Schema.Struct({
    dryRun: Schema.Boolean,
    paths: Schema.Array(
      Schema.Struct({ path: Schema.String, kind: Schema.Literals(["replaced", "removed", "created"]) })
    ),
    conflicts: Schema.Array(PathProblem),
    untouched: Schema.Array(PathProblem)
  }),
  message: ({ conflicts, dryRun, paths, untouched }) =>
    [
      `${dryRun ? "an undo would change" : "undo"} ${countOf(paths.length)}`,
      ...paths.map(({ kind, path }) => `  ${signs[kind]} ${nameOf(path)}`),
      ...conflicts.map(({ detail, path }) => `  conflict: ${nameOf(path)} ${detail}`),
      ...untouched.map(({ detail, path }) => `  not restored: ${nameOf(path)} ${detail}`)
    ].join("\n")
})

/** Returns a path as one line. A path with a line break is quoted, so that it cannot look like two. */
const nameOf = (path: string): string => (/[\r\n]/.test(path) ? JSON.stringify(path) : path)

const signs = { replaced: "M", removed: "D", created: "A" } as const

const countOf = (count: number): string => (count === 1 ? "1 file" : `${count} files`)

/** An undo has ended. */
export const UndoCompleted = NoteKind.make("undo.completed", {
  data: Schema.Struct({
    result: Schema.Literals(["restored", "dryRun", "refused", "failed", "cancelled"]),
    message: Schema.String,
    /** The change that the undo made. Reverting it is the redo. */
    snapshotId: Schema.optionalKey(Schema.String)
  }),
  message: ({ message }) => message
})

/** The name of the fragment that informs the model about an undo. */
export const fragment = "undo"

/** The errors of an undo. */
export type UndoFailed = GitFailed | SnapshotFailed | NothingToUndo | UndoConflict

/** The longest that an abort waits for files that are being moved. */
const abortLimit = "30 seconds"

/** An undo between its two notes. */
interface Running {
  readonly plan: Plan
  /** Waits for the end of the restoration; undefined until it has begun. */
  exit: Effect.Effect<Exit.Exit<Change, UndoFailed>> | undefined
}

/** The kind of undo tasks. They revert the last changes of their session. */
export const kind: TaskKind.TaskKind<Snapshots> = TaskKind.make("undo", {
  params: Params,
  task: (params) =>
    Task.make("undo", run(params), {
      abortHookLimit: abortLimit,
      // mutant undo-ended-by-its-hook (S12: an undo that an abort stops reports its end): drop
      abortHook: (turn) =>
        Effect.gen(function* () {
          const { running } = Local.get(undo, turn)
          if (running === undefined) return
          // mutant undo-waits-for-its-end (S12: an abort that comes too late waits for the end of the undo):
          //   replace: yield* report(turn, running.plan, cancelled)
          yield* report(turn, running.plan, running.exit === undefined ? cancelled : yield* running.exit)
        })
    })
})

/** The undo of a turn, between its two notes. */
const undo = Local.make((): { running: Running | undefined } => ({ running: undefined }))

const cancelled: Exit.Exit<Change, UndoFailed> = Exit.interrupt()

const run = Effect.fnUntraced(function* (params: Params) {
  const { dryRun = false, force = false, redo = false, turns = 1 } = params
  const turn = yield* Turn
  const snapshots = yield* Snapshots
  const planned = snapshots.plan(turn.sessionId, redo ? { redo: true } : { count: turns })
  const plan = yield* Effect.tapError(planned, (error) =>
    turn.note(UndoCompleted, { result: "failed", message: `nothing was undone: ${error.message}` })
  )
  const { conflicts, paths, untouched } = plan
  const state = Local.get(undo, turn)
  const running: Running = { plan, exit: undefined }
  // whatever interrupts the task between the two notes, the abort hook writes the second one
  yield* Effect.uninterruptible(
    Effect.suspend(() => {
      state.running = running
      return turn.note(UndoStarted, { dryRun, paths, conflicts, untouched })
    })
  )
  const conclude = <A>(effect: Effect.Effect<A>) =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        // mutant undo-ended-once (S12: an undo reports its end once): drop
        state.running = undefined
        return effect
      })
    )
  if (dryRun) {
    const message = "nothing was changed"
    yield* conclude(turn.note(UndoCompleted, { result: "dryRun", message }))
    return message
  }
  yield* turn.flush
  // forked in the scope of the session, because an abort that is too late must not cut it
  const scope = yield* turn.session.scope
  // the exit of the fiber says only that it was interrupted, even if it ended its work
  let restored: Exit.Exit<Change, UndoFailed> = cancelled
  const restore = Effect.map(Effect.exit(snapshots.restore(turn.sessionId, plan, { force })), (ended) => {
    restored = ended
  })
  // mutant undo-outlives-its-task (S12: files that are being moved are moved to the end, whatever cuts the task):
  //   replace: `Effect.forkIn(Effect.uninterruptible(restore), scope,` => `Effect.forkChild(Effect.interruptible(restore),`
  const fiber = yield* Effect.uninterruptible(
    // It starts at once, so that an interruption finds it in its uninterruptible region. In a session that has closed
    // it does not start at all.
    Effect.map(Effect.forkIn(Effect.uninterruptible(restore), scope, { startImmediately: true }), (restoring) => {
      running.exit = Effect.map(Fiber.await(restoring), () => restored)
      return restoring
    })
  )
  const exit = yield* Effect.onInterrupt(running.exit!, () => Effect.sync(() => fiber.interruptUnsafe()))
  const message = yield* conclude(report(turn, plan, exit))
  return exit._tag === "Failure" ? yield* Effect.failCause(exit.cause) : message
})

/** Records the end of the undo, and informs the model if files have changed. */
const report = Effect.fnUntraced(function* (turn: Turn, plan: Plan, exit: Exit.Exit<Change, UndoFailed>) {
  if (exit._tag === "Failure") {
    const message = Cause.hasInterruptsOnly(exit.cause)
      ? "the undo was cancelled; no file was changed"
      : (Cause.squash(exit.cause) as Error).message
    const result = Cause.hasInterruptsOnly(exit.cause) ? "cancelled" : refusalOf(exit.cause)
    yield* turn.note(UndoCompleted, { result, message })
    return message
  }
  const isRedo = plan.changes.some((change) => change.takesBack.length > 0)
  const message = `${isRedo ? "took the undo back" : "undid the last changes"}: ${countOf(plan.paths.length)}`
  yield* turn.note(UndoCompleted, { result: "restored", message, snapshotId: exit.value.id })
  yield* turn.record({ _tag: "UserMessage", fragment, content: Input.text(tellModel(plan, isRedo)) })
  return message
})

const refusalOf = (cause: Cause.Cause<UndoFailed>): "refused" | "failed" => {
  const error = Cause.squash(cause) as { readonly _tag?: string }
  return error._tag === "UndoConflict" ? "refused" : "failed"
}

/** The most paths that the text for the model names. */
const toldPaths = 50

const tellModel = ({ changes, paths }: Plan, isRedo: boolean): string => {
  const what = isRedo
    ? "The user took back an undo. The files are again as your changes left them."
    : `The user undid the file changes of your last ${changes.length === 1 ? "turn" : `${changes.length} turns`}.`
  const list = paths.slice(0, toldPaths).map(({ kind, path }) => `${signs[kind]} ${nameOf(path)}`)
  const more = paths.length > toldPaths ? [`and ${paths.length - toldPaths} more`] : []
  return [
    `<${fragment}>`,
    `${what} Read a file again before you rely on what it contains. (M: content restored, A: exists again, D: removed)`,
    ...list,
    ...more,
    `</${fragment}>`
  ].join("\n")
}

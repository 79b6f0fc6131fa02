/**
 * The review task: a one-shot delegate reviews changes, and its findings are recorded.
 *
 * ```
 * found      TurnStarted  ReviewEntered  DelegateStarted  [ReviewProgress]  DelegateEnded
 *                         UserMessage  ReviewExited(output)  AssistantMessage  TurnCompleted
 * failed     TurnStarted  ReviewEntered  DelegateStarted  DelegateEnded
 *                         UserMessage  ReviewExited  AssistantMessage  TurnFailed
 * no target  TurnStarted  TurnFailed
 * aborted    TurnStarted  ReviewEntered  DelegateStarted  DelegateEnded
 *                         UserMessage  ReviewExited  AssistantMessage  TurnAborted
 * crashed    TurnStarted  ReviewEntered  DelegateStarted  TurnAborted, by the next start
 * ```
 *
 * A message of the delegate is held until the next one arrives: the last one is the result, and is not shown in its raw
 * form. The turn has no last message; `outputOf` reads the findings from its notes.
 */
import { Fragments } from "@spindle/core/Fragments"
import * as Input from "@spindle/core/Input"
import type { Journal } from "@spindle/core/Journal"
import * as Local from "@spindle/core/Local"
import type { Model } from "@spindle/core/Model"
import * as NoteKind from "@spindle/core/NoteKind"
import type { SessionEvent, TaskNote } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import { Turn } from "@spindle/core/Turn"
import { CurrentTurnContext } from "@spindle/core/TurnContext"
import * as Delegate from "@spindle/delegate/Delegate"
import * as Git from "@spindle/tools/Git"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { agentOf } from "./reviewAgent.ts"
import { differences, toReviewing } from "./reviewContext.ts"
import { parse, render, reviewer, ReviewOutput } from "./reviewOutput.ts"
import { hintOf, promptOf, ReviewTarget } from "./reviewTarget.ts"

export { Finding, parse, render, ReviewOutput } from "./reviewOutput.ts"
export { NoCommonCommit, NothingToReview, ReviewTarget } from "./reviewTarget.ts"

/** The parameters of a review. */
export const Params = Schema.Struct({ target: ReviewTarget })

/**
 * A review has begun. `hint` describes its target to a person. `differences` names the fields of the turn context that
 * are different for the reviewer, whose journal has its context.
 */
export const ReviewEntered = NoteKind.make("review.entered", {
  data: Schema.Struct({
    target: ReviewTarget,
    hint: Schema.String,
    differences: Schema.optionalKey(Schema.Array(Schema.String))
  }),
  message: ({ hint }) => `reviewing ${hint}`
})

/** A message of the delegate of a review, other than its result. */
export const ReviewProgress = NoteKind.make("review.progress", {
  data: Schema.Struct({ message: Schema.String }),
  message: ({ message }) => message
})

/** A review has ended. Without an output it failed or was interrupted. */
export const ReviewExited = NoteKind.make("review.exited", {
  data: Schema.Struct({ output: Schema.optionalKey(ReviewOutput) })
})

/** The name of the fragment with the findings of a review, for the model. */
export const fragment = "review"

/** The limit of a review. */
const deadline = "30 minutes"

/** The longest that an abort waits until the exit is recorded. */
const abortLimit = "5 seconds"

/** The repository to review. */
export interface Options {
  readonly cwd: string
}

/** Makes the kind of review tasks for a working directory. */
export const kind = ({ cwd }: Options): TaskKind.TaskKind<Git.Git | Model | Journal> =>
  TaskKind.make("review", {
    params: Params,
    task: ({ target }) =>
      Task.make("review", run(cwd, target), {
        lastMessage: () => null,
        abortHookLimit: abortLimit,
        // mutant review-left-by-its-hook (S12: a review that an abort stops has left before the end of its turn): drop
        abortHook: (turn) => exit(turn, undefined)
      })
  })

/** The review of a turn. It is open from its entry to its exit. */
const review = Local.make(() => ({ isOpen: false }))

const run = Effect.fnUntraced(function* (cwd: string, target: ReviewTarget) {
  const turn = yield* Turn
  const prompt = yield* promptOf(cwd, target)
  const agent = yield* agentOf((yield* Git.repositoryOf(cwd)).top)
  const current = (yield* CurrentTurnContext)?.()
  const context = current && toReviewing(current)
  const compared = current && context && { differences: differences(current, context) }
  yield* Effect.uninterruptible(
    Effect.suspend(() => {
      Local.get(review, turn).isOpen = true
      return turn.note(ReviewEntered, { target, hint: hintOf(target), ...compared })
    })
  )
  // bounded by the messages of one delegate; its observer cannot wait
  const heldBack = new HeldBack(yield* Queue.unbounded<string>())
  const report = (message: string) => turn.note(ReviewProgress, { message })
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(heldBack.superseded), report)))
  const answer = yield* Delegate.runOnce({
    agent,
    deadline,
    source: reviewer,
    input: Input.text(prompt),
    // the reviewer starts no agents
    limits: { depth: 0 },
    onEvent: heldBack.onEvent
  }).pipe(
    // the instructions of the project are for agents that change it
    Effect.provideService(Fragments, undefined),
    Effect.provideService(CurrentTurnContext, context && (() => context)),
    Effect.tapError(() => exit(turn, undefined))
  )
  yield* Effect.forEach(yield* Queue.clear(heldBack.superseded), report, { discard: true })
  const output = parse(answer ?? "")
  yield* exit(turn, output)
  return output
})

/** The messages of the delegate. Each is released when the next one has arrived. */
class HeldBack {
  private last: string | undefined
  readonly superseded: Queue.Queue<string>
  constructor(superseded: Queue.Queue<string>) {
    this.superseded = superseded
  }

  readonly onEvent = (event: SessionEvent): void => {
    if (event._tag !== "ItemRecorded" || event.item._tag !== "AssistantMessage") return
    if (this.last !== undefined) Queue.offerUnsafe(this.superseded, this.last)
    this.last = event.item.text
  }
}

/** Records the end of a review, once. */
const exit = (turn: Turn, output: ReviewOutput | undefined): Effect.Effect<void> =>
  Effect.uninterruptible(
    Effect.suspend(() => {
      const state = Local.get(review, turn)
      // mutant review-left-once (S12: a review is left once, and only if it was entered): drop
      if (!state.isOpen) return Effect.void
      state.isOpen = false
      return Effect.gen(function* () {
        const text = output === undefined ? undefined : render(output)
        yield* turn.record({ _tag: "UserMessage", fragment, content: Input.text(tellModel(text)) })
        yield* turn.note(ReviewExited, output === undefined ? {} : { output })
        yield* turn.say(text ?? "The review did not come to an end.")
      })
    })
  )

const tellModel = (text: string | undefined): string =>
  text === undefined
    ? `<${fragment}>\nThe user started a review, which did not come to an end. Ask before you start it again.\n</${fragment}>`
    : `<${fragment}>\nThe user had changes reviewed. The reviewer found:\n\n${text}\n</${fragment}>`

/** Returns the findings of a review, from the notes of its turn; undefined if the review did not complete. */
export const outputOf = (notes: ReadonlyArray<TaskNote>): ReviewOutput | undefined => {
  for (const note of notes.toReversed()) {
    const exited = ReviewExited.decode(note)
    if (Option.isSome(exited)) return exited.value.output
  }
  return undefined
}

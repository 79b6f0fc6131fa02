/**
 * A delegate: a child session that a running task starts.
 *
 * A *linked* delegate ends with the turn that started it, for whatever reason the turn ends. A *detached* delegate
 * keeps running, has its own deadline, and sends a notice to the parent's inbox each time that it settles. Both end
 * with the session that started them.
 *
 * A delegate asks its parent about everything that it may not decide itself, and so every session up to the root
 * (contract A3). It never has more authority than its parent (A4). It uses the model, the journal, the hooks and
 * everything else in the context of the caller, unless the caller provides others.
 */
import * as Agent from "@spindle/core/Agent"
import type { Input } from "@spindle/core/Input"
import type { Journal } from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { Turn } from "@spindle/core/Turn"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import { DelegateFailed } from "./DelegateError.ts"
import type { Delegate, DelegateOptions, Interactive, StartError } from "./internal/delegateTypes.ts"
import { launch } from "./internal/launching.ts"
import * as Outputs from "./internal/outputs.ts"
import * as Status from "./Status.ts"

export type { Review } from "./internal/approvals.ts"
export type { Beginning, Delegate, DelegateOptions, Interactive, StartError } from "./internal/delegateTypes.ts"

/**
 * Starts a delegate of the running turn.
 *
 * **Interruption** before it returns leaves nothing. Afterwards the delegate belongs to the turn, or if it is detached,
 * to the session. **Errors**: `DelegateRefused` when a limit of the tree is reached or the turn is stopping, and those
 * of `Session.make`.
 */
export const start = <R>(
  options: DelegateOptions<R>
): Effect.Effect<Interactive, StartError, R | Model | Journal | Turn> =>
  Effect.uninterruptibleMask((restore) => launch({ ...options, isOneShot: false }, restore))

/** The options of a one-shot delegate. */
export interface OneShotOptions<out R, out A = string | undefined> extends Omit<
  DelegateOptions<R>,
  "detached" | "forward" | "wake"
> {
  readonly input: Input
  /** Called with every event of its session, in order, as it is published. */
  readonly onEvent?: ((event: SessionEvent) => void) | undefined
  /** The schema of its answer. Default: the answer is the text of its last message. */
  readonly output?: Schema.Codec<A, unknown> | undefined
}

/**
 * Runs a delegate on one input and returns the text of its last message, or its answer decoded with `output`. The
 * delegate takes no other input and ends after its turn, for whatever reason the turn ends (D5).
 *
 * **Interruption** ends it, within the drain deadline. **Errors**: `DelegateFailed` when its input was rejected, when
 * its turn was stopped or failed, or when its answer cannot be decoded; else as `start`.
 *
 * @example
 * ```ts
 * import { Agent, Input, Task, Turn } from "@spindle/core"
 * import { Delegate } from "@spindle/delegate"
 * import { Effect, Schema } from "effect"
 *
 * const reviewer = Agent.make({ instructions: "Review the change that you are given." })
 *
 * export const review = Task.make(
 *   "review",
 *   Effect.gen(function* () {
 *     const turn = yield* Turn.Turn
 *     return yield* Delegate.runOnce({
 *       agent: reviewer,
 *       input: Input.text(turn.inputText),
 *       output: Schema.Struct({ verdict: Schema.Literals(["good", "bad"]) }),
 *       deadline: "5 minutes"
 *     })
 *   })
 * )
 * ```
 */
export const runOnce: {
  <R>(
    options: OneShotOptions<R, never> & { readonly output?: never }
  ): Effect.Effect<string | undefined, StartError | DelegateFailed, R | Model | Journal | Turn>
  <R, A>(
    options: OneShotOptions<R, A> & { readonly output: Schema.Codec<A, unknown> }
  ): Effect.Effect<A, StartError | DelegateFailed, R | Model | Journal | Turn>
} = <R, A>(
  options: OneShotOptions<R, A>
): Effect.Effect<A | string | undefined, StartError | DelegateFailed, R | Model | Journal | Turn> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { input, output } = options
      const agent = output === undefined ? options.agent : Agent.withOutput(options.agent, Outputs.formatOf(output))
      const child = yield* launch({ ...options, agent, isOneShot: true }, restore)
      const run = Effect.flatMap(child.submit({ _tag: "UserInput", input }), (receipt) => {
        // mutant one-shot-refused (D5: a one-shot delegate whose input is rejected fails): true
        if (receipt._tag !== "Rejected") return child.settled
        // no turn starts, so waiting for one would never end
        const reason = { _tag: "Refused", rejection: receipt.reason._tag } as const
        return Effect.fail(new DelegateFailed({ path: child.path, delegateId: child.delegateId, reason }))
      })
      const status = yield* Effect.onExit(restore(run), (exit) =>
        // mutant one-shot-ends-with-its-caller (D5: a one-shot delegate ends with the fiber that waits for it):
        //   replace: Exit.isSuccess(exit) ? child.end("Shutdown") : Effect.void
        child.end(Exit.isSuccess(exit) ? "Shutdown" : "Parent")
      ).pipe(Effect.catchTag("DelegateClosed", () => child.outcome))
      return yield* answerOf(child, status, output)
    })
  )

const answerOf = Effect.fnUntraced(function* <A>(
  { delegateId, path }: Delegate,
  status: Status.Status,
  output: Schema.Codec<A, unknown> | undefined
) {
  const about = { path, delegateId }
  const partial = (text: string | undefined) =>
    text === undefined ? {} : { partial: text.slice(0, Status.messageLimit) }
  switch (status._tag) {
    case "Completed": {
      const { message } = status
      if (output === undefined) return message
      return yield* Effect.mapError(
        Outputs.decode(output, message),
        (detail) => new DelegateFailed({ ...about, reason: { _tag: "InvalidAnswer", detail }, ...partial(message) })
      )
    }
    case "Interrupted": {
      const { message, reason } = status
      return yield* new DelegateFailed({ ...about, reason: { _tag: "Aborted", reason }, ...partial(message) })
    }
    case "Errored": {
      const { message: detail, tag } = status.error
      return yield* new DelegateFailed({ ...about, reason: { _tag: "Errored", tag, detail } })
    }
    // it was ended before its turn began
    default:
      return yield* new DelegateFailed({ ...about, reason: { _tag: "Aborted", reason: "Parent" } })
  }
})

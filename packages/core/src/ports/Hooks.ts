/**
 * Hooks: functions of the application that may veto or enrich what a session does (contract P5).
 *
 * Each hook runs in the fiber of the turn: aborting the turn interrupts the hook. Hooks compose with {@link combine}. A
 * hook that fails or dies harms only what it was asked about: a prompt is blocked, a tool call is denied, and the session
 * emits a `Warning`. {@link failOpen} makes it the other way round, and {@link withDeadline} bounds the time of each hook.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import { messageOf } from "../protocol/AgentError.ts"
import type { SessionId, TurnId } from "../protocol/Ids.ts"

/** What a prompt hook decides. The contexts become developer messages, even if the prompt is blocked. */
export interface PromptVerdict {
  readonly block: boolean
  /** Why the prompt is blocked. */
  readonly reason?: string | undefined
  readonly contexts: ReadonlyArray<string>
}

/** What a hook decides before a tool call. */
export interface ToolVerdict {
  readonly deny: boolean
  /** Why the call is denied. */
  readonly reason?: string | undefined
}

/** What a hook decides at the end of a turn: with a text, the turn continues with it as a developer message. */
export interface StopVerdict {
  readonly continueWith?: string | undefined
}

/** A hook that failed: a command that could not run, or a deadline that passed. */
export class HookFailed extends Schema.TaggedError<HookFailed>()("HookFailed", {
  hook: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return this.reason
  }
}

/** The hooks of a session. `E` is how they fail. */
export interface Hooks<out E = never> {
  /** Runs once, at the start of the first turn. The contexts become developer messages. */
  readonly sessionStart: (sessionId: SessionId, source: "new" | "resumed") => Effect.Effect<ReadonlyArray<string>, E>
  /** Runs for each user input, before it is recorded. */
  readonly userPromptSubmit: (turnId: TurnId, text: string) => Effect.Effect<PromptVerdict, E>
  /** Runs for each tool call, before its approval. */
  readonly preToolUse: (turnId: TurnId, tool: string, params: unknown) => Effect.Effect<ToolVerdict, E>
  /** Runs for each tool call that completed, after its result was recorded. */
  readonly postToolUse: (turnId: TurnId, tool: string, output: unknown) => Effect.Effect<void, E>
  /** Runs when the model has nothing left to do. */
  readonly stop: (turnId: TurnId, lastMessage: string | undefined) => Effect.Effect<StopVerdict, E>
}

const goOn: StopVerdict = {}

/** No hooks. */
export const none: Hooks = {
  sessionStart: () => Effect.succeed([]),
  userPromptSubmit: () => Effect.succeed({ block: false, contexts: [] }),
  preToolUse: () => Effect.succeed({ deny: false }),
  postToolUse: () => Effect.void,
  stop: () => Effect.succeed(goOn)
}

/** The hooks of the sessions that are made in this context. The default is {@link none}. */
export const Hooks: Context.Reference<Hooks<HookFailed>> = Context.Reference<Hooks<HookFailed>>("@spindle/core/Hooks", {
  defaultValue: () => none
})

/**
 * Combines two sets of hooks, in order. Associative, with {@link none} as its identity.
 *
 * - The contexts of both are used, the first ones first.
 * - The first block or denial wins, and its reason is used. The second hook is then not asked.
 * - The turn continues with the first text; the second hook is asked when the turn is about to stop again.
 * - The second hook runs after the first. If the first fails, the second does not run.
 */
export const combine: {
  <E2>(second: Hooks<E2>): <E>(first: Hooks<E>) => Hooks<E | E2>
  <E, E2>(first: Hooks<E>, second: Hooks<E2>): Hooks<E | E2>
} = dual(2, <E, E2>(first: Hooks<E>, second: Hooks<E2>): Hooks<E | E2> => ({
  sessionStart: (sessionId, source) =>
    Effect.flatMap(first.sessionStart(sessionId, source), (before) =>
      Effect.map(second.sessionStart(sessionId, source), (after) => [...before, ...after])
    ),
  userPromptSubmit: (turnId, text) =>
    Effect.flatMap(first.userPromptSubmit(turnId, text), (before) =>
      before.block
        ? Effect.succeed(before)
        : Effect.map(second.userPromptSubmit(turnId, text), (after) => ({
            ...after,
            contexts: [...before.contexts, ...after.contexts]
          }))
    ),
  preToolUse: (turnId, tool, params) =>
    Effect.flatMap(first.preToolUse(turnId, tool, params), (verdict) =>
      verdict.deny ? Effect.succeed(verdict) : second.preToolUse(turnId, tool, params)
    ),
  postToolUse: (turnId, tool, output) =>
    Effect.andThen(first.postToolUse(turnId, tool, output), () => second.postToolUse(turnId, tool, output)),
  stop: (turnId, lastMessage) =>
    Effect.flatMap(first.stop(turnId, lastMessage), (verdict) =>
      verdict.continueWith === undefined ? second.stop(turnId, lastMessage) : Effect.succeed(verdict)
    )
}))

/** Bounds the time of each hook: one that takes longer is interrupted and fails with `HookFailed`. */
export const withDeadline: {
  (deadline: Duration.Input): <E>(self: Hooks<E>) => Hooks<E | HookFailed>
  <E>(self: Hooks<E>, deadline: Duration.Input): Hooks<E | HookFailed>
} = dual(2, <E>(self: Hooks<E>, deadline: Duration.Input): Hooks<E | HookFailed> => {
  const reason = `it did not return within ${Duration.format(Duration.fromInputUnsafe(deadline))}`
  return mapHooks(self, (hook, effect) =>
    Effect.timeoutOrElse(effect, {
      duration: deadline,
      orElse: () => Effect.fail(new HookFailed({ hook, reason }))
    })
  )
})

/**
 * Lets the session continue as if a hook that fails or dies did not exist: the prompt is not blocked, the call is not
 * denied, the turn stops. The failure is logged as a warning.
 */
export const failOpen = <E>(self: Hooks<E>): Hooks =>
  mapHooks(self, (hook, effect, verdicts) =>
    recover(effect, (reason) => Effect.as(Effect.logWarning(failureOf(hook, reason)), verdicts.open))
  )

/**
 * Turns a hook that fails or dies into a verdict with a reason, and reports it with `warn`: a prompt is blocked, a call is
 * denied, other hooks have no effect. A session runs all its hooks like this, so that no hook can harm later turns.
 */
export const guard = <E>(self: Hooks<E>, warn: (message: string) => Effect.Effect<void>): Hooks =>
  (self as Hooks<unknown>) === none
    ? none
    : mapHooks(self, (hook, effect, verdicts) =>
        recover(effect, (reason) => {
          const message = failureOf(hook, reason)
          return Effect.as(warn(message), verdicts.closed(message))
        })
      )

const failureOf = (hook: keyof Hooks, reason: string): string => `the hook ${hook} failed: ${reason}`

/** The verdicts in place of a hook that fails. */
interface Verdicts<A> {
  readonly open: A
  readonly closed: (reason: string) => A
}

const promptVerdicts: Verdicts<PromptVerdict> = {
  open: { block: false, contexts: [] },
  closed: (reason) => ({ block: true, reason, contexts: [] })
}
const toolVerdicts: Verdicts<ToolVerdict> = { open: { deny: false }, closed: (reason) => ({ deny: true, reason }) }
const noVerdicts = <A>(open: A): Verdicts<A> => ({ open, closed: () => open })
const startVerdicts = noVerdicts<ReadonlyArray<string>>([])
const postVerdicts = noVerdicts<void>(undefined)
const stopVerdicts = noVerdicts(goOn)

type MapHook<E, E2> = <A>(hook: keyof Hooks, effect: Effect.Effect<A, E>, verdicts: Verdicts<A>) => Effect.Effect<A, E2>

const mapHooks = <E, E2>(self: Hooks<E>, map: MapHook<E, E2>): Hooks<E2> => ({
  sessionStart: (...args) =>
    map(
      "sessionStart",
      call(() => self.sessionStart(...args)),
      startVerdicts
    ),
  userPromptSubmit: (...args) =>
    map(
      "userPromptSubmit",
      call(() => self.userPromptSubmit(...args)),
      promptVerdicts
    ),
  preToolUse: (...args) =>
    map(
      "preToolUse",
      call(() => self.preToolUse(...args)),
      toolVerdicts
    ),
  postToolUse: (...args) =>
    map(
      "postToolUse",
      call(() => self.postToolUse(...args)),
      postVerdicts
    ),
  stop: (...args) =>
    map(
      "stop",
      call(() => self.stop(...args)),
      stopVerdicts
    )
})

/** Calls a hook. A function that throws is an effect that dies. */
const call = <A, E>(hook: () => Effect.Effect<A, E>): Effect.Effect<A, E> => {
  try {
    return hook()
  } catch (error) {
    return Effect.die(error)
  }
}

/** Replaces a failure or a defect; an interruption stays one. */
const recover = <A, E>(effect: Effect.Effect<A, E>, orElse: (reason: string) => Effect.Effect<A>): Effect.Effect<A> =>
  Exit.isExit(effect) && effect._tag === "Success"
    ? Effect.succeed(effect.value as A)
    : Effect.catchCause(effect, (cause) =>
        Cause.hasInterrupts(cause)
          ? Effect.failCause(cause as Cause.Cause<never>)
          : orElse(messageOf(Cause.squash(cause)))
      )

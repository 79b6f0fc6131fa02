/**
 * Hooks: functions of the application that may refuse a step of a session or add to it (contract P5).
 *
 * Each hook runs in the fiber of its turn, with the `Turn` in its context: aborting the turn interrupts the hook, and
 * the processes that the hook starts belong to the turn. Hooks compose with {@link combine}. A hook that fails, dies or
 * interrupts itself affects only the step that it was asked about: a prompt is blocked, a tool call is denied, and the
 * session emits a `Warning`. With {@link failOpen} the session continues as if that hook did not exist.
 * {@link withDeadline} bounds the time of each hook, and {@link mapError} changes its errors.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { format } from "effect/Formatter"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { recover } from "./internal/recover.ts"
import { messageOf } from "./protocol/AgentError.ts"
import type { SessionId, TurnId } from "./protocol/Ids.ts"
import type { AbortReason } from "./protocol/Outcome.ts"
import type { Question } from "./protocol/Question.ts"
import type { NewQuestion, Turn } from "./Turn.ts"

/**
 * The verdict at the start of a session. The contexts become developer messages. With `stop`, a reason, the input of
 * the turn is blocked.
 */
export interface StartVerdict {
  readonly contexts: ReadonlyArray<string>
  readonly stop?: string | undefined
}

/** The verdict on a prompt. The contexts become developer messages, even if the prompt is blocked. */
export interface PromptVerdict {
  readonly block: boolean
  /** The reason why the prompt is blocked. */
  readonly reason?: string | undefined
  readonly contexts: ReadonlyArray<string>
}

/** The verdict before a tool call. */
export interface ToolVerdict {
  readonly deny: boolean
  /** The reason why the call is denied. */
  readonly reason?: string | undefined
}

/** The cause of a compaction: a client asked for it (`manual`), or the turn does it by itself (`auto`). */
export type CompactTrigger = "manual" | "auto"

/** The verdict before a compaction. A compaction that is denied fails, and the history stays as it is. */
export interface CompactVerdict {
  readonly deny: boolean
  /** The reason why the compaction is denied. */
  readonly reason?: string | undefined
}

/** The verdict on a call that needs approval. `ask` leaves the decision to the approvals of the session. */
export interface PermissionVerdict {
  readonly decision: "allow" | "deny" | "ask"
  /** The reason why the call is denied. */
  readonly reason?: string | undefined
}

/** The verdict at the end of a turn. With a text, the turn continues with it as a developer message. */
export interface StopVerdict {
  readonly continueWith?: string | undefined
}

/** A turn that is about to stop. */
export interface Stopping {
  readonly lastMessage: string | undefined
  /** The number of times that hooks have continued this turn; see `SessionConfig.stopContinuations`. */
  readonly continuations: number
}

/**
 * A notification for a person: a question waits for an answer, or a turn of a root session is about to complete with
 * this last message.
 */
export type Notification =
  | { readonly _tag: "QuestionWaits"; readonly question: Question }
  | { readonly _tag: "TurnCompletes"; readonly lastMessage: string | undefined }

/** The error of a hook, such as a command that could not run or a deadline that passed. */
export class HookFailed extends Schema.TaggedError<HookFailed>()("HookFailed", {
  hook: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return this.reason
  }
}

/** The hooks of a session. `E` is the type of their errors, `R` that of their requirements. */
export interface Hooks<out E = never, out R = never> {
  /** Runs once, at the start of the first turn. */
  readonly sessionStart: (sessionId: SessionId, source: "new" | "resumed") => Effect.Effect<StartVerdict, E, R>
  /** Runs for each user input, before it is recorded. */
  readonly userPromptSubmit: (turnId: TurnId, text: string) => Effect.Effect<PromptVerdict, E, R>
  /** Runs for each tool call, before its approval. */
  readonly preToolUse: (turnId: TurnId, tool: string, params: unknown) => Effect.Effect<ToolVerdict, E, R>
  /**
   * Runs when a task or a tool of this session needs permission, before a question is opened, and even if the
   * permission was granted before.
   */
  readonly permissionRequest: (turnId: TurnId, question: NewQuestion) => Effect.Effect<PermissionVerdict, E, R>
  /**
   * Runs for each tool call that completed, after its result was recorded. The texts that it returns become developer
   * messages once all calls of the response have ended.
   */
  readonly postToolUse: (turnId: TurnId, tool: string, output: unknown) => Effect.Effect<ReadonlyArray<string>, E, R>
  /** Runs before the history is compacted. */
  readonly preCompact: (turnId: TurnId, trigger: CompactTrigger) => Effect.Effect<CompactVerdict, E, R>
  /** Runs after the history was compacted. */
  readonly postCompact: (turnId: TurnId, trigger: CompactTrigger) => Effect.Effect<void, E, R>
  /** Runs when a turn is about to end because its model has nothing left to do. */
  readonly stop: (turnId: TurnId, stopping: Stopping) => Effect.Effect<StopVerdict, E, R>
  /**
   * Runs when a turn was aborted, once its task has ended or is fenced, for at most `SessionConfig.interruptHookLimit`.
   * Its `Turn` still records, and can start processes only, which end with the hook (contract I2).
   */
  readonly interrupt: (turnId: TurnId, reason: AbortReason) => Effect.Effect<void, E, R>
  /**
   * Runs while a question waits, in the session that asks. The answer interrupts the hook. It does not run for a
   * question that is answered at once, or for one of a session without a turn. It also runs at the end of each turn of
   * a root session that completes, before the terminal record.
   */
  readonly notification: (turnId: TurnId, notification: Notification) => Effect.Effect<void, E, R>
}

/** The verdicts that change nothing. */
const neutral = {
  sessionStart: { contexts: [] },
  userPromptSubmit: { block: false, contexts: [] },
  preToolUse: { deny: false },
  permissionRequest: { decision: "ask" },
  postToolUse: [],
  preCompact: { deny: false },
  postCompact: undefined,
  stop: {},
  interrupt: undefined,
  notification: undefined
} as const satisfies Verdicts

type Verdicts = { readonly [Name in keyof Hooks]: Effect.Success<ReturnType<Hooks[Name]>> }

const texts = Schema.Array(Schema.String)
const reason = Schema.optional(Schema.String)
const denial = Schema.is(Schema.Struct({ deny: Schema.Boolean, reason }))
const isAnything = () => true

/**
 * Checks that a hook returned a verdict. A hook of a program without types may return anything, even a value that no
 * record can carry.
 */
const isVerdict: { readonly [Name in keyof Hooks]: (value: unknown) => boolean } = {
  sessionStart: Schema.is(Schema.Struct({ contexts: texts, stop: reason })),
  userPromptSubmit: Schema.is(Schema.Struct({ block: Schema.Boolean, reason, contexts: texts })),
  preToolUse: denial,
  permissionRequest: Schema.is(Schema.Struct({ decision: Schema.Literals(["allow", "deny", "ask"]), reason })),
  postToolUse: Schema.is(texts),
  preCompact: denial,
  postCompact: isAnything,
  stop: Schema.is(Schema.Struct({ continueWith: reason })),
  interrupt: isAnything,
  notification: isAnything
}

/** No hooks. */
export const none: Hooks = {
  sessionStart: () => Effect.succeed(neutral.sessionStart),
  userPromptSubmit: () => Effect.succeed(neutral.userPromptSubmit),
  preToolUse: () => Effect.succeed(neutral.preToolUse),
  permissionRequest: () => Effect.succeed(neutral.permissionRequest),
  postToolUse: () => Effect.succeed(neutral.postToolUse),
  preCompact: () => Effect.succeed(neutral.preCompact),
  postCompact: () => Effect.void,
  stop: () => Effect.succeed(neutral.stop),
  interrupt: () => Effect.void,
  notification: () => Effect.void
}

/** Returns whether these are {@link none}: a session then runs as if hooks did not exist. */
export const isNone = (self: Hooks<unknown, unknown>): boolean => self === none

/** The hooks of the sessions that are made in this context. The default is {@link none}. */
export const Hooks: Context.Reference<Hooks<HookFailed, Turn>> = Context.Reference<Hooks<HookFailed, Turn>>(
  "@spindle/core/Hooks",
  {
    defaultValue: () => none
  }
)

/**
 * Provides hooks to the sessions that are made with this layer. The layer captures the services that the hooks need,
 * except the turn.
 */
export const layer = <R>(hooks: Hooks<HookFailed, R>): Layer.Layer<never, never, Exclude<R, Turn>> =>
  Layer.effect(
    Hooks,
    Effect.contextWith((context: Context.Context<Exclude<R, Turn>>) =>
      // the turn is the only requirement that may be left
      Effect.succeed(provide(hooks, context) as Hooks<HookFailed, Turn>)
    )
  )

/** Provides a part of the services that hooks need. */
export const provide: {
  <R2>(context: Context.Context<R2>): <E, R>(self: Hooks<E, R>) => Hooks<E, Exclude<R, R2>>
  <E, R, R2>(self: Hooks<E, R>, context: Context.Context<R2>): Hooks<E, Exclude<R, R2>>
} = dual(2, <E, R, R2>(self: Hooks<E, R>, context: Context.Context<R2>): Hooks<E, Exclude<R, R2>> =>
  isNone(self) ? none : mapHooks<E, R, E, Exclude<R, R2>>(self, (_, effect) => Effect.provideContext(effect, context))
)

/**
 * Combines two sets of hooks, in order. Associative, with {@link none} as its identity.
 *
 * - The contexts of both are used, the first ones first.
 * - The first stop, block, denial or permission wins, with its reason. The second hook is then not called.
 * - The turn continues with the text of the first hook. The second hook is called when the turn is about to stop
 *   again.
 * - The second hook runs after the first. If the first fails, the second does not run.
 */
export const combine: {
  <E2, R2>(second: Hooks<E2, R2>): <E, R>(first: Hooks<E, R>) => Hooks<E | E2, R | R2>
  <E, R, E2, R2>(first: Hooks<E, R>, second: Hooks<E2, R2>): Hooks<E | E2, R | R2>
} = dual(2, <E, R, E2, R2>(first: Hooks<E, R>, second: Hooks<E2, R2>): Hooks<E | E2, R | R2> => ({
  sessionStart: (...args) =>
    Effect.flatMap(first.sessionStart(...args), (before) =>
      before.stop !== undefined
        ? Effect.succeed(before)
        : Effect.map(second.sessionStart(...args), (after) => withContexts(before.contexts, after))
    ),
  userPromptSubmit: (...args) =>
    Effect.flatMap(first.userPromptSubmit(...args), (before) =>
      before.block
        ? Effect.succeed(before)
        : Effect.map(second.userPromptSubmit(...args), (after) => withContexts(before.contexts, after))
    ),
  preToolUse: (...args) =>
    Effect.flatMap(first.preToolUse(...args), (verdict) =>
      verdict.deny ? Effect.succeed(verdict) : second.preToolUse(...args)
    ),
  permissionRequest: (...args) =>
    Effect.flatMap(first.permissionRequest(...args), (verdict) =>
      verdict.decision === "ask" ? second.permissionRequest(...args) : Effect.succeed(verdict)
    ),
  postToolUse: (...args) =>
    Effect.flatMap(first.postToolUse(...args), (before) =>
      Effect.map(second.postToolUse(...args), (after) => [...before, ...after])
    ),
  preCompact: (...args) =>
    Effect.flatMap(first.preCompact(...args), (verdict) =>
      verdict.deny ? Effect.succeed(verdict) : second.preCompact(...args)
    ),
  postCompact: (...args) => Effect.andThen(first.postCompact(...args), second.postCompact(...args)),
  stop: (...args) =>
    Effect.flatMap(first.stop(...args), (verdict) =>
      verdict.continueWith === undefined ? second.stop(...args) : Effect.succeed(verdict)
    ),
  interrupt: (...args) => Effect.andThen(first.interrupt(...args), second.interrupt(...args)),
  notification: (...args) => Effect.andThen(first.notification(...args), second.notification(...args))
}))

const withContexts = <A extends { readonly contexts: ReadonlyArray<string> }>(
  before: ReadonlyArray<string>,
  after: A
): A => ({ ...after, contexts: [...before, ...after.contexts] })

/** Bounds the time of each hook. A hook that takes longer is interrupted and fails with `HookFailed`. */
export const withDeadline: {
  (deadline: Duration.Input): <E, R>(self: Hooks<E, R>) => Hooks<E | HookFailed, R>
  <E, R>(self: Hooks<E, R>, deadline: Duration.Input): Hooks<E | HookFailed, R>
} = dual(2, <E, R>(self: Hooks<E, R>, deadline: Duration.Input): Hooks<E | HookFailed, R> => {
  const reason = `it did not return within ${Duration.format(Duration.fromInputUnsafe(deadline))}`
  return mapHooks<E, R, E | HookFailed, R>(self, (hook, effect) =>
    Effect.timeoutOrElse(effect, {
      duration: deadline,
      orElse: () => Effect.fail(new HookFailed({ hook, reason }))
    })
  )
})

/** Changes the errors of hooks, for example to {@link HookFailed}, the error that {@link layer} accepts. */
export const mapError: {
  <E, E2>(f: (error: E, hook: keyof Hooks) => E2): <R>(self: Hooks<E, R>) => Hooks<E2, R>
  <E, R, E2>(self: Hooks<E, R>, f: (error: E, hook: keyof Hooks) => E2): Hooks<E2, R>
} = dual(2, <E, R, E2>(self: Hooks<E, R>, f: (error: E, hook: keyof Hooks) => E2): Hooks<E2, R> =>
  mapHooks<E, R, E2, R>(self, (hook, effect) => Effect.mapError(effect, (error) => f(error, hook)))
)

/**
 * Lets the session continue as if a hook that fails or dies did not exist: the prompt is not blocked, the call is not
 * denied, the turn stops. The failure is logged as a warning.
 */
export const failOpen = <E, R>(self: Hooks<E, R>): Hooks<never, R> =>
  mapHooks<E, R, never, R>(self, (hook, effect) =>
    recoverHook(effect, (reason) => Effect.as(Effect.logWarning(failureOf(hook, reason)), verdictOf(neutral, hook)))
  )

/**
 * Handles hooks that fail, die or return no verdict. The failure is reported with `warn`, and a verdict takes its
 * place: a prompt is blocked, a call or a compaction is denied, and other hooks have no effect. A session guards all
 * its hooks, so that no hook can harm later turns.
 */
export const guard: {
  (warn: (message: string) => Effect.Effect<void>): <E, R>(self: Hooks<E, R>) => Hooks<never, R>
  <E, R>(self: Hooks<E, R>, warn: (message: string) => Effect.Effect<void>): Hooks<never, R>
} = dual(2, <E, R>(self: Hooks<E, R>, warn: (message: string) => Effect.Effect<void>): Hooks<never, R> =>
  isNone(self)
    ? none
    : mapHooks<E, R, never, R>(self, (hook, effect) =>
        recoverHook(dieUnlessVerdict(hook, effect), (reason) => {
          const message = failureOf(hook, reason)
          return Effect.as(warn(message), verdictOf(verdictsOfFailure(message), hook))
        })
      )
)

const failureOf = (hook: keyof Hooks, reason: string): string => `the hook ${hook} failed: ${reason}`

/** Returns the verdicts in place of hooks that fail. */
const verdictsOfFailure = (reason: string): Verdicts => ({
  ...neutral,
  userPromptSubmit: { block: true, reason, contexts: [] },
  preToolUse: { deny: true, reason },
  preCompact: { deny: true, reason }
})

/** Returns the verdict of a hook by its name. */
const verdictOf = <A>(verdicts: Verdicts, hook: keyof Hooks): A => verdicts[hook] as A

type MapHook<E, R, E2, R2> = <A>(hook: keyof Hooks, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E2, R2>

const mapHooks = <E, R, E2, R2>(self: Hooks<E, R>, map: MapHook<E, R, E2, R2>): Hooks<E2, R2> => {
  const mapHook =
    <Args extends ReadonlyArray<unknown>, A>(name: keyof Hooks, hook: (...args: Args) => Effect.Effect<A, E, R>) =>
    (...args: Args) =>
      map(
        name,
        call(() => hook(...args))
      )
  return {
    sessionStart: mapHook("sessionStart", self.sessionStart),
    userPromptSubmit: mapHook("userPromptSubmit", self.userPromptSubmit),
    preToolUse: mapHook("preToolUse", self.preToolUse),
    permissionRequest: mapHook("permissionRequest", self.permissionRequest),
    postToolUse: mapHook("postToolUse", self.postToolUse),
    preCompact: mapHook("preCompact", self.preCompact),
    postCompact: mapHook("postCompact", self.postCompact),
    stop: mapHook("stop", self.stop),
    interrupt: mapHook("interrupt", self.interrupt),
    notification: mapHook("notification", self.notification)
  }
}

/** Calls a hook. If the function throws, the effect dies. */
const call = <A, E, R>(hook: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  try {
    return hook()
  } catch (error) {
    return Effect.die(error)
  }
}

/** Makes an effect die if its hook returns no verdict. */
const dieUnlessVerdict = <A, E, R>(hook: keyof Hooks, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const check = (verdict: A): Effect.Effect<A> =>
    isVerdict[hook](verdict) ? Effect.succeed(verdict) : Effect.die(`it returned ${format(verdict)}`)
  if (Exit.isExit(effect)) return effect._tag === "Success" ? check(effect.value as A) : effect
  return Effect.isEffect(effect) ? Effect.flatMap(effect, check) : Effect.die(`it returned ${format(effect)}`)
}

/** As {@link recover}, with the reason as a text. An effect that has a verdict already stays an exit. */
const recoverHook = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  orElse: (reason: string) => Effect.Effect<A>
): Effect.Effect<A, never, R> =>
  Exit.isExit(effect) && effect._tag === "Success"
    ? Effect.succeed(effect.value as A)
    : recover(effect, (error) => orElse(messageOf(error)))

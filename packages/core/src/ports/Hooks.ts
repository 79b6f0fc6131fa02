/**
 * Hooks: where an application may veto or enrich what a session does (contract P5).
 *
 * Each hook is called in the fiber of the turn, inside its abort: interrupting the turn interrupts the hook. A hook
 * that dies fails its turn.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SessionId, TurnId } from "../protocol/Ids.ts"

/** What a hook on a prompt decides. `contexts` become developer messages, in both cases. */
export interface PromptVerdict {
  readonly block: boolean
  readonly reason?: string
  readonly contexts: ReadonlyArray<string>
}

/** What a hook on a tool call decides before the call. */
export interface ToolVerdict {
  readonly deny: boolean
  readonly reason?: string
}

/** What a hook at the end of a turn decides: a text makes the turn go on with it as a developer message. */
export interface StopVerdict {
  readonly continueWith?: string
}

/** The hooks of a session. */
export interface Hooks {
  /** Once, at the start of the first turn; the contexts become developer messages. */
  readonly sessionStart: (sessionId: SessionId, source: "new" | "resumed") => Effect.Effect<ReadonlyArray<string>>
  /** For each user input, before it is recorded. */
  readonly userPromptSubmit: (turnId: TurnId, text: string) => Effect.Effect<PromptVerdict>
  /** For each tool call, before it is approved. */
  readonly preToolUse: (turnId: TurnId, tool: string, params: unknown) => Effect.Effect<ToolVerdict>
  /** For each tool call that completed, after its result is told. */
  readonly postToolUse: (turnId: TurnId, tool: string, output: unknown) => Effect.Effect<void>
  /** When the model has nothing left to do. */
  readonly stop: (turnId: TurnId, lastMessage: string | undefined) => Effect.Effect<StopVerdict>
}

/** No hooks. */
export const none: Hooks = {
  sessionStart: () => Effect.succeed([]),
  userPromptSubmit: () => Effect.succeed({ block: false, contexts: [] }),
  preToolUse: () => Effect.succeed({ deny: false }),
  postToolUse: () => Effect.void,
  stop: () => Effect.succeed({})
}

/** The hooks in force; by default {@link none}. */
export const Hooks: Context.Reference<Hooks> = Context.Reference<Hooks>("@spindle/core/Hooks", {
  defaultValue: () => none
})

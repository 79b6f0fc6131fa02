/** The parts of a session that do not change during its lifetime. */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type { Hooks } from "../../Hooks.ts"
import type { Approvals } from "../../ports/Approvals.ts"
import type { MakeFragments } from "../../ports/Fragments.ts"
import type { SessionId } from "../../protocol/Ids.ts"
import type { SessionConfig } from "../../protocol/SessionConfig.ts"
import type { SessionPolicy } from "../../protocol/SessionPolicy.ts"
import type { TurnContext } from "../../protocol/TurnContext.ts"
import type { Turn } from "../../Turn.ts"

/** The identity of a session, its settings and the services that it was made with. */
export interface SessionContext {
  readonly sessionId: SessionId
  /** The sessions above this one, from the root to its parent. */
  readonly ancestors: ReadonlyArray<SessionId>
  /** The sessions from the root to this one. */
  readonly path: ReadonlyArray<SessionId>
  readonly source: "new" | "resumed"
  /** The context in which fibers of the session run. */
  readonly context: Context.Context<never>
  readonly clock: Clock.Clock
  readonly config: SessionConfig
  readonly policy: SessionPolicy
  readonly hooks: Hooks<never, Turn>
  readonly fragments: MakeFragments | undefined
  readonly approvals: Approvals
  /** See `TurnContextRule`. */
  readonly contextRule: (change: TurnContext) => string | undefined
  readonly newId: () => string
}

/** Returns the milliseconds of a duration. */
export const millis = (duration: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(duration))

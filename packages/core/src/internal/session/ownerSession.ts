/** The view that turns have of their session. All turns share one object. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Locals } from "../../Local.ts"
import type { SessionId } from "../../protocol/Ids.ts"
import type { NewQuestion, TurnSession } from "../../Turn.ts"
import type { SessionState } from "../../state/SessionState.ts"
import type { Spending } from "../../state/Spending.ts"
import type { Questions } from "../turn/questions.ts"
import type { Lifetime } from "./lifetime.ts"
import type { SessionContext } from "./sessionContext.ts"

/** The options of an owner session. */
export interface OwnerSessionOptions {
  readonly session: SessionContext
  readonly lifetime: Lifetime
  readonly questions: Questions
  readonly stateOf: () => SessionState
  readonly submit: TurnSession["submit"]
}

/** See `TurnSession`. */
export class OwnerSession implements TurnSession {
  readonly sessionId: SessionId
  readonly path: ReadonlyArray<SessionId>
  readonly locals = new Locals()
  readonly spending: Effect.Effect<Spending>
  readonly submit: TurnSession["submit"]
  private readonly questions: Questions
  private readonly lifetime: Lifetime
  private readonly childScope = Scope.makeUnsafe("parallel")
  constructor({ lifetime, questions, session, stateOf, submit }: OwnerSessionOptions) {
    this.sessionId = session.sessionId
    this.path = session.path
    this.spending = Effect.sync(() => stateOf().spending)
    this.submit = submit
    this.questions = questions
    this.lifetime = lifetime
  }

  ask(question: NewQuestion) {
    return this.questions.ask(undefined, question)
  }

  get scope(): Effect.Effect<Scope.Scope> {
    return Effect.suspend(() => (this.lifetime.isClosed ? Effect.interrupt : Effect.succeed(this.childScope)))
  }

  /** True if the session owns something that outlives its turns, such as a delegate. */
  get hasChildren(): boolean {
    return this.childScope.state._tag === "Open"
  }

  /** Closes everything that the session owns and that outlives its turns. */
  get closeChildren(): Effect.Effect<void> {
    return Scope.close(this.childScope, Exit.void)
  }
}

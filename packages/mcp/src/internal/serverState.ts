/** The state of a server, and the wait for it to run. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as McpClient from "effect/ai/McpClient"
import type * as McpSchema from "effect/ai/McpSchema"
import type { McpFailed } from "../McpFailed.ts"
import type { ServerTransport } from "./wire.ts"

/** A server that has started. */
export interface Running {
  readonly client: McpClient.McpClient
  readonly transport: ServerTransport
}

type State =
  | { readonly _tag: "Starting" }
  | { readonly _tag: "Running"; readonly running: Running }
  /** The server is not started again. */
  | { readonly _tag: "Failed"; readonly error: McpFailed }

/** The state of one server. */
export class ServerState {
  /** The tools that the server offers, or that it offered before it ended. */
  tools: ReadonlyArray<McpSchema.Tool> = []
  private current: State = { _tag: "Starting" }
  private changed = Deferred.makeUnsafe<void>()

  get failure(): McpFailed | undefined {
    return this.current._tag === "Failed" ? this.current.error : undefined
  }

  /** Called when the server starts, for the first time or again. */
  start(): void {
    this.become({ _tag: "Starting" })
  }

  run(running: Running, tools: ReadonlyArray<McpSchema.Tool>): void {
    this.tools = tools
    this.become({ _tag: "Running", running })
  }

  fail(error: McpFailed): void {
    this.tools = []
    this.become({ _tag: "Failed", error })
  }

  /** Waits until the server runs. */
  get running(): Effect.Effect<Running, McpFailed> {
    return Effect.suspend(() => {
      const { changed, current } = this
      if (current._tag === "Failed") return Effect.fail(current.error)
      if (current._tag === "Running" && !current.running.transport.isEnded()) return Effect.succeed(current.running)
      return Effect.andThen(Deferred.await(changed), this.running)
    })
  }

  private become(state: State): void {
    const { changed } = this
    this.current = state
    this.changed = Deferred.makeUnsafe<void>()
    Deferred.doneUnsafe(changed, Exit.void)
  }
}

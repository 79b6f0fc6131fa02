/** The call of a tool during which a message is sent. */
import * as Context from "effect/Context"
import type { CallId } from "@spindle/core/Ids"
import type { Turn } from "@spindle/core/Turn"

/** A call in a turn. */
export interface CurrentCall {
  readonly turn: Turn
  readonly callId: CallId
  /** The name of the tool, as the model knows it. */
  readonly tool: string
  /** True if the server receives the headers of the turn. */
  readonly sendsHeaders: boolean
  readonly questions: OpenQuestions
}

/** The questions that a server asks in a call. Its deadline does not run meanwhile. */
export interface OpenQuestions {
  count: number
  /** The time at which the last one was settled, in milliseconds. */
  settledAt: number
}

/** The call of the running fiber; undefined outside a turn. */
export const CurrentCall: Context.Reference<CurrentCall | undefined> = Context.Reference<CurrentCall | undefined>(
  "@spindle/mcp/CurrentCall",
  { defaultValue: () => undefined }
)

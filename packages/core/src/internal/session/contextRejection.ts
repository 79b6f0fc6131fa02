/** Checks the changes of the turn context that come with input. */
import * as Schema from "effect/Schema"
import { CallbackFailed } from "../../protocol/AgentError.ts"
import type { Op, Rejection } from "../../protocol/Op.ts"
import { TurnContext } from "../../protocol/TurnContext.ts"
import type { SessionContext } from "./sessionContext.ts"

/**
 * Returns the rejection of input with a change that the application does not allow; undefined if it allows the change.
 */
export const contextRejectionOf = (rule: SessionContext["contextRule"], op: Op): Rejection | undefined => {
  if (!("context" in op) || op.context === undefined) return undefined
  const decoded = decodeContext(op.context)
  if (decoded._tag === "Failure") return { _tag: "InvalidContext", message: "it is not a context in JSON" }
  const message = refusalOf(rule, decoded.value)
  return message === undefined ? undefined : { _tag: "InvalidContext", message }
}

const decodeContext = Schema.decodeUnknownExit(TurnContext)

/** Returns the reason of the application's rule against a change, or a message if the rule throws. */
const refusalOf = (rule: SessionContext["contextRule"], context: TurnContext): string | undefined => {
  try {
    return rule(context)
  } catch (cause) {
    return new CallbackFailed({ callback: "TurnContextRule", cause }).message
  }
}

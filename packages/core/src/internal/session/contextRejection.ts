/** Checks what an input changes in the context of turns. */
import * as Schema from "effect/Schema"
import { CallbackFailed } from "../../protocol/AgentError.ts"
import type { Op, Rejection } from "../../protocol/Op.ts"
import { TurnContext } from "../../protocol/TurnContext.ts"
import type { SessionContext } from "./sessionContext.ts"

/** Returns why the application does not act on the context of an input; undefined if it does. */
export const contextRejectionOf = (rule: SessionContext["contextRule"], op: Op): Rejection | undefined => {
  if (!("context" in op) || op.context === undefined) return undefined
  const decoded = decodeContext(op.context)
  if (decoded._tag === "Failure") return { _tag: "InvalidContext", message: "it is not a context in JSON" }
  const message = refusalOf(rule, decoded.value)
  return message === undefined ? undefined : { _tag: "InvalidContext", message }
}

const decodeContext = Schema.decodeUnknownExit(TurnContext)

/** What the rule of the application says against a context; if it throws, that it did. */
const refusalOf = (rule: SessionContext["contextRule"], context: TurnContext): string | undefined => {
  try {
    return rule(context)
  } catch (cause) {
    return new CallbackFailed({ callback: "TurnContextRule", cause }).message
  }
}

/** The approval policy of a turn, which decides before a question reaches a person. */
import { type Approvals, denyAll } from "@spindle/core/Approvals"
import { ofTurn } from "@spindle/core/TurnContext"
import * as Effect from "effect/Effect"
import type { Settings } from "../Settings.ts"
import * as TurnContexts from "./TurnContexts.ts"

/** Refuses the questions that the approval policy of the turn does not allow, and passes the others on. */
export const applyPolicy = (settings: Settings, approvals: Approvals): Approvals => ({
  decide: (question) =>
    Effect.flatMap(ofTurn, (context) => {
      const { approvalPolicy } = TurnContexts.settingsIn(settings, context)
      if (approvalPolicy === "never") return refuseAll.decide(question)
      if (typeof approvalPolicy === "string") return approvals.decide(question)
      const isRefused =
        (question.kind === "elicitation" && !approvalPolicy.elicitations) ||
        (question.kind === "permissions" && !approvalPolicy.permissions)
      return (isRefused ? refuseSome : approvals).decide(question)
    })
})

const refuseAll = denyAll("the approval policy is never")
const refuseSome = denyAll("the approval policy is granular and does not allow this question")

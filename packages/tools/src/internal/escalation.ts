/** Makes the second decision about a command, after the sandbox has blocked it. */
import * as Effect from "effect/Effect"
import { CallId } from "@spindle/core/Ids"
import { type Answer, Turn } from "@spindle/core/Turn"
import * as ApprovalPolicy from "../ApprovalPolicy.ts"
import * as CommandApproval from "../CommandApproval.ts"
import type * as NetworkPolicy from "../sandbox/NetworkPolicy.ts"
import * as Permissions from "../sandbox/Permissions.ts"
import * as Grants from "./project/grants.ts"

/**
 * A decision: the command runs again outside the sandbox, it runs again inside with further permissions, the model learns
 * how to ask for more, or the model only learns what happened.
 */
export type Escalation = "retry" | Permissions.Grant | "advise" | "report"

/** Decides about a command that was blocked, and asks a person where the policy says so. */
export const escalate = Effect.fnUntraced(function* (
  options: CommandApproval.Options,
  command: CommandApproval.CommandLine,
  call: { readonly callId: string; readonly tool: string }
): Effect.fn.Return<Escalation, never, Turn> {
  const turn = yield* Turn
  const blocked = { ...command, wasBlocked: true }
  const { permission, source } = CommandApproval.ruling(options, blocked)
  const callId = CallId.make(call.callId)
  if (permission === "allow") {
    yield* turn.recordDecision({ callId, tool: call.tool, permission, source })
    return "retry"
  }
  if (permission === "deny") {
    const outside = CommandApproval.ruling(options, { ...command, isEscalated: true })
    return outside.permission === "deny" ? "report" : "advise"
  }
  const answer = yield* turn.ask({
    ...questionOf(command, call, CommandApproval.explain(options, blocked)),
    keys: CommandApproval.keys({ ...command, isEscalated: true })
  })
  if (answer._tag !== "Approved") return yield* refusalIn(answer)
  if (answer.permissions === undefined) return "retry"
  const given = { asked: Permissions.everything, approved: answer }
  const grant = yield* Grants.take(turn, { callId, tool: call.tool }, given)
  return Permissions.isEmpty(grant) ? "report" : grant
})

/**
 * Asks a person whether a command may reach the hosts that it was denied, where the policy allows the question. Returns those
 * that it may reach. An answer for the turn or the session holds for later commands, too.
 */
export const askForHosts = Effect.fnUntraced(function* (
  options: CommandApproval.Options,
  command: CommandApproval.CommandLine,
  call: { readonly callId: string; readonly tool: string },
  denials: ReadonlyArray<NetworkPolicy.Denial>
): Effect.fn.Return<ReadonlyArray<string>, never, Turn> {
  const unlisted = denials.filter(({ reason }) => reason === "NotListed")
  if (unlisted.length === 0 || !ApprovalPolicy.mayAskForHosts(options.policy)) return []
  const turn = yield* Turn
  const callId = CallId.make(call.callId)
  const asked = { ...Permissions.none, hosts: Array.from(new Set(unlisted.map(({ host }) => host))) }
  const less = Permissions.partsOf(asked)
  const answer = yield* turn.ask({
    ...questionOf(command, call, {
      reason: "it was denied hosts that are not in the list",
      permissions: Permissions.of(asked),
      ...(less.length === 0 ? {} : { less })
    }),
    // a grant is remembered by the sandbox
    keys: []
  })
  if (answer._tag !== "Approved") return yield* Effect.as(refusalIn(answer), [])
  const grant = yield* Grants.take(turn, { callId, tool: call.tool }, { asked, approved: answer })
  return grant.hosts
})

/** Returns the part of the payload of a question that shows a command line. */
export const payloadOf = ({ cwd, line, shell }: CommandApproval.CommandLine) => ({
  command: line,
  cwd,
  ...(shell === undefined ? {} : { shell })
})

const questionOf = (
  command: CommandApproval.CommandLine,
  { callId, tool }: { readonly callId: string; readonly tool: string },
  explanation: object
) => ({
  kind: "command" as const,
  callId: CallId.make(callId),
  tool,
  payload: { ...payloadOf(command), ...explanation }
})

/** A refusal, or the interruption of a call whose question was withdrawn. */
const refusalIn = (answer: Exclude<Answer, { readonly _tag: "Approved" }>): Effect.Effect<"report"> => {
  switch (answer._tag) {
    case "Denied":
    case "Answered":
      return Effect.succeed("report")
    case "Abort":
      return Effect.interrupt
    case "Cancelled":
      return answer.by === "deadline" ? Effect.succeed("report") : Effect.interrupt
  }
}

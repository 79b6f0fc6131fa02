/**
 * Requests of a child that cannot be given an `Approvals` of ours, because it runs in another process: the event that
 * opens one goes up as a question, and its answer goes down as an operation (contract A3). They wait side by side, and
 * beside everything else that the child tells.
 */
import type { ApprovalRequest, Decider } from "@spindle/core/ports/Approvals"
import type { RequestId, SubmissionId } from "@spindle/core/protocol/Ids"
import * as Op from "@spindle/core/protocol/Op"
import type { RequestOpened, SessionEvent } from "@spindle/core/protocol/SessionEvent"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Child } from "./Bridge.ts"

export { askParent } from "./internal/upward.ts"

/**
 * A child whose requests are decided by `decider`, for a bridge. What is still asked when the child settles a request
 * otherwise, and when the scope closes, is withdrawn. A request that nobody answered in time is left to the child, whose
 * deadline it is.
 */
export const route = (child: Child, decider: Decider): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const open = new Map<RequestId, Fiber.Fiber<void>>()
    const answer = (event: typeof RequestOpened.Type) =>
      Effect.flatMap(decider.decide(requestOf(child, event)), (decided) => {
        open.delete(event.requestId)
        if (decided._tag === "Cancelled") return Effect.void
        const submission = { id: `${event.requestId}-answer` as SubmissionId, op: Op.answer(event.requestId, decided) }
        // a child that is gone has settled its requests
        return Effect.ignore(child.submit(submission))
      })
    const note = (event: SessionEvent) => {
      if (event._tag === "RequestOpened") {
        return Effect.map(Effect.forkIn(answer(event), scope), (fiber) => void open.set(event.requestId, fiber))
      }
      if (event._tag === "RequestSettled") {
        open.get(event.requestId)?.interruptUnsafe()
        open.delete(event.requestId)
      }
      return Effect.void
    }
    return { ...child, events: Stream.tap(child.events, note) }
  })

const requestOf = ({ path }: Child, event: typeof RequestOpened.Type): ApprovalRequest => ({
  sessionId: path.at(-1)!,
  turnId: event.turnId,
  requestId: event.requestId,
  callId: event.callId,
  kind: event.kind,
  tool: event.tool,
  payload: event.payload,
  // a child that knows nothing of its ancestors begins with itself
  path: event.path[0] === path[0] ? event.path : [...path.slice(0, -1), ...event.path]
})

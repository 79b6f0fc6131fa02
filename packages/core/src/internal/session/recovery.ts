/** The first records of a session that is new, or opened again (contract J3, J6, J8). */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { Opened } from "../../ports/Journal.ts"
import type { ItemId, TurnId } from "../../protocol/Ids.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import { toSpan } from "../../protocol/TraceContext.ts"
import * as History from "../../state/History.ts"
import type * as Inbox from "../../state/Inbox.ts"
import * as SessionState from "../../state/SessionState.ts"
import type { Kernel } from "./sessionContext.ts"

/** The state that a journal holds. */
export const stateOf = (opened: Opened): SessionState.SessionState => SessionState.fold(opened.records)

/** The span of the last turn of a journal, or of whoever caused it: what the turns of a resumed session are linked to. */
export const lastSpanOf = (records: Opened["records"]): Tracer.AnySpan | undefined => {
  const last = records.findLast((record) => record._tag === "TurnStarted")
  const trace = last?._tag === "TurnStarted" ? (last.span ?? last.trace) : undefined
  return trace === undefined ? undefined : Option.getOrUndefined(toSpan(trace))
}

/** Writes the first record of a new session, or what a resume has to say and to settle. */
export const open = (
  kernel: Kernel,
  opened: Opened,
  options: { readonly meta?: { readonly [key: string]: string } }
): Effect.Effect<void, JournalFailed> =>
  Effect.suspend(() => {
    const { recorder, sessionId } = kernel
    const isNew = recorder.state.seq === 0
    if (isNew) recorder.append({ _tag: "SessionStarted", sessionId, meta: options.meta ?? {} })
    // a journal of which nothing could be read begins anew, and says what was cut (J1)
    if (!isNew || opened.cutBytes > 0) {
      recorder.append({
        _tag: "SessionResumed",
        cutBytes: opened.cutBytes,
        ...(opened.cutFile === undefined ? {} : { cutFile: opened.cutFile }),
        ...(opened.damage === undefined ? {} : { damage: opened.damage })
      })
      settleAsked(kernel, undefined, recorder.state.questions)
      settleCrashed(kernel)
    }
    return recorder.barrier
  })

/** Nobody waits any more for what was asked before the death of the host. */
const settleAsked = (
  { recorder }: Kernel,
  turnId: TurnId | undefined,
  questions: ReadonlyArray<SessionState.OpenQuestion>
): void => {
  const turn = turnId === undefined ? {} : { turnId }
  for (const { questionId } of questions) {
    recorder.append({ _tag: "QuestionSettled", ...turn, questionId, decision: { _tag: "Cancelled", by: "end" } })
  }
}

/**
 * A turn without an end was cut off by the death of its host: its calls are unknown, and it is marked as interrupted.
 */
const settleCrashed = (kernel: Kernel): void => {
  const { recorder } = kernel
  const turn = recorder.state.turn
  if (turn === undefined) return
  const { turnId } = turn
  settleAsked(kernel, turnId, turn.questions)
  if (turn.modelRequest !== undefined) {
    recorder.append({
      _tag: "ModelResponded",
      turnId,
      requestId: turn.modelRequest,
      finish: "aborted",
      usage: History.estimateUsage(History.toArray(recorder.state.history), ""),
      estimated: true
    })
  }
  for (const call of turn.openCalls) {
    recorder.append({ _tag: "ItemRecorded", turnId, item: History.unknownResult(call) })
  }
  // a host that died while it settled an abort may have written the marker already
  const { last } = recorder.state.history
  if (last?._tag !== "UserMessage" || last.fragment !== History.markerFragment || turn.itemCount === 0) {
    const id = `${turn.startSeq}.${turn.itemCount}m` as ItemId
    const content = [{ _tag: "Text" as const, text: History.markerText("Interrupted", []) }]
    recorder.append({
      _tag: "ItemRecorded",
      turnId,
      item: { _tag: "UserMessage", id, content, fragment: History.markerFragment }
    })
  }
  const { lastMessage } = turn
  recorder.append({
    _tag: "TurnAborted",
    turnId,
    reason: "Interrupted",
    requestedAt: kernel.clock.currentTimeMillisUnsafe(),
    ...(lastMessage === undefined ? {} : { lastMessage }),
    returned: [],
    kept: recorder.state.inbox.map((entry: Inbox.Entry) => entry.submissionId),
    dropped: [],
    stragglers: [],
    keptProcesses: [],
    usage: recorder.state.turn!.usage,
    crashed: true
  })
}

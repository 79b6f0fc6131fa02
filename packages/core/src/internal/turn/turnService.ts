/** The `Turn` service of a running task: its ledger and its session's kernel, behind the fence (contract I3). */
import * as Effect from "effect/Effect"
import * as Input from "../../protocol/Input.ts"
import { toFinite } from "../../protocol/Item.ts"
import * as History from "../../state/History.ts"
import * as Inbox from "../../state/Inbox.ts"
import type { Entry } from "../../state/Inbox.ts"
import type { Turn } from "../../Turn.ts"
import type { Kernel } from "../session/sessionContext.ts"
import type { Ledger } from "./ledger.ts"
import { barrier } from "../log/flush.ts"
import * as Processes from "./processes.ts"
import * as Requests from "./questions.ts"
import { sample } from "./sampling.ts"

/**
 * Makes the view of a turn. `fenced` says whether this view is refused everything: that of a task is once the turn
 * counts as ended, that of an abort hook only when its time is over.
 */
export const make = (kernel: Kernel, ledger: Ledger, fenced: () => boolean): Turn => {
  const { origin, slot } = ledger
  const { recorder } = kernel
  /** What records: refused when fenced. */
  const open = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => (fenced() ? Effect.interrupt : effect))
  /** What starts something: refused from the abort on. */
  const starts = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => (ledger.isClosing() ? Effect.interrupt : effect))
  const sync = <A>(evaluate: () => A): Effect.Effect<A> =>
    Effect.suspend(() => (fenced() ? Effect.interrupt : Effect.succeed(evaluate())))
  // whoever waits for a journal that has failed is interrupted: its turn ends through its owner
  const flush = Effect.catch(barrier(kernel), () => Effect.interrupt)
  const waiting = (): ReadonlyArray<Entry> => Inbox.forTurn(recorder.state.inbox, origin.turnId, origin.submissionId)

  return {
    sessionId: kernel.sessionId,
    turnId: origin.turnId,
    trace: origin.trace,
    session: kernel.host!,
    input: origin.input,
    inputText: Input.textOf(origin.input),
    aborting: open(slot.aborting),
    abortReason: sync(slot.reason),
    abort: (reason) => sync(() => kernel.supervisor.abort(reason)),
    onAbort: (cleanup) =>
      sync(() => {
        const remove = slot.onAbort(cleanup)
        return Effect.sync(remove)
      }),
    history: sync(() => History.repair(History.toArray(recorder.state.history))),
    record: (item) => sync(() => ledger.record(item)),
    replaceHistory: (items) => sync(() => ledger.replaceHistory(items)),
    say: (text) => sync(() => void ledger.record({ _tag: "AssistantMessage", text })),
    output: (callId, text) => sync(() => ledger.output(callId, text)),
    detail: (callId, detail) => sync(() => ledger.detail(callId, detail)),
    warn: (message) => sync(() => void recorder.append({ _tag: "Warning", message })),
    flush: open(flush),
    takeInput: starts(takeInput(kernel, ledger, waiting, fenced)),
    closeGate: sync(() => {
      // mutant gate-with-the-last-look (P4: the gate closes atomically with the last check of the inbox): drop
      if (waiting().length > 0 && kernel.policy.leftoverInput === "request") return false
      ledger.gateOpen = false
      return true
    }),
    sample: (request, attempt, onCall) => starts(sample(kernel, ledger, request, attempt, onCall, flush)),
    retrying: ({ attempt, delayMillis, error, maxAttempts }) =>
      sync(() => {
        const requestId = ledger.lastRequest
        if (requestId === undefined) return
        recorder.append({
          _tag: "ModelRetrying",
          turnId: origin.turnId,
          requestId,
          kind: error.kind,
          detail: error.message,
          attempt: toFinite(attempt),
          delayMillis: toFinite(delayMillis),
          ...(Number.isFinite(maxAttempts) ? { maxAttempts } : {})
        })
      }),
    finish: (call, status, output) => sync(() => ledger.finish(call.callId, status, output)),
    ask: (question) => starts(Requests.ask(kernel, ledger, question)),
    process: (spec) => starts(Processes.start(kernel, ledger, spec, flush)),
    delegate: (child) =>
      Effect.suspend(() => {
        // in the step that records: a straggler may be held up after it was let in (I3)
        // mutant closing-starts-no-delegate (I2: the turn is checked for an abort atomically with the record of a
        //   delegate):
        //   drop
        if (ledger.isClosing()) return Effect.interrupt
        recorder.append({
          _tag: "DelegateStarted",
          turnId: origin.turnId,
          ...child,
          depth: kernel.ancestors.length + 1
        })
        let isOpen = true
        return Effect.succeed(({ message, status }) => {
          const { delegateId } = child
          const said = message === undefined ? {} : { message }
          if (isOpen) recorder.append({ _tag: "DelegateEnded", delegateId, status, ...said })
          isOpen = false
        })
      }),
    endProcess: (processId) => open(Effect.suspend(() => kernel.processes?.get(processId)?.end ?? Effect.void))
  }
}

/**
 * Peek, ask the hooks, then carry: an input leaves the inbox with the record that carries it, or stays (contract P2,
 * P5).
 */
const takeInput = Effect.fnUntraced(function* (
  kernel: Kernel,
  ledger: Ledger,
  waiting: () => ReadonlyArray<Entry>,
  fenced: () => boolean
) {
  let carried = 0
  if (kernel.greetedAt === undefined) {
    const contexts = yield* kernel.hooks.sessionStart(kernel.sessionId, kernel.source)
    if (fenced()) return yield* Effect.interrupt
    kernel.greetedAt = contexts.length === 0 ? -1 : kernel.recorder.state.seq
    for (const text of contexts) ledger.record({ _tag: "DeveloperMessage", text })
  }
  if (ledger.ownInput !== undefined && (yield* carryOwn(kernel, ledger, ledger.ownInput, fenced))) carried++
  for (;;) {
    const entry = waiting()[0]
    // a turn that was asked to stop takes no more; what waits is handed back (I2, P2)
    if (entry === undefined || ledger.slot.reason() !== undefined) return carried
    if (yield* carry(kernel, ledger, entry, fenced)) carried++
  }
})

/** Carries the input that a task was started with by hand; no submission waits for its fate. */
const carryOwn = (kernel: Kernel, ledger: Ledger, input: Input.Input, fenced: () => boolean): Effect.Effect<boolean> =>
  Effect.flatMap(kernel.hooks.userPromptSubmit(ledger.origin.turnId, Input.textOf(input)), (verdict) => {
    if (fenced()) return Effect.interrupt
    ledger.ownInput = undefined
    if (verdict.block) {
      const why = verdict.reason === undefined ? "" : `: ${verdict.reason}`
      kernel.recorder.append({ _tag: "Warning", message: `a hook blocked the input of this turn${why}` })
    } else ledger.record({ _tag: "UserMessage", content: input })
    for (const text of verdict.contexts) ledger.record({ _tag: "DeveloperMessage", text })
    return Effect.succeed(!verdict.block)
  })

/**
 * Carries one input, or records that a hook blocked it; the contexts of the hooks follow in both cases. Returns whether
 * it was carried. A notice is not the user's words: no hook sees it.
 */
export const carry = (kernel: Kernel, ledger: Ledger, entry: Entry, fenced: () => boolean): Effect.Effect<boolean> =>
  entry.fragment === undefined ? carryInput(kernel, ledger, entry, fenced) : carryNotice(ledger, entry, fenced)

const carryNotice = (
  ledger: Ledger,
  { fragment, input, submissionId }: Entry,
  fenced: () => boolean
): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    if (fenced()) return Effect.interrupt
    ledger.record({ _tag: "UserMessage", content: input, submissionId, fragment: fragment! })
    return Effect.succeed(true)
  })

const carryInput = (kernel: Kernel, ledger: Ledger, entry: Entry, fenced: () => boolean): Effect.Effect<boolean> =>
  Effect.flatMap(kernel.hooks.userPromptSubmit(ledger.origin.turnId, Input.textOf(entry.input)), (verdict) => {
    // mutant fence-behind-a-hook (I3: a straggler that resumes after a prompt hook adds no input to its turn): drop
    if (fenced()) return Effect.interrupt
    // an abort may have handed the input back while the hook ran
    // mutant carried-once (P6: input that left the inbox while its hook ran is not added to a turn again): drop
    if (!kernel.recorder.state.inbox.some((one) => one.submissionId === entry.submissionId))
      return Effect.succeed(false)
    const { submissionId } = entry
    if (verdict.block) {
      const reason = verdict.reason === undefined ? {} : { reason: verdict.reason }
      kernel.recorder.append({ _tag: "InputBlocked", turnId: ledger.origin.turnId, submissionId, ...reason })
    } else ledger.record({ _tag: "UserMessage", content: entry.input, submissionId })
    for (const text of verdict.contexts) ledger.record({ _tag: "DeveloperMessage", text })
    return Effect.succeed(!verdict.block)
  })

/** Turns of a session: how one starts, how it is settled, what starts next (contract S1 to S6, I1 to I7, P2, P4). */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import { format } from "effect/Formatter"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Tracing from "../../Tracing.ts"
import type { SubmissionId, TurnId } from "../../protocol/Ids.ts"
import type { Input } from "../../protocol/Input.ts"
import type { AbortReason, Outcome } from "../../protocol/Outcome.ts"
import { type JournalFailed, SessionClosed } from "../../protocol/SessionError.ts"
import type { Straggler } from "../../protocol/SessionEvent.ts"
import { fromSpan } from "../../protocol/TraceContext.ts"
import { CurrentTurnContext, TurnContext } from "../../protocol/TurnContext.ts"
import * as History from "../../state/History.ts"
import * as Inbox from "../../state/Inbox.ts"
import type { Task } from "../../Task.ts"
import type { Ended } from "../../TaskSupervisor.ts"
import { Turn } from "../../Turn.ts"
import { type Kernel, millis } from "../session/sessionContext.ts"
import { Ledger, type TurnOrigin } from "./ledger.ts"
import type { Caller } from "../session/submissionSpan.ts"
import { barrier } from "../log/flush.ts"
import * as Processes from "./processes.ts"
import * as Requests from "./questions.ts"
import { carry, make as makeTurn } from "./turnService.ts"
import * as TurnSpan from "./turnSpan.ts"

/** A turn that was started. */
export interface RunningTurn<A, E> {
  readonly turnId: TurnId
  /**
   * Waits for the end of the turn: a value, never a failure. A turn whose journal failed has failed with that (S2).
   * **Interruption** stops only the wait.
   */
  readonly outcome: Effect.Effect<Outcome<A, E | JournalFailed>>
}

/** How a turn begins: its input, and whose it is. */
export interface TurnStart {
  readonly input: Input
  readonly submissionId?: SubmissionId
  readonly caller?: Caller | undefined
}

/**
 * Starts a task in the free slot; undefined if it is not free. `services` is what the task needs beside its turn.
 * `freed` is called when the slot is free again.
 */
export const start = <A, E, R>(
  kernel: Kernel,
  task: Task<A, E, R>,
  services: Context.Context<Exclude<R, Turn | Scope.Scope>>,
  begin: TurnStart,
  freed: (outcome: Outcome<A, E | JournalFailed>) => void
): RunningTurn<A, E> | undefined => {
  const turnId = kernel.newId() as TurnId
  const outcome = Deferred.makeUnsafe<Outcome<A, E | JournalFailed>>()
  // the regular task needs nothing beside what the session was made in
  const same = (services as Context.Context<never>) === kernel.context
  const context = (same ? services : Context.merge(kernel.context, services)) as Context.Context<R>
  let ledger!: Ledger
  let hookOver = false
  let final!: Outcome<A, E | JournalFailed>
  const hook = task.abortHook
  const job = {
    name: task.kind,
    run: Effect.never as Effect.Effect<A, E>,
    onAbort: task.onAbort,
    grace: kernel.config.grace,
    abortHookLimit: kernel.config.abortHookLimit,
    abortHook:
      hook === undefined
        ? undefined
        : (reason: AbortReason) =>
            Effect.provideContext(
              hook(
                makeTurn(kernel, ledger, () => hookOver),
                reason
              ),
              context as Context.Context<any>
            ),
    settle: (ended: Ended<A, E>) =>
      Effect.suspend(() => {
        hookOver = true
        return Effect.map(settle(kernel, ledger, ended), (how) => void (final = outcomeOf(how)))
      }),
    freed: () => {
      kernel.ledger = undefined
      freed(final)
      Deferred.doneUnsafe(outcome, Effect.succeed(final))
    },
    stragglerEnded: (straggler: Straggler, afterMillis: number) =>
      void kernel.recorder.append({ _tag: "StragglerEnded", straggler, ofTurn: turnId, afterMillis })
  }
  const started = kernel.supervisor.start(job, (slot) => {
    const opening = { task, turnId, caller: begin.caller, context: context as Context.Context<never> }
    const span = TurnSpan.open(kernel, opening)
    const origin: TurnOrigin = {
      turnId,
      kind: task.kind,
      steerable: task.steerable,
      submissionId: begin.submissionId,
      input: begin.input,
      trace: begin.caller?.trace,
      span
    }
    const record = kernel.recorder.append({
      _tag: "TurnStarted",
      turnId,
      kind: task.kind,
      ...(begin.submissionId === undefined ? {} : { submissionId: begin.submissionId }),
      ...(begin.caller === undefined ? {} : { trace: begin.caller.trace }),
      ...(span === undefined ? {} : { span: fromSpan(span) })
    })
    recordContext(kernel, turnId, context as Context.Context<never>)
    ledger = new Ledger(kernel, origin, slot, record.seq)
    kernel.ledger = ledger
    return body(kernel, ledger, task, Context.add(context, Tracing.OpenSpans, ledger.spans), span ?? begin.caller?.span)
  })
  return started ? { turnId, outcome: Deferred.await(outcome) } : undefined
}

/** Records the circumstances of a turn that has just started, if they differ from the last ones. */
const recordContext = (kernel: Kernel, turnId: TurnId, services: Context.Context<never>): void => {
  const current = Context.get(services, CurrentTurnContext)
  if (current === undefined) return
  const read = Effect.runSyncExit(Effect.suspend(() => decodeContext(current())))
  if (read._tag === "Failure") {
    const why = format(Cause.squash(read.cause))
    kernel.recorder.append({ _tag: "Warning", message: `the context of turn ${turnId} is not recorded: ${why}` })
  } else if (!Equal.equals(read.value, kernel.recorder.state.turnContext)) {
    kernel.recorder.append({ _tag: "TurnContextChanged", turnId, context: read.value })
  }
}

const decodeContext = Schema.decodeUnknownEffect(TurnContext)

/** The task's effect with its turn, a scope of its own, and what its spans descend from. */
const body = <A, E, R>(
  kernel: Kernel,
  ledger: Ledger,
  task: Task<A, E, R>,
  context: Context.Context<R>,
  parent: Tracer.AnySpan | undefined
): Effect.Effect<A, E> => {
  const turn = makeTurn(kernel, ledger, ledger.slot.isFenced)
  const withTurn = Context.add(context, Turn, turn) as Context.Context<any>
  const provided = parent === undefined ? withTurn : Context.add(withTurn, Tracer.ParentSpan, parent)
  const run = Effect.map(Effect.scoped(task.effect), (value) => {
    // in the task's fiber, so that a projection that throws is a defect of the task
    ledger.projected = task.lastMessage(value)
    return value
  })
  return Effect.provideContext(run, provided) as Effect.Effect<A, E>
}

const outcomeOf = <A, E>(ended: Ended<A, E>): Outcome<A, E> =>
  ended._tag === "Aborted"
    ? { _tag: "Aborted", reason: ended.reason, stragglers: ended.stragglers.map((one) => `${one.kind} ${one.name}`) }
    : ended

/** Writes how a turn ended, once. The records of one outcome are one batch, and durable when this answers (S2, I5). */
const settle = Effect.fnUntraced(function* <A, E>(kernel: Kernel, ledger: Ledger, returned: Ended<A, E>) {
  const records = returned._tag === "Completed" && kernel.policy.leftoverInput === "record"
  const cause = records ? yield* recordLeftover(kernel, ledger) : undefined
  const ended: Ended<A, E> = cause === undefined ? returned : { _tag: "Failed", cause }
  if (ended._tag !== "Aborted" && kernel.processes !== undefined) {
    // an aborted turn ended its processes beside its task; the others end theirs here, within the same grace
    yield* inTime(kernel, Processes.endOfTurn(kernel, ledger))
  }
  const reason = ended._tag === "Aborted" ? ended.reason : undefined
  // mutant questions-end-with-their-turn (A1: the open questions of a turn are settled before its terminal record):
  //   drop
  Requests.cancelAll(kernel, ledger.origin.turnId, reason === undefined ? "end" : "abort")
  // mutant owner-ends-the-request (I3: the owner ends the request of a task that hangs): drop
  ledger.endRequest(reason === undefined ? "failed" : "aborted", undefined, "aborted")
  ledger.closeTexts()
  // mutant owner-closes-the-calls (I6: the owner settles the open calls): drop
  ledger.closeCalls(reason)
  const usage = kernel.recorder.state.turn?.usage
  writeTerminal(kernel, ledger, ended)
  // a journal that fails here has made the turn a failed one (S2); the error is in the recorder
  // mutant durable-before-the-slot-is-free (S2: the terminal record is durable before the next turn may start): drop
  yield* Effect.ignore(barrier(kernel, ledger.origin.span))
  const { failure } = kernel.recorder
  const final: Ended<A, E | JournalFailed> =
    failure === undefined ? ended : { _tag: "Failed", cause: Cause.fail(failure) }
  TurnSpan.end(kernel, ledger, final, usage)
  return final
})

/**
 * Runs what others brought, within the grace: whether it hangs or dies, the turn is settled. What is late goes on
 * alone.
 */
const inTime = (kernel: Kernel, effect: Effect.Effect<void>) =>
  Effect.timeoutOption(Effect.exit(kernel.supervisor.outlive(effect)), kernel.config.grace)

/**
 * Records what is left. A hook that dies fails its turn, and its cause is the answer; the input of one that hangs is
 * kept.
 */
const recordLeftover = (kernel: Kernel, ledger: Ledger): Effect.Effect<Cause.Cause<never> | undefined> => {
  const left = Inbox.forTurn(kernel.recorder.state.inbox, ledger.origin.turnId, ledger.origin.submissionId)
  let over = false
  const carried = Effect.forEach(left, (entry) => carry(kernel, ledger, entry, () => over), { discard: true })
  const stop = Deferred.makeUnsafe<void>()
  const bounded = Effect.raceFirst(carried, Deferred.await(stop))
  return Effect.map(inTime(kernel, bounded), (exit) => {
    over = true
    // a hook that hangs is interrupted, and not waited for
    Deferred.doneUnsafe(stop, Effect.void)
    if (Option.isNone(exit) || exit.value._tag === "Success") return undefined
    return Cause.hasInterruptsOnly(exit.value.cause) ? undefined : exit.value.cause
  })
}

const writeTerminal = <A, E>(kernel: Kernel, ledger: Ledger, ended: Ended<A, E>): void => {
  const { recorder } = kernel
  const { turnId } = ledger.origin
  const turn = recorder.state.turn
  if (turn === undefined) return
  if (ended._tag === "Aborted") return writeAborted(kernel, ledger, ended)
  const lastMessage = (ended._tag === "Completed" ? ledger.projected : undefined) ?? turn.lastMessage
  const message = lastMessage === undefined ? {} : { lastMessage }
  if (ended._tag === "Completed") {
    recorder.append({ _tag: "TurnCompleted", turnId, ...message, usage: turn.usage })
  } else {
    const kept = recorder.state.inbox.map((entry) => entry.submissionId)
    const error = errorOf(Cause.squash(ended.cause))
    recorder.append({ _tag: "TurnFailed", turnId, error, ...message, kept, usage: turn.usage })
  }
}

const errorOf = (error: unknown): { readonly tag: string; readonly message: string } => {
  const tagged = error as { readonly _tag?: unknown; readonly message?: unknown; readonly name?: unknown } | null
  return {
    tag: typeof tagged?._tag === "string" ? tagged._tag : typeof tagged?.name === "string" ? tagged.name : "Defect",
    message: typeof tagged?.message === "string" ? tagged.message : typeof error === "string" ? error : format(error)
  }
}

const writeAborted = <A, E>(
  kernel: Kernel,
  ledger: Ledger,
  ended: Extract<Ended<A, E>, { readonly _tag: "Aborted" }>
): void => {
  const { policy, recorder } = kernel
  const { submissionId, turnId } = ledger.origin
  const { reason, stragglers } = ended
  const keptProcesses = Processes.owned(kernel).filter(
    (one) => one.keep || !stragglers.some((late) => late.kind === "process" && late.name === one.name)
  )
  // linked delegates end with the turn; one that has not is a straggler
  const keptDelegates = recorder.state.delegates.filter((one) => !one.linked)
  const running = [...stragglers, ...keptProcesses, ...keptDelegates].map((one) => one.name)
  const turn = recorder.state.turn!
  if (reason === "Interrupted" || (policy.marker === "contract" && turn.produced)) {
    const content = [{ _tag: "Text" as const, text: History.markerText(reason, running) }]
    ledger.record({ _tag: "UserMessage", content, fragment: History.markerFragment })
  }
  // input that waits for any turn stays, and so does a notice: it is nobody's words to hand back
  const mine = Inbox.forTurn(recorder.state.inbox, turnId, submissionId)
  const uncarried = mine.filter((entry) => entry.waits !== true && entry.fragment === undefined)
  const handedBack = reason === "Interrupted" && policy.steeredOnInterrupt === "return" ? uncarried : []
  const dropped =
    reason === "Parent"
      ? recorder.state.inbox
      : reason === "Interrupted" && policy.steeredOnInterrupt === "drop"
        ? uncarried
        : []
  const gone = new Set([...handedBack, ...dropped])
  const { lastMessage } = turn
  recorder.append({
    _tag: "TurnAborted",
    turnId,
    reason,
    requestedAt: ended.requestedAt,
    ...(lastMessage === undefined ? {} : { lastMessage }),
    returned: handedBack.map(({ input, submissionId }) => ({ submissionId, input })),
    kept: recorder.state.inbox.filter((entry) => !gone.has(entry)).map((entry) => entry.submissionId),
    dropped: dropped.map((entry) => entry.submissionId),
    stragglers: [...stragglers],
    keptProcesses: keptProcesses.map((one) => one.processId),
    ...(keptDelegates.length === 0 ? {} : { keptDelegates: keptDelegates.map((one) => one.delegateId) }),
    usage: turn.usage
  })
}

/**
 * Replaces whatever runs by a task, one replacement at a time. It runs in a fiber that outlives its caller, so that a
 * task may replace itself (I9): the caller is then interrupted, and the new turn runs. `replaced` is called when it has let
 * go: the queue does not start while a replacement is under way.
 */
export const replace = <A, E>(
  kernel: Kernel,
  begun: () => RunningTurn<A, E> | undefined,
  replaced: () => void
): Effect.Effect<RunningTurn<A, E>, SessionClosed> => {
  const attempt: Effect.Effect<RunningTurn<A, E>, SessionClosed> = Effect.suspend(() => {
    // mutant closed-replaces-nothing (S2: a session that is closed or has failed starts no task): false
    if (kernel.closed || kernel.recorder.failure !== undefined) {
      return Effect.fail(new SessionClosed({ sessionId: kernel.sessionId }))
    }
    const running = begun()
    if (running !== undefined) return Effect.succeed(running)
    kernel.supervisor.abort("Replaced")
    return Effect.andThen(kernel.supervisor.awaitIdle, attempt)
  })
  // counted in the fiber that outlives the caller, and given up before the next replacement begins
  const counted = Effect.ensuring(
    attempt,
    Effect.sync(() => {
      kernel.replacing--
      replaced()
    })
  )
  return kernel.supervisor.outlive(
    Effect.suspend(() => {
      kernel.replacing++
      return kernel.supervisor.turnstile(counted)
    })
  )
}

/** How long closing a session may take for what its config allows each part. */
export const closeLimit = (kernel: Kernel): number =>
  millis(kernel.config.grace) + millis(kernel.config.abortHookLimit) + 2 * millis(kernel.config.journalDeadline)

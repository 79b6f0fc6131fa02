/** Starts turns, and holds the ledger of the turn in the slot (contract S1, S3, S6). */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Struct from "effect/Struct"
import * as Tracer from "effect/Tracer"
import { Model, ModelOfTurn } from "../../ports/Model.ts"
import { CallbackFailed } from "../../protocol/AgentError.ts"
import type { SubmissionId, TurnId } from "../../protocol/Ids.ts"
import type { Input } from "../../protocol/Input.ts"
import type { Outcome } from "../../protocol/Outcome.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import { fromSpan } from "../../protocol/TraceContext.ts"
import { CurrentTurnContext, TurnContext } from "../../protocol/TurnContext.ts"
import type { Task } from "../../Task.ts"
import type { StartableTask } from "../../TaskKind.ts"
import type { AbortHook, Slot } from "../../TaskSupervisor.ts"
import * as Tracing from "../../Tracing.ts"
import { Turn } from "../../Turn.ts"
import { textOf } from "../foreign.ts"
import { millis, type SessionContext } from "../session/sessionContext.ts"
import { link, type TraceParent } from "../session/submissionSpan.ts"
import { afterAbort } from "./abortHooks.ts"
import * as Alongside from "./alongside.ts"
import { startTimer } from "./bounds.ts"
import { Ledger } from "./ledger.ts"
import { beforeCompletion } from "./notifications.ts"
import { settle } from "./turnEnd.ts"
import type { TurnParts } from "./turnParts.ts"
import { make as makeTurn, recordLeftover } from "./turnService.ts"
import * as TurnSpan from "./turnSpan.ts"

/** A turn that was started. */
export interface RunningTurn<A, E> {
  readonly turnId: TurnId
  /**
   * Waits for the end of the turn, and returns its outcome as a value, never as an error. If the journal fails, the
   * turn fails with `JournalFailed` (S2). **Interruption** stops only the wait.
   */
  readonly outcome: Effect.Effect<Outcome<A, E | JournalFailed>>
}

/** The start of a turn. */
export interface TurnStart {
  readonly input: Input
  readonly submissionId?: SubmissionId | undefined
  /** True if the submission is a task, so that the start takes it from the inbox. */
  readonly carried?: true | undefined
  readonly parent: TraceParent | undefined
}

/** The options of {@link Turns}. `onStart` and `onFree` are called for each turn. */
export interface TurnsOptions extends TurnParts {
  /** The span of the last turn of a resumed session, to which the next turn is linked. */
  readonly resumedSpan: Tracer.AnySpan | undefined
  readonly onStart: () => void
  readonly onFree: (outcome: Outcome<unknown, unknown>) => void
}

/** The turns of one session, one at a time. */
export class Turns {
  /** The ledger of the turn in the slot. */
  private ledger: Ledger | undefined
  /** The longest time, in milliseconds, for the abort hooks of the turn in the slot. */
  abortHooksMillis = 0
  private resumedSpan: Tracer.AnySpan | undefined
  private readonly options: TurnsOptions
  constructor(options: TurnsOptions) {
    this.options = options
    this.resumedSpan = options.resumedSpan
  }

  /** The running turn; undefined once it was asked to stop or has returned. */
  get running(): Ledger | undefined {
    // mutant steers-running-turns-only (P4: input joins a turn that runs, and none that is being aborted or has ended): true
    return this.options.supervisor.state()._tag === "Running" ? this.ledger : undefined
  }

  /**
   * Starts a task in the free slot and returns its turn; undefined if the slot is taken. `context` has the services
   * that the task needs, except its turn.
   */
  start<A, E, R>(
    task: Task<A, E, R>,
    context: Context.Context<Exclude<R, Turn | Scope.Scope>>,
    start: TurnStart
  ): RunningTurn<A, E> | undefined {
    const { onFree, recorder, session, supervisor } = this.options
    const turnId = session.newId() as TurnId
    const outcome = Deferred.makeUnsafe<Outcome<A, E | JournalFailed>>()
    const { abortHook, abortHookLimit = session.config.abortHookLimit } = task
    let ledger!: Ledger
    const ofTask: AbortHook | undefined = abortHook && {
      name: `${task.kind} abort hook`,
      limit: abortHookLimit,
      run: (reason) => {
        const turn = makeTurn(this.options, ledger, () => ledger.isSettled())
        return Effect.provideContext(TurnSpan.below(ledger, abortHook(turn, reason)), context as Context.Context<any>)
      }
    }
    const ofApplication = afterAbort(this.options, () => ledger)
    const abortHooks = ofTask === undefined ? ofApplication : [ofTask, ...ofApplication]
    let timer: Fiber.Fiber<void> | undefined
    const isStarted = supervisor.start<A, E, Outcome<A, E | JournalFailed>>({
      name: task.kind,
      run: (slot) => {
        this.abortHooksMillis = abortHooks.reduce((sum, { limit }) => sum + millis(limit), 0)
        ledger = this.recordStart(task, context as Context.Context<never>, { ...start, turnId, slot })
        timer = startTimer(session, ledger)
        return runTask(this.options, ledger, task, context)
      },
      onAbort: task.onAbort,
      grace: session.config.grace,
      abortHooks,
      settle: (ended) => settle(this.options, ledger, ended),
      onFree: (settled) => {
        timer?.interruptUnsafe()
        this.ledger = undefined
        onFree(settled)
        Deferred.doneUnsafe(outcome, Effect.succeed(settled))
      },
      onStragglerEnd: (straggler, afterMillis) =>
        recorder.runBelow(ledger.origin.parentSpan, () => {
          recorder.append({ _tag: "StragglerEnded", straggler, ofTurn: turnId, afterMillis })
        }),
      onFailure: ({ kind, name }, reason) =>
        void recorder.append({
          _tag: "Warning",
          message: `${kind === "hook" ? "" : "the clean-up "}${name} failed: ${reason}`
        })
    })
    return isStarted ? { turnId, outcome: Deferred.await(outcome) } : undefined
  }

  /**
   * Starts a task alongside the running turn, and returns the id of that turn; undefined if no running turn takes the
   * task.
   */
  startAlongside(
    { alongside }: StartableTask,
    submitted: Alongside.Submitted,
    parent: TraceParent | undefined
  ): TurnId | undefined {
    const { running } = this
    if (alongside === undefined || running?.takesTasks !== true) return undefined
    const { span, turnId } = running.origin
    Alongside.start(this.options, running, alongside, submitted)
    if (parent !== undefined) link(this.options.session, span, parent)
    return turnId
  }

  /** Records the start of a turn and makes its ledger. */
  private recordStart(
    task: { readonly kind: string; readonly spanName: string; readonly steerable: boolean },
    context: Context.Context<never>,
    { carried, input, parent, slot, submissionId, turnId }: TurnStart & { readonly turnId: TurnId; readonly slot: Slot }
  ): Ledger {
    const { onStart, recorder, session } = this.options
    const { resumedSpan } = this
    this.resumedSpan = undefined
    const span = TurnSpan.start(session, { task, turnId, parent, context, resumedSpan })
    const parentSpan = span ?? parent?.span
    recorder.descendFrom(parentSpan)
    const record = recorder.append({
      _tag: "TurnStarted",
      turnId,
      kind: task.kind,
      ...(submissionId === undefined ? {} : { submissionId }),
      ...(carried === undefined ? {} : { carried }),
      ...(parent === undefined ? {} : { trace: parent.trace }),
      ...(span === undefined ? {} : { span: fromSpan(span) })
    })
    const turnContext = recordContext(this.options, turnId, context)
    onStart()
    const origin = {
      turnId,
      kind: task.kind,
      steerable: task.steerable,
      submissionId,
      input,
      ownsInput: submissionId === undefined || carried === true,
      trace: parent?.trace,
      span,
      parentSpan
    }
    this.ledger = new Ledger({ recorder, clock: session.clock, origin, slot, startSeq: record.seq, turnContext })
    return this.ledger
  }
}

/**
 * Provides the effect of a task with its turn, with its own scope, whose finalizers start once (contract I4), and with
 * the parent of its spans.
 */
const runTask = <A, E, R>(
  parts: TurnParts,
  ledger: Ledger,
  task: Task<A, E, R>,
  context: Context.Context<any>
): Effect.Effect<A, E> => {
  const turn = makeTurn(parts, ledger, ledger.slot.isFenced)
  const run = Effect.matchCauseEffect(Effect.scoped(task.effect), {
    // a task that interrupted itself is aborted, and so are the tasks alongside it (S5)
    onFailure: (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause)
        : Effect.andThen(Alongside.awaitAll(ledger), Effect.failCause(cause)),
    onSuccess: (value) => {
      // in the task's fiber, so that a projection that throws is a defect of the task
      ledger.project(task.lastMessage(value))
      const notify = beforeCompletion(parts, ledger, turn)
      const tasksEnded = Alongside.awaitAll(ledger)
      const isOver = Effect.as(notify === undefined ? tasksEnded : Effect.andThen(tasksEnded, notify), value)
      if (parts.session.policy.leftoverInput === "request") return isOver
      return Effect.tap(isOver, recordLeftover(parts, ledger, turn))
    }
  })
  // in the task's fiber, so that a model of the turn that throws is a defect of the task
  return Effect.suspend(() => {
    const services = withContext(parts, context, ledger.turnContext)
    const withSpans = Context.add(services, Tracing.OpenSpans, ledger.spans)
    const withTurn = Context.add(withSpans, Turn, turn) as Context.Context<any>
    const { parentSpan } = ledger.origin
    const provided = parentSpan === undefined ? withTurn : Context.add(withTurn, Tracer.ParentSpan, parentSpan)
    // it contains all services of the fiber
    return Effect.updateContext(run, () => provided) as Effect.Effect<A, E>
  })
}

/** Records the context of a turn that has just started, if it differs from the last one, and returns it. */
const recordContext = (
  { recorder, session }: TurnParts,
  turnId: TurnId,
  services: Context.Context<never>
): TurnContext | undefined => {
  const current = Context.get(services, CurrentTurnContext)
  const { changedContext } = recorder.state
  if (current === undefined && Object.keys(changedContext).length === 0) return undefined
  const read = Effect.runSyncExit(
    Effect.suspend(() => decodeContext({ ...ownContext(session, current?.()), ...changedContext }))
  )
  if (read._tag === "Failure") {
    const why = textOf(Cause.squash(read.cause))
    recorder.append({ _tag: "Warning", message: `the context of turn ${turnId} is not recorded: ${why}` })
    // the changes of inputs apply anyway, because they may narrow the authority of the turn
    return changedContext
  }
  const last = recorder.state.turnContext
  // the same object while nothing changes, so that values that were made for a context are found again
  if (last !== undefined && Equal.equals(read.value, last)) return last
  recorder.append({ _tag: "TurnContextChanged", turnId, context: read.value })
  return read.value
}

/**
 * Returns the context of the application. A session below another one leaves out `output`: it answers in the format of
 * its agent, not in that of the turn that started it.
 */
const ownContext = ({ ancestors }: SessionContext, context: TurnContext | undefined): TurnContext | undefined =>
  context === undefined || ancestors.length === 0 ? context : Struct.omit(context, ["output"])

/**
 * Returns the services of a turn: those of its task, with the context of the turn, and with another model if inputs
 * have changed the context.
 */
const withContext = (
  { recorder }: TurnParts,
  services: Context.Context<never>,
  context: TurnContext | undefined
): Context.Context<never> => {
  if (context === undefined) return services
  const known = Context.add(services, CurrentTurnContext, () => context)
  const own = Context.getOption(services, Model as never)
  if (own._tag === "None" || Object.keys(recorder.state.changedContext).length === 0) return known
  return Context.add(known, Model, modelOf(services, context, own.value as Model)) as never
}

const modelOf = (services: Context.Context<never>, context: TurnContext, own: Model): Model => {
  try {
    return Context.get(services, ModelOfTurn)(context, own)
  } catch (cause) {
    throw new CallbackFailed({ callback: "ModelOfTurn", cause })
  }
}

const decodeContext = Schema.decodeUnknownEffect(TurnContext)

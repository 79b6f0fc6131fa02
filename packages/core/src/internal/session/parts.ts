/** The parts of a session: how they are made, and how they are closed (contract S7). */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Agent } from "../../Agent.ts"
import type { JournalWriter } from "../../ports/Journal.ts"
import type { Model } from "../../ports/Model.ts"
import type { SessionObserver } from "../../ports/SessionObserver.ts"
import type { SessionConfig } from "../../protocol/SessionConfig.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import * as SessionState from "../../state/SessionState.ts"
import * as RegularTask from "../../tasks/RegularTask.ts"
import * as TaskSupervisor from "../../TaskSupervisor.ts"
import { runDetached } from "../detached.ts"
import { Recorder } from "../log/recorder.ts"
import { Subscribers } from "../log/subscribers.ts"
import { Questions } from "../turn/questions.ts"
import { Resources } from "../turn/resources.ts"
import type { TurnParts } from "../turn/turnParts.ts"
import { type RunningTurn, Turns } from "../turn/turnStart.ts"
import { Lifetime } from "./lifetime.ts"
import { OwnerSession } from "./ownerSession.ts"
import { Queue, type StartResult } from "./queue.ts"
import * as Receipts from "./receipts.ts"
import * as Recovery from "./recovery.ts"
import { millis, type SessionContext } from "./sessionContext.ts"
import { StartContexts } from "./startContexts.ts"
import { Submissions } from "./submissions.ts"
import * as TaskKinds from "./taskKinds.ts"

/** The parts of a session. Each holds its own state. */
export interface Parts extends TurnParts {
  readonly lifetime: Lifetime
  readonly subscribers: Subscribers
  readonly ownerSession: OwnerSession
  readonly turns: Turns
  readonly queue: Queue
  readonly submissions: Submissions
}

/** Makes the parts of a session from its open journal. */
export const makeParts = <R>(
  session: SessionContext,
  writer: JournalWriter,
  {
    agent,
    observers,
    services
  }: {
    readonly observers: ReadonlyArray<SessionObserver>
    readonly agent: Agent<R>
    readonly services: Context.Context<R | Model>
  }
): Parts => {
  const { clock, config, context, policy, sessionId } = session
  const { records } = writer.opened
  const state = SessionState.fold(records)
  const subscribers = new Subscribers(config.subscriberCapacity, state.seq)
  const supervisor = TaskSupervisor.makeUnsafe(context, clock)
  const onFailure = (error: JournalFailed) => {
    // mutant journal-failure-ends-the-turn (S2: a journal that fails ends the turn whose task waits for it): drop
    supervisor.fail(Cause.fail(error))
    questions.cancelAll(undefined, "end")
  }
  const deadline = config.journalDeadline
  const recorder = new Recorder(
    { sessionId, writer, context, clock, deadline, subscribers, observers, onFailure },
    state
  )
  const { signals } = recorder
  if (signals.isMeasuring) {
    subscribers.onWaiting = (eventsChange) => signals.emit({ _tag: "Waiting", eventsChange })
  }
  const lifetime = new Lifetime(recorder)
  const questions = new Questions(session, recorder, lifetime)
  const resources = new Resources(policy)
  const startContexts = new StartContexts()
  const ownerSession: OwnerSession = new OwnerSession({
    session,
    lifetime,
    questions,
    stateOf: () => recorder.state,
    submit: (submission) => submissions.submit(submission)
  })
  const regular = RegularTask.make(agent)
  const queue: Queue = new Queue({
    context,
    supervisor,
    isOpen: () => lifetime.isOpen,
    stateOf: () => recorder.state,
    start: ({ input, submissionId, task }, parent) => {
      if (task === undefined) return startResultOf(turns.start(regular, services, { input, submissionId, parent }))
      const found = TaskKinds.find(agent.tasks, task)
      if (TaskKinds.isMissing(found)) {
        recorder.append({ _tag: "InputBlocked", submissionId, reason: TaskKinds.textOf(found) })
        return { _tag: "Blocked" }
      }
      return startResultOf(turns.start(found, services, { input, submissionId, carried: true, parent }))
    }
  })
  const parts: TurnParts = { session, recorder, supervisor, questions, resources, startContexts, ownerSession }
  const turns = new Turns({
    ...parts,
    resumedSpan: session.source === "resumed" ? Recovery.lastSpanOf(records) : undefined,
    onStart: queue.onTurnStart,
    onFree: queue.onTurnEnd
  })
  const submissions = new Submissions(
    {
      session,
      lifetime,
      recorder,
      supervisor,
      questions,
      resources,
      startContexts,
      turns,
      queue,
      taskKinds: agent.tasks
    },
    Receipts.ofRecords(records)
  )
  return { ...parts, ownerSession, lifetime, subscribers, turns, queue, submissions }
}

const startResultOf = (turn: RunningTurn<unknown, unknown> | undefined): StartResult =>
  turn === undefined ? { _tag: "SlotTaken" } : { _tag: "Started", turnId: turn.turnId }

/**
 * Returns the longest time, in milliseconds, that the turn in the slot may take to end when its session closes: the sum
 * of the limits of its parts.
 */
const closeLimit = ({ grace, journalDeadline }: SessionConfig, { abortHooksMillis }: Turns): number =>
  // the clean-ups that wait for the hooks have another grace period
  2 * millis(grace) + abortHooksMillis + 2 * millis(journalDeadline)

/**
 * Closes a session: stops and settles the running turn, ends delegates and processes, and ends the streams. Bounded in
 * time (S7).
 */
export const close = Effect.fnUntraced(function* ({
  lifetime,
  ownerSession,
  questions,
  recorder,
  resources,
  session: { config, context },
  subscribers,
  supervisor,
  turns
}: Parts) {
  lifetime.close()
  questions.cancelAll(undefined, "end")
  supervisor.abort("Shutdown")
  if (supervisor.state()._tag !== "Idle" || ownerSession.hasChildren) {
    const idle = Effect.timeoutOption(supervisor.awaitIdle, closeLimit(config, turns))
    const children = Effect.timeoutOption(runDetached(context, ownerSession.closeChildren), config.delegateDeadline)
    // mutant evicts (S7: a session that closes ends its delegates): replace: yield* idle
    yield* Effect.all([idle, children], { concurrency: "unbounded" })
  } else yield* ownerSession.closeChildren
  if (!resources.isEmpty) {
    yield* Effect.timeoutOption(runDetached(context, resources.endAll), config.processDeadline)
  }
  // nothing is recorded after the last wait: a straggler that ends now would write to a journal that is closed
  // mutant no-record-after-the-last-wait (S7: a session that closes records nothing after its last wait): drop
  recorder.close()
  // a journal that fails here has reported that to every subscriber
  yield* Effect.ignore(recorder.flush)
  subscribers.end()
  recorder.signals.emit({ _tag: "Closed" })
})

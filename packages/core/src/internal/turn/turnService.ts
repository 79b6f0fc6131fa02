/**
 * The implementation of `Turn`: the ledger of a turn and the parts of its session, protected by the fence
 * (contract I3).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Fragments from "../../ports/Fragments.ts"
import * as Input from "../../protocol/Input.ts"
import { toFinite } from "../../protocol/Item.ts"
import * as ContextTokens from "../../state/ContextTokens.ts"
import * as History from "../../state/History.ts"
import * as Inbox from "../../state/Inbox.ts"
import type { Entry } from "../../state/Inbox.ts"
import { isNone, type PromptVerdict } from "../../Hooks.ts"
import { NestedCallEnded, NestedCallStarted } from "../../NestedCalls.ts"
import { type Answer, type DelegateEnd, type NewQuestion, Turn, type TurnDelegate } from "../../Turn.ts"
import { textOf } from "../foreign.ts"
import { flush as flushJournal } from "../log/flush.ts"
import { recover } from "../recover.ts"
import { millis } from "../session/sessionContext.ts"
import { takeCall, takeRequest } from "./bounds.ts"
import type { Ledger } from "./ledger.ts"
import { whileWaiting } from "./notifications.ts"
import * as Processes from "./processes.ts"
import { sample } from "./sampling.ts"
import type { TurnParts } from "./turnParts.ts"

/**
 * Makes a view of a turn. Once `isFenced` returns true, every call is refused: for the view of a task once the turn
 * counts as ended, for the view of an abort hook once the turn is being settled. The processes of the view belong to
 * the turn, unless there is another owner.
 */
export const make = (
  parts: TurnParts,
  ledger: Ledger,
  isFenced: () => boolean,
  processOwner?: Processes.ProcessOwner
): Turn => {
  const { origin, slot } = ledger
  const { ownerSession, recorder, resources, session } = parts
  /** Wraps members that record. They are refused when fenced. */
  const unlessFenced = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => (isFenced() ? Effect.interrupt : effect))
  /** Wraps members that start something. They are refused from the abort onwards. */
  const unlessClosing = <A, E, R>(start: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => (ledger.isClosing() ? Effect.interrupt : start()))
  const sync = <A>(evaluate: () => A): Effect.Effect<A> =>
    Effect.suspend(() => (isFenced() ? Effect.interrupt : Effect.succeed(evaluate())))
  // if the journal has failed, a task that waits for it is interrupted, and the owner ends the turn
  const flush = Effect.catch(flushJournal(recorder), () => Effect.interrupt)
  const history = () => History.repair(History.toArray(recorder.state.history))
  const owner = processOwner ?? {
    isClosing: () => ledger.isClosing(),
    own: (resource) => resources.own(ledger, resource)
  }
  const waitingInput = (): ReadonlyArray<Entry> =>
    Inbox.forTurn(recorder.state.inbox, origin.turnId, origin.submissionId)

  const turn: Turn = {
    sessionId: session.sessionId,
    turnId: origin.turnId,
    trace: origin.trace,
    session: ownerSession,
    locals: ledger.locals,
    input: origin.input,
    inputText: Input.textOf(origin.input),
    aborting: unlessFenced(slot.aborting),
    abortReason: sync(() => slot.reason()),
    // a fenced slot is stopping
    unlessStopping: (effect) => slot.unlessStopping(effect),
    abort: (reason) => sync(() => slot.abort(reason)),
    onAbort: ({ run, ...cleanup }) =>
      sync(() => Effect.sync(resources.own(ledger, { ...cleanup, id: `clean-up ${cleanup.name}`, end: run }))),
    own: (resource) => sync(() => Effect.sync(resources.own(ledger, resource))),
    keep: (id) => sync(() => slot.reason() === undefined && resources.keep(id)),
    history: sync(history),
    items: sync(() => History.toArray(recorder.state.history).filter((item) => ledger.hasRecorded(item))),
    contextTokens: sync(() => ContextTokens.of(recorder.state)),
    record: (item) => sync(() => ledger.record(item)),
    replaceHistory: (items) =>
      sync(() => ledger.replaceHistory(typeof items === "function" ? items(history()) : items)),
    say: (text) => sync(() => void ledger.record({ _tag: "AssistantMessage", text })),
    output: (callId, text) => sync(() => ledger.output(callId, text)),
    detail: (callId, detail) => sync(() => ledger.detail(callId, detail)),
    note: (kind, data) => sync(() => ledger.note(kind, data)),
    warn: (message) => sync(() => void recorder.append({ _tag: "Warning", message })),
    flush: unlessFenced(flush),
    takeInput: unlessClosing(() =>
      isIntakeDue(parts, ledger) || waitingInput().length > 0
        ? takeInput({ ...parts, ledger, turn, isFenced }, waitingInput)
        : Effect.succeed(0)
    ),
    closeGate: sync(() => {
      // mutant gate-closes-with-last-check (P4: the gate closes atomically with the last check of the inbox): drop
      if (waitingInput().length > 0 && session.policy.leftoverInput === "request") return false
      ledger.closeGate()
      return true
    }),
    sample: (request, attempt, onCall) =>
      unlessClosing(() =>
        takeRequest(parts, ledger) ? sample(parts, ledger, request, attempt, onCall, flush) : Effect.interrupt
      ),
    reportRetry: ({ attempt, delay, error, maxAttempts }) =>
      sync(() => {
        const requestId = ledger.response.lastRequest
        if (requestId === undefined) return
        recorder.append({
          _tag: "ModelRetrying",
          turnId: origin.turnId,
          requestId,
          kind: error.kind,
          detail: error.message,
          attempt: toFinite(attempt),
          delayMillis: toFinite(millis(delay)),
          ...(Number.isFinite(maxAttempts) ? { maxAttempts } : {})
        })
      }),
    finish: (call, status, output) => sync(() => ledger.finish(call.callId, status, output)),
    nestedCall: (call) =>
      Effect.suspend(() => {
        // a call that exceeds the bound closes the turn and is not made
        takeCall(session, ledger)
        // atomically with the record: a straggler may have been delayed since its call was accepted (I3)
        // mutant closing-starts-no-nested-call (I2: the turn is checked for an abort atomically with the record of a
        //   nested call):
        //   drop
        if (ledger.isClosing()) return Effect.interrupt
        ledger.note(NestedCallStarted, call)
        return Effect.succeed((result) => sync(() => ledger.note(NestedCallEnded, { ...result, callId: call.callId })))
      }),
    recordDecision: ({ reason, ...decision }) =>
      sync(
        () =>
          void recorder.append({
            _tag: "CallDecided",
            turnId: origin.turnId,
            ...decision,
            ...(reason === undefined ? {} : { reason })
          })
      ),
    ask: (question) => unlessClosing(() => ask({ ...parts, ledger, turn, isFenced }, question)),
    process: (spec) =>
      Effect.suspend(() =>
        owner.isClosing() ? Effect.interrupt : Processes.start(parts, { ledger, owner }, spec, flush)
      ),
    endProcess: (processId) => unlessFenced(Effect.suspend(() => resources.end(processId))),
    delegate: (child) =>
      Effect.suspend(() => {
        // atomically with the record: a straggler may have been delayed since its call was accepted (I3)
        // mutant closing-starts-no-delegate (I2: the turn is checked for an abort atomically with the record of a
        //   delegate):
        //   drop
        if (ledger.isClosing()) return Effect.interrupt
        return Effect.succeed(startDelegate(parts, ledger, child))
      })
  }
  return turn
}

/**
 * Records the input that waits for a turn whose task has returned, without another model request. No more input joins
 * the turn. Input is kept if its hooks take longer than `SessionConfig.hookLimit`.
 */
export const recordLeftover = (parts: TurnParts, ledger: Ledger, turn: Turn): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { recorder, session } = parts
    ledger.closeGate()
    const left = Inbox.forTurn(recorder.state.inbox, ledger.origin.turnId, ledger.origin.submissionId)
    const intake = { ...parts, ledger, turn, isFenced: ledger.slot.isFenced }
    const ask = askHooksAbout(intake)
    return Effect.forEach(left, (entry) => Effect.timeoutOption(carry(intake, entry, ask), session.config.hookLimit), {
      discard: true
    })
  })

/** The parts that the input of a turn passes through. */
interface Intake extends TurnParts {
  readonly ledger: Ledger
  /** The turn that the hooks get. */
  readonly turn: Turn
  readonly isFenced: () => boolean
}

/** Asks the prompt hooks about a text. */
type AskPrompt = (text: string) => Effect.Effect<PromptVerdict>

const askHooksAbout =
  ({ ledger, session, turn }: Intake): AskPrompt =>
  (text) =>
    withTurn(turn, session.hooks.userPromptSubmit(ledger.origin.turnId, text))

/** Provides a hook with its turn. Without hooks the verdict is an exit and stays one. */
const withTurn = <A>(turn: Turn, verdict: Effect.Effect<A, never, Turn>): Effect.Effect<A> =>
  Effect.provideContext(verdict, Context.make(Turn, turn))

/** Returns the notification hooks of a question. The hooks of a question of a child run in the session of the child. */
const notificationsOf = (intake: Intake, { asker }: NewQuestion) =>
  asker !== undefined || isNone(intake.session.hooks) ? undefined : whileWaiting(intake, intake.ledger, intake.turn)

/**
 * Asks the hooks for permission, and then the approvals of the session. The hooks of a child have decided about its
 * questions already.
 */
const ask = (intake: Intake, question: NewQuestion): Effect.Effect<Answer> => {
  const { isFenced, ledger, questions, recorder, session, turn } = intake
  const answer = questions.ask(ledger, question, notificationsOf(intake, question))
  if (question.asker !== undefined || question.kind === "question" || question.kind === "elicitation") return answer
  const verdict = session.hooks.permissionRequest(ledger.origin.turnId, question)
  return Effect.flatMap(withTurn(turn, verdict), ({ decision, reason }) => {
    // mutant fence-after-permission-hooks (I3: a straggler that resumes after a permission hook records no decision): drop
    if (isFenced()) return Effect.interrupt
    if (decision === "ask") return answer
    recorder.append({
      _tag: "CallDecided",
      turnId: ledger.origin.turnId,
      ...(question.callId === undefined ? {} : { callId: question.callId }),
      ...(question.tool === undefined ? {} : { tool: question.tool }),
      permission: decision,
      source: "hook",
      ...(reason === undefined ? {} : { reason })
    })
    return Effect.succeed<Answer>(
      decision === "allow"
        ? { _tag: "Approved", scope: "once" }
        : { _tag: "Denied", ...(reason === undefined ? {} : { reason }) }
    )
  })
}

/** Records the start of a child session, and returns a function that records its end, once. */
const startDelegate = (
  { recorder, resources, session }: TurnParts,
  ledger: Ledger,
  { callId, drain, end, ...child }: TurnDelegate
): ((end: DelegateEnd) => void) => {
  const { delegateId, linked, name } = child
  // owned before it is announced, so that the turn ends the child whatever an observer does
  const release =
    end === undefined
      ? undefined
      : resources.own(ledger, { kind: "delegate", id: delegateId, name, keep: !linked, end, drain })
  recorder.append({
    _tag: "DelegateStarted",
    turnId: ledger.origin.turnId,
    ...child,
    ...(callId === undefined ? {} : { callId }),
    depth: session.ancestors.length + 1
  })
  let isOpen = true
  return ({ message, spent, status }) => {
    if (!isOpen) return
    isOpen = false
    release?.()
    const last = message === undefined ? {} : { message }
    recorder.append({ _tag: "DelegateEnded", delegateId, status, ...last, ...(spent === undefined ? {} : { spent }) })
  }
}

/** Returns whether the next intake does more than check the input that waits. */
const isIntakeDue = ({ session, startContexts }: TurnParts, ledger: Ledger): boolean =>
  startContexts.isDue || ledger.ownInput !== undefined || (ledger.areFragmentsDue && session.fragments !== undefined)

/**
 * Records the fragments that the model does not know. Then takes each waiting input in turn, asks the hooks about it,
 * and carries it. An input leaves the inbox with the record that carries it, or stays (contract P2, P5).
 */
const takeInput = Effect.fnUntraced(function* (intake: Intake, waitingInput: () => ReadonlyArray<Entry>) {
  const { isFenced, ledger, recorder, session, startContexts, turn } = intake
  let carried = 0
  if (ledger.areFragmentsDue && session.fragments !== undefined) {
    const update = yield* fragmentsOf(session.fragments, recorder.state.history)
    // mutant fence-after-fragments (I3: a straggler that resumes after the fragments were made records none): drop
    if (isFenced()) return yield* Effect.interrupt
    ledger.areFragmentsDue = false
    for (const { name, text } of update.fragments) {
      ledger.record({ _tag: "UserMessage", content: Input.text(text), fragment: name })
    }
    for (const message of update.warnings) recorder.append({ _tag: "Warning", message })
  }
  let ask = askHooksAbout(intake)
  if (startContexts.isDue) {
    const starting = session.hooks.sessionStart(session.sessionId, session.source)
    const { contexts, stop } = yield* withTurn(turn, starting)
    // mutant fence-after-start-hooks (I3: a straggler that resumes after a start hook records no contexts): drop
    if (isFenced()) return yield* Effect.interrupt
    startContexts.onRecord(recorder.state.seq, contexts.length)
    for (const text of contexts) ledger.record({ _tag: "DeveloperMessage", text })
    if (stop !== undefined) ask = () => Effect.succeed({ block: true, reason: stop, contexts: [] })
  }
  if (ledger.ownInput !== undefined && (yield* carryOwn(intake, ledger.ownInput, ask))) carried++
  for (;;) {
    const entry = waitingInput()[0]
    // a turn that was asked to stop takes no more input; the input that waits is returned (I2, P2)
    if (entry === undefined || ledger.slot.reason() !== undefined) return carried
    if (yield* carry(intake, entry, ask)) carried++
  }
})

const checkUpdate = Schema.decodeUnknownSync(
  Schema.Struct({
    fragments: Schema.Array(Schema.Struct({ name: Schema.String, text: Schema.String })),
    warnings: Schema.Array(Schema.String)
  })
)

/**
 * Returns the fragments to record ahead of the input. If the function of the application throws, dies or returns
 * anything else, the turn runs without new fragments.
 */
const fragmentsOf = (
  make: Fragments.MakeFragments,
  history: History.ItemLog
): Effect.Effect<Fragments.FragmentUpdate> =>
  recover(
    Effect.suspend(() =>
      Effect.map(make(History.fragmentsOf(History.toArray(history))), (update) => checkUpdate(update))
    ),
    (error) =>
      Effect.succeed({
        fragments: [],
        warnings: [`the instructions of this turn could not be made: ${textOf(error)}`]
      })
  )

/**
 * Records the input of a task. It is not in the inbox, because the task was started in code or because its start
 * carried the submission.
 */
const carryOwn = ({ isFenced, ledger, recorder }: Intake, input: Input.Input, ask: AskPrompt): Effect.Effect<boolean> =>
  Effect.flatMap(ask(Input.textOf(input)), (verdict) => {
    // mutant fence-after-the-hooks-of-own-input (I3: a straggler that resumes after a prompt hook does not record the input
    //   of its task):
    //   drop
    if (isFenced()) return Effect.interrupt
    ledger.forgetOwnInput()
    if (verdict.block) {
      const why = verdict.reason === undefined ? "" : `: ${verdict.reason}`
      recorder.append({ _tag: "Warning", message: `a hook blocked the input of this turn${why}` })
    } else ledger.record({ _tag: "UserMessage", content: input })
    for (const text of verdict.contexts) ledger.record({ _tag: "DeveloperMessage", text })
    return Effect.succeed(!verdict.block)
  })

/**
 * Carries one input, or records that a hook blocked it. The contexts of the hooks follow in both cases. Returns whether
 * the input was carried. A notice passes no hook, because it is not input of the user.
 */
const carry = (intake: Intake, entry: Entry, ask: AskPrompt): Effect.Effect<boolean> =>
  entry.fragment === undefined ? carryInput(intake, entry, ask) : carryNotice(intake, entry)

const carryNotice = ({ isFenced, ledger }: Intake, { fragment, input, submissionId }: Entry): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    if (isFenced()) return Effect.interrupt
    ledger.record({ _tag: "UserMessage", content: input, submissionId, fragment: fragment! })
    return Effect.succeed(true)
  })

const carryInput = ({ isFenced, ledger, recorder }: Intake, entry: Entry, ask: AskPrompt): Effect.Effect<boolean> =>
  Effect.flatMap(ask(Input.textOf(entry.input)), (verdict) => {
    // mutant fence-after-a-hook (I3: a straggler that resumes after a prompt hook adds no input to its turn): drop
    if (isFenced()) return Effect.interrupt
    // an abort may have returned the input while the hook ran
    // mutant carried-once (P6: input that left the inbox while its hook ran is not added to a turn again): drop
    if (!recorder.state.inbox.some((one) => one.submissionId === entry.submissionId)) return Effect.succeed(false)
    const { submissionId } = entry
    if (verdict.block) {
      const reason = verdict.reason === undefined ? {} : { reason: verdict.reason }
      recorder.append({ _tag: "InputBlocked", turnId: ledger.origin.turnId, submissionId, ...reason })
    } else ledger.record({ _tag: "UserMessage", content: entry.input, submissionId })
    for (const text of verdict.contexts) ledger.record({ _tag: "DeveloperMessage", text })
    return Effect.succeed(!verdict.block)
  })

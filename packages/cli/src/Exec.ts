/**
 * `spindle exec`: one turn of a session on disk, new or resumed, told as text or as JSON lines.
 */
import * as Fs from "node:fs"
import { Approvals, denyAll } from "@spindle/core/Approvals"
import { both, SessionObserver } from "@spindle/core/SessionObserver"
import { type SessionId, SubmissionId, uuidV7 } from "@spindle/core/Ids"
import { defaults, SessionConfig } from "@spindle/core/SessionConfig"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Session from "@spindle/core/Session"
import * as ApplyPatch from "@spindle/tools/ApplyPatch"
import * as CodingTools from "@spindle/tools/CodingTools"
import { ProcessGroups } from "@spindle/tools/ProcessGroups"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Resume, TurnOptions } from "./Arguments.ts"
import * as CodingAgent from "./CodingAgent.ts"
import { CliError } from "./CliError.ts"
import * as ExecEvents from "./ExecEvents.ts"
import * as Help from "./Help.ts"
import * as Host from "./Host.ts"
import type { Signal } from "./Interrupts.ts"
import * as LatestSession from "./internal/latestSession.ts"
import * as Settings from "./Settings.ts"
import * as Submission from "./Submission.ts"
import { callerOf } from "./TelemetrySettings.ts"
import * as Terminal from "./Terminal.ts"
import * as Tracing from "./Tracing.ts"
import * as TurnInput from "./TurnInput.ts"
import { version } from "./Version.ts"

/** What a signal acts on while a turn runs. */
export interface Running {
  readonly session: Session.Session
  /** Waits until the end of the turn has been shown, and says how to go on when the signal `stopped` it. */
  readonly told: (signal: Signal, stopped: boolean) => Effect.Effect<void>
  readonly killTargets: () => ReadonlyArray<number>
  /** Leaves the terminal as it was, at once. */
  readonly restore: () => void
}

/** What to run. */
export interface ExecOptions {
  readonly options: TurnOptions
  readonly settings: Settings.Settings
  readonly cwd: string
  readonly prompt: string
  readonly resume: Resume | undefined
  /** Who decides when nobody is there to ask. */
  readonly unattended: Approvals
  /**
   * Told about the session as soon as there is one. What it is told stays valid: processes may outlive the turn, and
   * even the session.
   */
  readonly onRunning: (running: Running) => void
}

/** Runs the turn; answers the exit code. **Interruption**: the session is closed, which stops and settles the turn. */
export const run = (
  what: ExecOptions
): Effect.Effect<number, CliError | SessionNotFound | SessionBusy | JournalFailed> =>
  Effect.gen(function* () {
    const input = yield* TurnInput.inputOf(what)
    yield* TurnInput.checkWritable(what.options.lastMessageFile)
    const opened = yield* open(what)
    const { session } = opened
    const shown = yield* what.options.json ? jsonLines(session, what) : transcript(session, what)
    opened.show(shown, Settings.approval(what.settings) === "deny" ? denyAll("the approval policy is never") : shown)
    const ended = yield* announce(session, shown, what)
    const id = SubmissionId.make(uuidV7(Date.now()))
    const following = yield* Effect.forkChild(follow(session, { from: opened.from, id }, shown.show), {
      startImmediately: true
    })
    const { trace, warning } = callerOf(process.env)
    if (warning !== undefined) process.stderr.write(`spindle: ${warning}\n`)
    const receipt = yield* session.submit(
      { _tag: "UserInput", input, delivery: "queue" },
      { id, ...(trace === undefined ? {} : { trace }) }
    )
    if (receipt._tag === "Rejected") return yield* failed(`the prompt was not accepted: ${rejectionOf(receipt.reason)}`)
    const end = yield* Fiber.join(following)
    yield* session.awaitIdle
    if (what.options.lastMessageFile !== undefined) yield* writeLast(what.options.lastMessageFile, end.lastMessage)
    yield* Deferred.succeed(ended, undefined)
    if (end.failure !== undefined && !shown.isWatched) process.stderr.write(`spindle: ${end.failure}\n`)
    return end.isCompleted ? Help.exitCodes.ok : Help.exitCodes.failed
  }).pipe(
    Effect.scoped,
    Effect.provide(
      CodingAgent.layer(what).pipe(
        Layer.provideMerge(
          Layer.mergeAll(
            Host.model(what.settings, { paced: process.stdout.isTTY === true && !what.options.json }),
            CodingTools.layer({ cwd: what.cwd }).pipe(Layer.provideMerge(Host.layerFor(what.settings, process.env))),
            Host.journals(what.settings.home)
          )
        ),
        Layer.provideMerge(telemetry(what))
      )
    )
  )

/** Traces and metrics of the turn; what of their settings was not understood is said first. */
const telemetry = ({ options, settings }: ExecOptions): Layer.Layer<never> => {
  for (const warning of settings.telemetry?.warnings ?? []) process.stderr.write(`spindle: ${warning}\n`)
  return Tracing.layer(settings.telemetry, {
    isShown: options.trace,
    write: (text) => void process.stderr.write(text)
  })
}

/** Makes the session. `from` is the first record to show: what a resume had to say comes before what is submitted. */
const open = Effect.fnUntraced(function* ({ cwd, options, resume: named, settings }: ExecOptions) {
  const output = yield* TurnInput.outputFormat(options.outputSchemaFile)
  const resume = yield* resumeOf(named)
  const agent = CodingAgent.make({ cwd, settings, output })
  let decider = denyAll("nobody is there to ask")
  let resumedAt: number | undefined
  const onEvent = (event: SessionEvent) => {
    if (event._tag === "SessionResumed") resumedAt = event.seq
  }
  let onAgent: (sessionId: SessionId, event: SessionEvent) => void = () => undefined
  const { requestRetries, streamRetries } = settings.provider._tag === "Responses" ? settings.provider : defaults
  const session = yield* Session.make(agent, {
    ...(resume === undefined ? {} : { resume, onEvent }),
    meta: {
      cwd,
      model: settings.model,
      program: `spindle ${version}`,
      ...(options.threadSource === undefined ? {} : { source: options.threadSource })
    }
  }).pipe(
    Effect.provideService(Approvals, { decide: (request) => decider.decide(request) }),
    Effect.provideService(
      SessionObserver,
      both(yield* SessionObserver, { onEvent: (sessionId, event) => onAgent(sessionId, event) })
    ),
    CodingAgent.limited(settings),
    Effect.provideService(SessionConfig, { ...defaults, requestRetries, streamRetries })
  )
  const from = resumedAt ?? (yield* session.snapshot).seq
  return {
    session,
    from,
    show: (shown: Shown, to: Approvals) => {
      decider = to
      onAgent = shown.showAgent
    }
  }
})

/** Tells main what a signal acts on; answers what is to be filled when the end of the turn has been shown. */
const announce = Effect.fnUntraced(function* (session: Session.Session, shown: Shown, { onRunning }: ExecOptions) {
  const groups = yield* ProcessGroups
  const ended = yield* Deferred.make<void>()
  const told = (signal: Signal, stopped: boolean) =>
    Effect.andThen(
      Effect.timeoutOption(Deferred.await(ended), showLimit),
      stopped ? shown.stopped(signal) : Effect.void
    )
  onRunning({ session, told, killTargets: groups.killTargets, restore: shown.restore })
  return ended
})

/** How long a signal waits for the end of the turn to be shown. */
const showLimit = "1 second"

const failed = (detail: string, exitCode: number = Help.exitCodes.failed) =>
  Effect.fail(new CliError({ detail, exitCode }))

const rejectionOf = (reason: { readonly _tag: string }): string =>
  ({
    EmptyInput: "it is empty",
    InputTooLarge: "it is too large",
    InboxFull: "too many prompts wait already",
    SessionClosed: "the session is closed"
  })[reason._tag] ?? reason._tag

/** Shows what the session tells until the submission has met its fate; answers which. */
const follow = (
  session: Session.Session,
  { from, id }: { readonly from: number; readonly id: SubmissionId },
  show: (event: SessionEvent) => Effect.Effect<void>
): Effect.Effect<Submission.End, JournalFailed> => {
  let state = Submission.begin(id)
  return session.events({ from }).pipe(
    Stream.takeUntil((event) => {
      state = Submission.step(state, event)
      return state.end !== undefined
    }),
    Stream.runForEach(show),
    Effect.map(() => state.end ?? Submission.lost)
  )
}

/** How events reach whoever ran the program. */
interface Shown extends Approvals {
  readonly show: (event: SessionEvent) => Effect.Effect<void>
  /** Told every event of the session and of the agents below it; shows who works for whom. */
  readonly showAgent: (sessionId: SessionId, event: SessionEvent) => void
  /** Whether a person sees on a terminal what is shown: what went wrong then needs no second line. */
  readonly isWatched: boolean
  /** What is still to be said when a signal has stopped the turn. */
  readonly stopped: (signal: Signal) => Effect.Effect<void>
  readonly restore: () => void
}

const jsonLines = (session: Session.Session, what: ExecOptions): Effect.Effect<Shown> =>
  Effect.map(session.snapshot, ({ usage }) => {
    const write = (lines: ReadonlyArray<ExecEvents.ExecLine>) => {
      for (const line of lines) process.stdout.write(`${JSON.stringify(line)}\n`)
    }
    let [state, first] = ExecEvents.begin({
      sessionId: session.sessionId,
      cwd: what.cwd,
      usage,
      changesOf: (patch) =>
        ApplyPatch.changesOf(patch).map(({ kind, path }) => ({ path, kind: kind === "move" ? "update" : kind }))
    })
    write(first)
    return {
      show: (event) =>
        Effect.sync(() => {
          const [next, lines] = ExecEvents.step(state, event)
          state = next
          write(lines)
        }),
      // the calls that start agents are lines of the session
      showAgent: () => undefined,
      decide: what.unattended.decide,
      isWatched: false,
      stopped: () => sayHowToGoOn(session.sessionId),
      restore: () => undefined
    }
  })

const transcript = (session: Session.Session, what: ExecOptions) =>
  Effect.map(
    Terminal.make({
      sessionId: session.sessionId,
      output: process.stdout,
      keyboard: process.stdin,
      color: what.options.color,
      env: process.env,
      onCtrlC: () => process.kill(process.pid, "SIGINT")
    }),
    (terminal): Shown => ({
      show: terminal.show,
      showAgent: terminal.showAgent,
      decide: terminal.isAttended ? terminal.decider.decide : what.unattended.decide,
      isWatched: process.stdout.isTTY === true,
      // the transcript says it by itself, as long as somebody reads it
      stopped: (signal) => (signal === "SIGPIPE" ? sayHowToGoOn(session.sessionId) : Effect.void),
      restore: terminal.restore
    })
  )

const sayHowToGoOn = (sessionId: SessionId) =>
  Effect.sync(() => void process.stderr.write(`Stopped. To go on: spindle exec resume ${sessionId}\n`))

const writeLast = (file: string, lastMessage: string | undefined) =>
  Effect.try({
    try: () => Fs.writeFileSync(file, lastMessage ?? ""),
    catch: (error) =>
      new CliError({ detail: `cannot write ${file}: ${TurnInput.reasonOf(error)}`, exitCode: Help.exitCodes.failed })
  })

const resumeOf = Effect.fnUntraced(function* (resume: Resume | undefined) {
  if (resume === undefined) return undefined
  if (resume._tag === "Id") return resume.id as SessionId
  return (yield* LatestSession.latest) ?? (yield* failed("there is no session to resume"))
})

/**
 * `spindle exec`: runs one prompt in a new or resumed session and shows it as text or as JSON lines. The answer goes to
 * standard output, or every line of JSON does; everything else goes to standard error.
 */
import * as Path from "node:path"
import * as App from "@spindle/app/App"
import type { PromptUnusable } from "@spindle/app/CustomPrompts"
import * as CodingAgent from "@spindle/app/CodingAgent"
import * as Directories from "@spindle/app/Directories"
import * as Exec from "@spindle/app/Exec"
import * as RuleFiles from "@spindle/app/RuleFiles"
import * as PatchCommand from "@spindle/app/PatchCommand"
import * as Settings from "@spindle/app/Settings"
import * as StoredSessions from "@spindle/app/StoredSessions"
import type * as Submission from "@spindle/app/Submission"
import { callerOf } from "@spindle/app/TelemetrySettings"
import type { McpFailed } from "@spindle/app/App"
import type { Approvals } from "@spindle/core/Approvals"
import type { SessionId } from "@spindle/core/Ids"
import { Journal } from "@spindle/core/Journal"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import type { Op } from "@spindle/core/Op"
import type { SessionEvent, TaskNote } from "@spindle/core/SessionEvent"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Resume, TurnOptions } from "../args/Arguments.ts"
import * as Help from "../args/Help.ts"
import { version } from "../args/Version.ts"
import type { Signal } from "../Interrupts.ts"
import * as Ansi from "../output/Ansi.ts"
import { reasonOf, textOf } from "../output/failures.ts"
import * as Header from "../output/header.ts"
import * as JsonLines from "../output/JsonLines.ts"
import * as Log from "../output/Log.ts"
import { rejectedByUser, type Unattended } from "../output/reasons.ts"
import * as Person from "../terminal/Person.ts"
import * as Terminal from "../terminal/Terminal.ts"
import { CliError } from "./CliError.ts"
import * as DemoModel from "./DemoModel.ts"
import * as Platform from "./Platform.ts"
import * as NamedFiles from "./namedFiles.ts"
import * as TurnInput from "./TurnInput.ts"

/** The running turn, for a signal to act on. */
export interface Running extends Pick<App.Opened, "session" | "killTargets"> {
  /** Waits until the end of the turn has been shown. If the signal `stopped` it, shows how to continue. */
  readonly finish: (signal: Signal, stopped: boolean) => Effect.Effect<void>
  /** Leaves the terminal as it was, at once. */
  readonly restore: () => void
}

/** A task of a session. `resultOf` returns its answer and exit code from its notes; by default they are those of its turn. */
export interface TaskRun {
  readonly op: Op
  readonly resultOf?: (notes: ReadonlyArray<TaskNote>) => { readonly answer: string; readonly code: number } | undefined
  /** The session that it needs, in words for a person who has none. Default: one to resume. */
  readonly needs?: string | undefined
}

/** The prompt or the task to run, and its options. */
export interface ExecOptions {
  readonly options: TurnOptions
  readonly settings: Settings.Settings
  readonly cwd: string
  readonly prompt: string
  /** A task to run in place of the prompt. */
  readonly task?: TaskRun | undefined
  /** A task to run in place of the prompt if a person is at the terminal, who typed it. */
  readonly taskOfPerson?: TaskRun | undefined
  readonly resume: Resume | undefined
  /** Returns how questions are answered if there is no terminal to ask at. */
  readonly makeUnattended: (isSandboxed: boolean) => Unattended
  /**
   * Called once the session exists. The handle stays valid afterwards, because processes can outlive the turn and the
   * session.
   */
  readonly onRunning: (running: Running) => void
}

/** Runs the prompt and returns the exit code. **Interruption** closes the session, which stops and settles the turn. */
export const run = (
  what: ExecOptions
): Effect.Effect<
  number,
  | CliError
  | PromptUnusable
  | McpFailed
  | Exec.PromptRejected
  | SessionNotFound
  | SessionBusy
  | JournalFailed
  | StoredSessions.SessionAmbiguous
> =>
  Effect.gen(function* () {
    const { cwd, options, settings } = what
    const input = what.task === undefined ? yield* TurnInput.inputOf(what) : []
    yield* TurnInput.checkWritable(options.lastMessageFile)
    yield* makeDirectory(Path.join(settings.home, "sessions"))
    yield* installPatchCommand(settings.home)
    const output = yield* TurnInput.outputFormat(options.outputSchemaFile)
    const { trace, warning } = callerOf(process.env)
    warn([
      ...settings.warnings,
      ...ruleWarnings(what),
      ...(settings.telemetry?.warnings ?? []),
      ...(warning === undefined ? [] : [warning])
    ])
    const person = options.json ? undefined : Person.find()
    const wanted = person === undefined ? what : { ...what, task: what.task ?? what.taskOfPerson }
    const executed = Effect.gen(function* () {
      const { unattended, ...said } = yield* consequences(wanted, person)
      return yield* execute({ ...wanted, ...said, input, output, trace, person, unattended })
    })
    return yield* executed.pipe(
      Effect.scoped,
      Effect.provide(
        App.layer({
          cwd,
          settings,
          output,
          serveScripted: DemoModel.serve({ paced: process.stderr.isTTY === true && !options.json }),
          tracing: { isShown: options.trace, version, write: (text) => void process.stderr.write(text) }
        })
      )
    )
  }).pipe(Effect.provide(Platform.layer(what.settings)))

/** The consequences of the settings on this machine. */
interface Consequences {
  /** Answers questions if there is no terminal to ask at. */
  readonly unattended: Approvals
  /** True if calls that need approval are refused, or approved by the demo, without asking a person. */
  readonly isUnattended: boolean
  /** True if commands run in a sandbox. */
  readonly isSandboxed: boolean
  /** Notices for a person before the turn: that there is no sandbox, and whether calls that need approval are refused. */
  readonly notices: ReadonlyArray<string>
}

const consequences = Effect.fnUntraced(function* (what: ExecOptions, person: Person.Person | undefined) {
  const { settings } = what
  const sandbox = yield* Effect.result(CodingAgent.isSandboxed(settings))
  const isSandboxed = Result.getOrElse(sandbox, () => false)
  const permissions = Object.values(Settings.permissionsOf(settings, isSandboxed))
  const { approvals, notice } = what.makeUnattended(isSandboxed)
  const isAttended = person !== undefined && !permissions.includes("deny")
  const isUnattended = !isAttended && permissions.some((permission) => permission !== "allow")
  const result: Consequences = {
    unattended: approvals,
    isUnattended,
    isSandboxed,
    // a task runs no command of a model
    notices:
      what.task === undefined
        ? [
            ...(Result.isFailure(sandbox)
              ? [`${sandbox.failure.message}. Commands run without it once they are approved.`]
              : []),
            ...(isUnattended ? [notice] : [])
          ]
        : []
  }
  return result
})

interface Execution
  extends Omit<ExecOptions, "makeUnattended">, Consequences, Pick<Exec.Options<never>, "input" | "output" | "trace"> {
  readonly person: Person.Person | undefined
}

const execute = Effect.fnUntraced(function* (what: Execution) {
  const { json, lastMessageFile, threadSource } = what.options
  const resume = yield* resumeOf(what)
  const sayNotices = yield* Effect.cached(Effect.sync(() => warn(what.notices)))
  const shown = yield* Deferred.make<void>()
  const onOpen = (face: Face, { killTargets, session }: App.Opened) => {
    const finish = (signal: Signal, stopped: boolean) =>
      Effect.andThen(
        Effect.timeoutOption(Deferred.await(shown), showLimit),
        stopped ? face.stopped(signal) : Effect.void
      )
    what.onRunning({ session, finish, killTargets, restore: face.restore })
  }
  const report = yield* Exec.run({
    ...what,
    commandLine: { config: what.options.config, flags: what.options },
    op: what.task?.op,
    resume,
    meta: {
      program: `spindle ${version}`,
      ...(threadSource === undefined ? {} : { source: threadSource })
    },
    face: (sessionId) =>
      Effect.map(faceOf(what, sessionId), (face) => ({
        ...face,
        // programs that read the lines expect nothing else, unless something is refused
        show: (event) => (json && isRefusal(event) ? Effect.andThen(sayNotices, face.show(event)) : face.show(event)),
        onOpen: (opened) =>
          Effect.andThen(
            Effect.andThen(face.onOpen(opened), json ? Effect.void : sayNotices),
            Effect.sync(() => onOpen(face, opened))
          )
      }))
  })
  const result = what.task?.resultOf?.(report.notes)
  const answer = what.task === undefined || report.isCompleted ? (result?.answer ?? report.lastMessage) : undefined
  if (lastMessageFile !== undefined) yield* writeLast(lastMessageFile, answer)
  yield* Deferred.succeed(shown, undefined)
  if (json && report.failure !== undefined) warn([textOf(report.failure, what.settings.home)])
  if (!json && answer !== undefined) writeAnswer(answer)
  if (!report.isCompleted) return Help.exitCodes.failed
  if (result !== undefined) return result.code
  return what.isUnattended && isAllRefused(report) ? Help.exitCodes.refused : Help.exitCodes.ok
})

const ruleWarnings = ({ cwd, settings: { home } }: ExecOptions) =>
  RuleFiles.warningsOf(home, RuleFiles.read({ home, cwd }))

/** True if something was refused, and no question had another answer. */
const isAllRefused = ({ decisions }: Submission.Report): boolean =>
  decisions.some(isRefusal) && decisions.every((one) => one._tag === "CallDecided" || isRefusal(one))

/** True if an event refuses a call without a person: neither a hook nor somebody at the terminal has decided. */
const isRefusal = (event: SessionEvent): boolean => {
  switch (event._tag) {
    case "QuestionSettled":
      return event.decision._tag === "Denied" && event.decision.reason !== rejectedByUser
    case "CallDecided":
      return event.permission === "deny" && event.source !== "hook"
    default:
      return false
  }
}

/** Writes the answer to standard output, unless it has just been shown at the same terminal. */
const writeAnswer = (text: string) => {
  const { stderr, stdout } = process
  if (stdout.isTTY === true && stderr.isTTY === true) return
  const shown = stdout.isTTY === true ? Ansi.toVisible(text) : Ansi.escapeControls(text)
  stdout.write(shown.endsWith("\n") ? shown : `${shown}\n`)
}

/** The time that a signal waits for the end of the turn to be shown. */
const showLimit = "1 second"

const warn = (messages: ReadonlyArray<string>) => {
  for (const message of messages) Log.say(message)
}

/** The face of the session, with the part that a signal needs. */
interface Face extends Exec.Face {
  /** Shows how to continue after a signal has stopped the turn. */
  readonly stopped: (signal: Signal) => Effect.Effect<void>
  readonly restore: () => void
}

const faceOf = (what: Execution, sessionId: SessionId): Effect.Effect<Face, never, Scope.Scope> =>
  what.options.json ? Effect.sync(() => jsonLines(what, sessionId)) : transcript(what, sessionId)

const jsonLines = ({ cwd, unattended }: Execution, sessionId: SessionId): Face => ({
  ...JsonLines.make({ sessionId, cwd, write: (line) => void process.stdout.write(`${line}\n`) }),
  approvals: unattended,
  stopped: () => sayHowToContinue(sessionId),
  restore: () => undefined
})

const transcript = (what: Execution, sessionId: SessionId): Effect.Effect<Face, never, Scope.Scope> => {
  const { cwd, options, person, unattended } = what
  return Effect.map(
    Terminal.make({
      sessionId,
      cwd,
      output: process.stderr,
      keyboard: person?.keyboard ?? process.stdin,
      screen: person?.screen,
      color: options.color,
      verbose: options.verbose,
      contextWindow: (model) => what.settings.catalog.models.get(model)?.contextWindow,
      env: process.env,
      onCtrlC: () => process.kill(process.pid, "SIGINT")
    }),
    (terminal): Face => ({
      onOpen: ({ session }) => Effect.map(session.snapshot, (snapshot) => terminal.open(snapshot, Header.lines(what))),
      show: terminal.show,
      observer: { onEvent: terminal.showAgent },
      approvals: terminal.approvals ?? unattended,
      // the transcript ends with it
      stopped: () => Effect.void,
      restore: terminal.restore
    })
  )
}

const sayHowToContinue = (sessionId: SessionId) =>
  Effect.sync(() => void process.stderr.write(`resume: spindle exec resume ${sessionId}\n`))

const writeLast = (file: string, lastMessage: string | undefined) =>
  Effect.tryPromise({
    try: (signal) => NamedFiles.write(file, lastMessage ?? "", signal),
    catch: (error) => failure(`cannot write ${file}: ${reasonOf(error)}`)
  })

/** Without `apply_patch` on their path, commands work, so a failure is only logged. */
const installPatchCommand = (home: string) =>
  Effect.catch(
    Effect.try({
      try: () => PatchCommand.installUnsafe(home, [process.execPath, Path.resolve(process.argv[1]!)]),
      catch: (error) => reasonOf(error)
    }),
    (reason) => Effect.logWarning(`cannot install the command apply_patch: ${reason}`)
  )

const makeDirectory = (path: string) =>
  Effect.try({
    try: () => Directories.makeUnsafe(path),
    catch: (error) => failure(`cannot make the directory ${path}: ${reasonOf(error)}`)
  })

const failure = (detail: string) => new CliError({ detail, exitCode: Help.exitCodes.failed })

const resumeOf = Effect.fnUntraced(function* ({ cwd, person, resume, task }: Execution) {
  if (resume === undefined) return undefined
  if (resume._tag === "Id") {
    const sessionId = yield* StoredSessions.find(resume.id)
    yield* checkDirectory(sessionId, cwd, person)
    return sessionId
  }
  const latest = yield* StoredSessions.findLatest(resume.all ? {} : { cwd })
  if (latest === undefined) {
    const wanted = task?.needs ?? "to resume"
    return yield* failure(
      resume.all
        ? `there is no session ${wanted}`
        : `there is no session of ${cwd} ${wanted} (--all: the last one of any directory)`
    )
  }
  if (resume.all) yield* checkDirectory(latest, cwd, person)
  return latest
})

/** Says that a session worked in another directory, and asks whether it shall continue in this one if a person is there. */
const checkDirectory = Effect.fnUntraced(function* (
  sessionId: SessionId,
  cwd: string,
  person: Person.Person | undefined
) {
  const journal = yield* Journal
  const { records } = yield* journal.load(sessionId)
  const directory = StoredSessions.directoryOf(records)
  if (directory === undefined || StoredSessions.isSameDirectory(directory, cwd)) return
  Log.say(`this session worked in ${directory}; it continues in ${cwd}`)
  if (person === undefined) return
  const isWanted = yield* Terminal.confirm(person, "Continue here?")
  if (!isWanted) return yield* failure(`the session was not resumed; to continue it there: --cd ${directory}`)
})

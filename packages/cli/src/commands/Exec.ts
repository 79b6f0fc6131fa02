/**
 * `spindle exec`: runs one prompt in a new or resumed session and shows it as text or as JSON lines.
 */
import * as Fs from "node:fs"
import * as App from "@spindle/app/App"
import * as Exec from "@spindle/app/Exec"
import type * as Settings from "@spindle/app/Settings"
import * as StoredSessions from "@spindle/app/StoredSessions"
import { callerOf } from "@spindle/app/TelemetrySettings"
import type { Approvals } from "@spindle/core/Approvals"
import type { SessionId } from "@spindle/core/Ids"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Resume, TurnOptions } from "../args/Arguments.ts"
import * as Help from "../args/Help.ts"
import { version } from "../args/Version.ts"
import type { Signal } from "../Interrupts.ts"
import * as JsonLines from "../output/JsonLines.ts"
import * as Terminal from "../terminal/Terminal.ts"
import { CliError } from "./CliError.ts"
import * as DemoModel from "./DemoModel.ts"
import * as Platform from "./Platform.ts"
import * as TurnInput from "./TurnInput.ts"

/** What a signal acts on while a turn runs. */
export interface Running extends Pick<App.Opened, "session" | "killTargets"> {
  /** Waits until the end of the turn has been shown. If the signal `stopped` it, shows how to continue. */
  readonly finish: (signal: Signal, stopped: boolean) => Effect.Effect<void>
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
  /** Answers questions if there is no terminal to ask at. */
  readonly unattended: Approvals
  /**
   * Called once the session exists. The handle stays valid afterwards, because processes can outlive the turn and the
   * session.
   */
  readonly onRunning: (running: Running) => void
}

/** Runs the prompt and returns the exit code. **Interruption** closes the session, which stops and settles the turn. */
export const run = (
  what: ExecOptions
): Effect.Effect<number, CliError | Exec.PromptRejected | SessionNotFound | SessionBusy | JournalFailed> =>
  Effect.gen(function* () {
    const { cwd, options, settings } = what
    const input = yield* TurnInput.inputOf(what)
    yield* TurnInput.checkWritable(options.lastMessageFile)
    const output = yield* TurnInput.outputFormat(options.outputSchemaFile)
    const { trace, warning } = callerOf(process.env)
    warn([...(settings.telemetry?.warnings ?? []), ...(warning === undefined ? [] : [warning])])
    return yield* execute({ ...what, input, output, trace }).pipe(
      Effect.scoped,
      Effect.provide(
        App.layer({
          cwd,
          settings,
          output,
          serveScripted: DemoModel.serve({ paced: process.stdout.isTTY === true && !options.json }),
          tracing: { isShown: options.trace, version, write: (text) => void process.stderr.write(text) }
        })
      )
    )
  }).pipe(Effect.provide(Platform.layer(what.settings)))

type Execution = ExecOptions & Pick<Exec.Options<never>, "input" | "output" | "trace">

const execute = Effect.fnUntraced(function* (what: Execution) {
  const { lastMessageFile, threadSource } = what.options
  const resume = yield* resumeOf(what.resume)
  const shown = yield* Deferred.make<void>()
  const onOpen = (face: Face, { killTargets, session }: App.Opened) => {
    const finish = (signal: Signal, stopped: boolean) =>
      Effect.andThen(
        Effect.timeoutOption(Deferred.await(shown), showLimit),
        stopped ? face.stopped(signal) : Effect.void
      )
    what.onRunning({ session, finish, killTargets, restore: face.restore })
  }
  const end = yield* Exec.run({
    ...what,
    resume,
    meta: {
      program: `spindle ${version}`,
      ...(threadSource === undefined ? {} : { source: threadSource })
    },
    face: (sessionId) =>
      Effect.map(faceOf(what, sessionId), (face) => ({
        ...face,
        onOpen: (opened) =>
          Effect.andThen(
            face.onOpen(opened),
            Effect.sync(() => onOpen(face, opened))
          )
      }))
  })
  if (lastMessageFile !== undefined) yield* writeLast(lastMessageFile, end.lastMessage)
  yield* Deferred.succeed(shown, undefined)
  const isWatched = !what.options.json && process.stdout.isTTY === true
  if (end.failure !== undefined && !isWatched) warn([end.failure])
  return end.isCompleted ? Help.exitCodes.ok : Help.exitCodes.failed
})

/** How long a signal waits for the end of the turn to be shown. */
const showLimit = "1 second"

const warn = (messages: ReadonlyArray<string>) => {
  for (const message of messages) process.stderr.write(`spindle: ${message}\n`)
}

/** What shows the session, with what a signal needs of it. */
interface Face extends Exec.Face {
  /** Shows how to continue after a signal has stopped the turn. */
  readonly stopped: (signal: Signal) => Effect.Effect<void>
  readonly restore: () => void
}

const faceOf = (what: ExecOptions, sessionId: SessionId): Effect.Effect<Face, never, Scope.Scope> =>
  what.options.json ? Effect.sync(() => jsonLines(what, sessionId)) : transcript(what, sessionId)

const jsonLines = ({ cwd, unattended }: ExecOptions, sessionId: SessionId): Face => ({
  ...JsonLines.make({ sessionId, cwd, write: (line) => void process.stdout.write(`${line}\n`) }),
  approvals: unattended,
  stopped: () => sayHowToContinue(sessionId),
  restore: () => undefined
})

const transcript = (
  { cwd, options, unattended }: ExecOptions,
  sessionId: SessionId
): Effect.Effect<Face, never, Scope.Scope> =>
  Effect.map(
    Terminal.make({
      sessionId,
      cwd,
      output: process.stdout,
      keyboard: process.stdin,
      color: options.color,
      env: process.env,
      onCtrlC: () => process.kill(process.pid, "SIGINT")
    }),
    (terminal): Face => ({
      onOpen: ({ session }) => Effect.map(session.snapshot, terminal.resume),
      show: terminal.show,
      observer: { onEvent: terminal.showAgent },
      approvals: terminal.approvals ?? unattended,
      // the transcript ends with it, unless its reader has gone
      stopped: (signal) => (signal === "SIGPIPE" ? sayHowToContinue(sessionId) : Effect.void),
      restore: terminal.restore
    })
  )

const sayHowToContinue = (sessionId: SessionId) =>
  Effect.sync(() => void process.stderr.write(`resume: spindle exec resume ${sessionId}\n`))

const writeLast = (file: string, lastMessage: string | undefined) =>
  Effect.try({
    try: () => Fs.writeFileSync(file, lastMessage ?? ""),
    catch: (error) => failed(`cannot write ${file}: ${TurnInput.reasonOf(error)}`)
  })

const failed = (detail: string) => new CliError({ detail, exitCode: Help.exitCodes.failed })

const resumeOf = Effect.fnUntraced(function* (resume: Resume | undefined) {
  if (resume === undefined) return undefined
  if (resume._tag === "Id") return resume.id as SessionId
  return (yield* StoredSessions.latest) ?? (yield* failed("there is no session to resume"))
})

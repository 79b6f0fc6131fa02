/**
 * `spindle exec`: one turn of a session on disk, new or resumed, told as text or as JSON lines.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Agent from "@spindle/core/Agent"
import { Approvals, type Decider, denyAll } from "@spindle/core/ports/Approvals"
import { Journal } from "@spindle/core/ports/Journal"
import type { OutputFormat } from "@spindle/core/ports/Model"
import type { SessionId } from "@spindle/core/protocol/Ids"
import type { Input } from "@spindle/core/protocol/Input"
import { defaults, SessionConfig } from "@spindle/core/protocol/SessionConfig"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/protocol/SessionError"
import { isTerminal, type SessionEvent, type Terminal as TerminalRecord } from "@spindle/core/protocol/SessionEvent"
import { Session } from "@spindle/core/Session"
import * as ApplyPatch from "@spindle/tools/ApplyPatch"
import * as CodingTools from "@spindle/tools/CodingTools"
import { ProcessGroups } from "@spindle/tools/ProcessGroups"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Resume, TurnOptions } from "./Arguments.ts"
import { CliError } from "./CliError.ts"
import * as ExecEvents from "./ExecEvents.ts"
import * as Help from "./Help.ts"
import * as Host from "./Host.ts"
import * as Settings from "./Settings.ts"
import * as Terminal from "./Terminal.ts"
import { version } from "./Version.ts"

/** What a signal acts on while a turn runs. */
export interface Running {
  readonly session: Session["Service"]
  /** Waits until the end of the turn has been shown, and with it how to go on. */
  readonly told: Effect.Effect<void>
  readonly liveGroups: () => ReadonlyArray<number>
}

/** What to run. */
export interface ExecOptions {
  readonly options: TurnOptions
  readonly settings: Settings.Settings
  readonly cwd: string
  readonly prompt: string
  readonly resume: Resume | undefined
  /** Who decides when nobody is there to ask. */
  readonly unattended: Decider
  /** Told about the session as soon as there is one, and undefined when it is closed. */
  readonly onRunning: (running: Running | undefined) => void
}

/** How an agent of this program behaves, unless the configuration says otherwise. */
const instructions = (cwd: string): string =>
  [
    "You are a coding agent. You work on the project in the current directory, with the tools you are given.",
    `Current directory: ${cwd}`,
    "Look before you change something, change as little as is needed, and check what you changed by running it.",
    "Edit files with apply_patch. When you are done, say in a few sentences what you did and what you found."
  ].join("\n")

/** Runs the turn; answers the exit code. **Interruption**: the session is closed, which stops and settles the turn. */
export const run = (
  what: ExecOptions
): Effect.Effect<number, CliError | SessionNotFound | SessionBusy | JournalFailed> =>
  Effect.gen(function* () {
    const { options, settings } = what
    const input = yield* inputOf(what)
    const output = yield* outputFormat(options.outputSchemaFile)
    const resume = yield* resumeOf(what.resume)
    const approval = Settings.approval(settings)
    const policies = CodingTools.policies({ approval: approval === "allow" ? "allow" : "ask", cwd: what.cwd })
    const agent = Agent.make({
      toolkit: CodingTools.toolkit,
      approvals: policies,
      instructions: settings.instructions ?? instructions(what.cwd),
      ...(output === undefined ? {} : { output })
    })
    const decider: { current: Decider } = { current: denyAll("nobody is there to ask") }
    const retries = settings.provider._tag === "Responses" ? settings.provider : defaults
    const session = yield* Session.make(agent, {
      ...(resume === undefined ? {} : { resume }),
      meta: { cwd: what.cwd, model: settings.model, program: `spindle ${version}` }
    }).pipe(
      Effect.provideService(Approvals, { decide: (request) => decider.current.decide(request) }),
      Effect.provideService(SessionConfig, {
        ...defaults,
        requestRetries: retries.requestRetries,
        streamRetries: retries.streamRetries
      })
    )
    const shown = yield* options.json ? jsonLines(session, what) : transcript(session, what)
    decider.current = approval === "deny" ? denyAll("the approval policy is never") : shown.decider
    const groups = yield* ProcessGroups
    const ended = yield* Deferred.make<void>()
    const told = Effect.andThen(Effect.timeoutOption(Deferred.await(ended), showLimit), shown.interrupted)
    what.onRunning({ session, told, liveGroups: groups.liveGroups })
    yield* Effect.addFinalizer(() => Effect.sync(() => what.onRunning(undefined)))
    const { seq } = yield* session.snapshot
    const receipt = yield* session.submit({ _tag: "UserInput", input, delivery: "queue" })
    if (receipt._tag === "Rejected") return yield* failed(`the prompt was not accepted: ${rejectionOf(receipt.reason)}`)
    const end = yield* follow(session, seq, shown.show)
    yield* session.awaitIdle
    if (options.lastMessageFile !== undefined) yield* writeLast(options.lastMessageFile, end)
    yield* Deferred.succeed(ended, undefined)
    return end?._tag === "TurnCompleted" ? Help.exitCodes.ok : Help.exitCodes.failed
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        Host.model(what.settings, { paced: process.stdout.isTTY === true && !what.options.json }),
        CodingTools.layer({ cwd: what.cwd }).pipe(Layer.provideMerge(Host.layer)),
        Host.journals(what.settings.home)
      )
    )
  )

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

/** Shows what the session tells until the turn that was asked for has ended; answers how it ended. */
const follow = (
  session: Session["Service"],
  from: number,
  show: (event: SessionEvent) => Effect.Effect<void>
): Effect.Effect<TerminalRecord | undefined, JournalFailed> => {
  let end: TerminalRecord | undefined
  return session.events({ from }).pipe(
    Stream.takeUntil((event) => {
      if (isTerminal(event)) end = event
      return end !== undefined
    }),
    Stream.runForEach(show),
    Effect.map(() => end)
  )
}

/** How events reach whoever ran the program. */
interface Shown {
  readonly show: (event: SessionEvent) => Effect.Effect<void>
  readonly decider: Decider
  /** What is still to be said when a signal has stopped the turn; the transcript says it by itself. */
  readonly interrupted: Effect.Effect<void>
}

const jsonLines = (session: Session["Service"], what: ExecOptions): Effect.Effect<Shown> =>
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
      decider: what.unattended,
      interrupted: Effect.sync(() => void process.stderr.write(`${howToGoOn(session.sessionId)}\n`))
    }
  })

const transcript = (session: Session["Service"], what: ExecOptions) =>
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
      decider: terminal.isAttended ? terminal.decider : what.unattended,
      interrupted: Effect.void
    })
  )

const howToGoOn = (sessionId: SessionId): string => `Stopped. To go on: spindle exec resume ${sessionId}`

const writeLast = (file: string, end: TerminalRecord | undefined) =>
  Effect.try({
    try: () => Fs.writeFileSync(file, end?.lastMessage ?? ""),
    catch: (error) =>
      new CliError({ detail: `cannot write ${file}: ${reasonOf(error)}`, exitCode: Help.exitCodes.failed })
  })

const resumeOf = Effect.fnUntraced(function* (resume: Resume | undefined) {
  if (resume === undefined) return undefined
  if (resume._tag === "Id") return resume.id as SessionId
  const journal = yield* Journal
  const latest = (yield* journal.list)[0]
  return latest === undefined ? yield* failed("there is no session to resume") : latest.sessionId
})

const inputOf = Effect.fnUntraced(function* ({ cwd, options, prompt }: ExecOptions) {
  const images: Array<Input[number]> = []
  for (const file of options.images) images.push({ _tag: "Image", url: yield* imageUrl(Path.resolve(cwd, file), file) })
  const text: Input = prompt === "" ? [] : [{ _tag: "Text", text: prompt }]
  return [...text, ...images] satisfies Input
})

const mediaTypes: { readonly [extension: string]: string } = {
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp"
}

const imageUrl = (path: string, name: string) => {
  const type = mediaTypes[Path.extname(path).toLowerCase()]
  if (type === undefined)
    return failed(`${name} is no image that can be sent (png, jpeg, gif, webp)`, Help.exitCodes.usage)
  return Effect.map(read(path, name), (bytes) => `data:${type};base64,${bytes.toString("base64")}`)
}

const read = (path: string, name: string) =>
  Effect.try({
    try: () => Fs.readFileSync(path),
    catch: (error) =>
      new CliError({ detail: `cannot read ${name}: ${reasonOf(error)}`, exitCode: Help.exitCodes.failed })
  })

const outputFormat = Effect.fnUntraced(function* (file: string | undefined) {
  if (file === undefined) return undefined
  const bytes = yield* read(Path.resolve(file), file)
  const schema: unknown = yield* Effect.try({
    try: () => JSON.parse(bytes.toString("utf8")) as unknown,
    catch: (error) => new CliError({ detail: `${file} is no JSON: ${reasonOf(error)}`, exitCode: Help.exitCodes.usage })
  })
  return { name: "answer", schema } satisfies OutputFormat
})

const reasonOf = (error: unknown): string => {
  const code = (error as NodeJS.ErrnoException).code
  return code === "ENOENT"
    ? "there is no such file"
    : code === "EACCES"
      ? "permission denied"
      : error instanceof Error
        ? error.message
        : String(error)
}

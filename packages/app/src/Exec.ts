/**
 * Runs one prompt in one session: opens the session, submits the prompt, shows its events, and returns its end.
 *
 * The session id is made first. The face is made with the id, and the session with the face, which answers its
 * questions and watches its agents.
 */
import type { Approvals } from "@spindle/core/Approvals"
import { type SessionId, SubmissionId, uuidV7 } from "@spindle/core/Ids"
import { type Input, isEmpty, textOf } from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import type { OutputFormat } from "@spindle/core/Model"
import type { Session } from "@spindle/core/Session"
import { defaults } from "@spindle/core/SessionConfig"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { SessionObserver } from "@spindle/core/SessionObserver"
import type { Snapshot } from "@spindle/core/Snapshot"
import type { TraceContext } from "@spindle/core/TraceContext"
import type { TurnContext } from "@spindle/core/TurnContext"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as App from "./App.ts"
import * as CustomPrompts from "./CustomPrompts.ts"
import { NamedModels } from "./Models.ts"
import type { Settings } from "./Settings.ts"
import * as TurnContexts from "./settings/TurnContexts.ts"
import * as Submission from "./Submission.ts"

/** The session did not accept the prompt. */
export class PromptRejected extends Schema.TaggedError<PromptRejected>()("PromptRejected", { reason: Op.Rejection }) {
  override get message() {
    const { reason } = this
    switch (reason._tag) {
      case "EmptyInput":
        return "the prompt is empty"
      case "InputTooLarge":
        return `the prompt has ${count(reason.sizeCharacters)} characters; the limit is ${count(reason.limitCharacters)}`
      case "InboxFull":
        return `${count(reason.capacityCount)} prompts are waiting already; this one was not added`
      case "SessionClosed":
        return reason.failure === undefined ? "the session is closed" : `the session has failed: ${reason.failure}`
      default:
        return `the prompt was rejected (${reason._tag})`
    }
  }
}

const count = (value: number): string => value.toLocaleString("en-US")

/** Shows one session to a person or a program, and answers its questions. */
export interface Face {
  readonly approvals: Approvals
  /** Receives every event of the session and of the agents below it, as it is published. */
  readonly observer?: SessionObserver
  /** Runs once, when the session is open and before its first event is shown. */
  readonly onOpen: (opened: App.Opened) => Effect.Effect<void>
  /** Shows one event. Called in order. */
  readonly show: (event: SessionEvent) => Effect.Effect<void>
}

/** The prompt to run, its session and its face. */
export interface Options<R> {
  readonly settings: Settings
  readonly cwd: string
  readonly input: Input
  /** The operation to submit in place of the input, such as the start of a task. */
  readonly op?: Op.Op | undefined
  /** The command line of the settings. Its values hold even if an earlier input has changed them. */
  readonly commandLine?: TurnContexts.CommandLine | undefined
  /** The form that the answer must have. */
  readonly output?: OutputFormat | undefined
  /** The session to continue; a new one if there is none. */
  readonly resume: SessionId | undefined
  readonly meta: { readonly [name: string]: string }
  /** The trace that the turn belongs to. */
  readonly trace?: TraceContext | undefined
  readonly face: (sessionId: SessionId) => Effect.Effect<Face, never, R>
}

/**
 * Runs the prompt in the current scope, until its turn has ended and nothing else runs. The session stays open until
 * the scope closes. **Interruption**: closing the scope aborts and settles the turn. **Errors**: those of `App.open`;
 * `PromptRejected`; `PromptUnusable`.
 */
export const run = Effect.fnUntraced(function* <R>(
  options: Options<R>
): Effect.fn.Return<
  Submission.Report,
  PromptRejected | CustomPrompts.PromptUnusable | SessionNotFound | SessionBusy | JournalFailed,
  App.Services | FileSystem.FileSystem | Scope.Scope | R
> {
  const { resume, trace } = options
  const input = yield* expand(options)
  if (options.op === undefined) yield* check(input)
  const now = yield* Clock.currentTimeMillis
  const sessionId = resume ?? (uuidV7(now) as SessionId)
  const face = yield* options.face(sessionId)
  const opened = yield* App.open({
    ...options,
    sessionId,
    isResumed: resume !== undefined,
    approvals: face.approvals,
    observer: face.observer
  })
  yield* face.onOpen(opened)
  const { from, session } = opened
  const id = SubmissionId.make(uuidV7(now))
  const following = yield* Effect.forkChild(follow(session, { from, id }, face.show), { startImmediately: true })
  const context = resume === undefined ? undefined : yield* changesOf(options, yield* session.snapshot)
  const op = options.op ?? operationOf(input, context)
  const receipt = yield* session.submit({ id, op, ...(trace === undefined ? {} : { trace }) })
  if (receipt._tag === "Rejected") return yield* new PromptRejected({ reason: receipt.reason })
  const report = yield* Fiber.join(following)
  yield* session.awaitIdle
  return report
})

/**
 * Returns the change of the context for a session that a person continues: the values that they see, those that the
 * command line names, and the model of the settings if the provider is another one. The model of a provider with only
 * one cannot change.
 */
const changesOf = (
  { commandLine, cwd, settings }: Pick<Options<never>, "commandLine" | "cwd" | "settings">,
  { turnContext }: Snapshot
) =>
  Effect.map(NamedModels, (models): TurnContext => {
    const visible = TurnContexts.visibleContextOf({ cwd, settings })
    return models === undefined
      ? visible
      : {
          ...visible,
          ...TurnContexts.ownModelContextOf(settings, turnContext),
          ...(commandLine === undefined ? {} : TurnContexts.commandLineContextOf(commandLine, settings))
        }
  })

/** Returns the input with the prompt file that its first text names in place of that text. */
const expand = ({ input, settings }: Pick<Options<never>, "input" | "settings">) => {
  const [first, ...rest] = input
  if (first?._tag !== "Text") return Effect.succeed(input)
  return Effect.map(CustomPrompts.expand(settings.configDirectory, first.text), (text): Input =>
    text === first.text ? input : [{ ...first, text }, ...rest]
  )
}

/** The prompt that compacts the conversation. It is not sent to the model. */
const compactPrompt = "/compact"

const operationOf = (input: Input, context: TurnContext | undefined): Op.Op =>
  textOf(input).trim() === compactPrompt
    ? Op.startTask("compact")
    : { _tag: "UserInput", input, delivery: "queue", ...(context === undefined ? {} : { context }) }

/** Rejects a prompt that no session accepts, before a session is made for it. */
const check = Effect.fnUntraced(function* (input: Input): Effect.fn.Return<void, PromptRejected> {
  if (isEmpty(input)) return yield* new PromptRejected({ reason: { _tag: "EmptyInput" } })
  const [sizeCharacters, limitCharacters] = [textOf(input).length, defaults.inputLimit]
  if (sizeCharacters > limitCharacters) {
    return yield* new PromptRejected({ reason: { _tag: "InputTooLarge", sizeCharacters, limitCharacters } })
  }
})

/** Shows the events of a session until the end of the submission is known, and returns the end. */
const follow = (
  session: Session,
  { from, id }: { readonly from: number; readonly id: SubmissionId },
  show: Face["show"]
): Effect.Effect<Submission.Report, JournalFailed> => {
  let state = Submission.initial(id)
  return session.events({ from }).pipe(
    Stream.takeUntil((event) => {
      state = Submission.step(state, event)
      return state.end !== undefined
    }),
    Stream.runForEach(show),
    Effect.map(() => Submission.report(state))
  )
}

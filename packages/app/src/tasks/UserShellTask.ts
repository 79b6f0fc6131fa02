/**
 * The task that runs a command of the user. A client starts it with `Op.startTask("user_shell", { command })`.
 *
 * ```
 *   TurnStarted(user_shell) ─► UserShellStarted ─► ProcessStarted, output ─► UserShellEnded ─► fragment ─► TurnCompleted
 *                                                     └ abort: fragment ─► UserShellEnded ─► TurnAborted
 * ```
 *
 * The command runs in a login shell, without a sandbox and without approval, because the user wrote it. The model sees
 * it with the next turn: the command and its output are a fragment of the history.
 *
 * While a turn runs, the command runs alongside it, unless the client wants it to wait:
 *
 * ```
 *   InputAccepted(turn) ─► UserShellStarted ─► ProcessStarted, output ─► UserShellEnded ─► TaskReported ─► fragment
 *                                                  └ abort of the turn: TaskReported ─► UserShellEnded ─► TurnAborted
 * ```
 *
 * The turn takes the fragment as input if it takes more input. Otherwise the next turn does.
 */
import { Alongside } from "@spindle/core/Alongside"
import { CallId } from "@spindle/core/Ids"
import * as NoteKind from "@spindle/core/NoteKind"
import type { Process, ProcessExit, Processes } from "@spindle/core/Processes"
import * as TaskKind from "@spindle/core/TaskKind"
import * as TurnContext from "@spindle/core/TurnContext"
import * as BoundedOutput from "@spindle/tools/BoundedOutput"
import * as Utf8 from "@spindle/tools/Utf8"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

/** The options of commands: an absolute directory, for turns whose context names none, and a shell that takes `-lc`. */
export interface Options {
  readonly cwd: string
  readonly shell: string
}

/** The limit of a command. */
export const limit = "1 hour"

/**
 * The time to wait for the rest of the output once a command has ended. A process that it left running may keep the
 * output open. That process ends with the turn.
 */
const drainLimit = "2 seconds"

/** The name of the fragment that has a command and its output. */
export const userShellFragment = "user_shell_command"

/** The most output in the history and in the note, in bytes. */
const keptBytes = 16_384

/** A command is about to start. `callId` names its output among the deltas `ToolOutput`. */
export const UserShellStarted = NoteKind.make("user_shell.started", {
  data: Schema.Struct({ callId: CallId, command: Schema.String, cwd: Schema.String }),
  message: ({ command }) => `$ ${command}`
})

/** The end of a command. `failure` is the reason why it did not start. */
const Ending = Schema.Struct({
  exitCode: Schema.NullOr(Schema.Finite),
  signal: Schema.optionalKey(Schema.String),
  timedOut: Schema.optionalKey(Schema.Literal(true)),
  aborted: Schema.optionalKey(Schema.Literal(true)),
  failure: Schema.optionalKey(Schema.String)
})
type Ending = typeof Ending.Type

/** A command has ended. `output` is its head and tail. */
export const UserShellEnded = NoteKind.make("user_shell.ended", {
  data: Schema.Struct({ callId: CallId, ending: Ending, durationMillis: Schema.Finite, output: Schema.String }),
  message: ({ ending, output }) => `${output.trimEnd()}${output.trim() === "" ? "" : "\n"}${textOf(ending)}`
})

const textOf = ({ aborted, exitCode, failure, signal, timedOut }: Ending): string => {
  if (failure !== undefined) return failure
  if (aborted === true) return "command aborted by user"
  if (timedOut === true) return `command stopped after ${limit}`
  return exitCode === null ? `ended by ${signal ?? "a signal"}` : `exit code ${exitCode}`
}

/** Makes the kind of tasks by the name `user_shell`. */
export const kind = (options: Options): TaskKind.TaskKind<Processes> =>
  TaskKind.makeAlongside("user_shell", {
    params: Schema.Struct({ command: Schema.NonEmptyString }),
    run: ({ command }) => run(options, command)
  })

const run = Effect.fnUntraced(function* ({ cwd: own, shell }: Options, command: string) {
  const task = yield* Alongside
  const { cwd = own } = yield* TurnContext.ofTurn
  const callId = CallId.make(`user_shell-${task.taskId}`)
  const output = BoundedOutput.make()
  const from = yield* Clock.currentTimeMillis
  const record = (ending: Ending) =>
    task.report(fragmentOf(command, ending, BoundedOutput.toText(output.toKept(keptBytes))))
  const note = (ending: Ending) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      task.note(UserShellEnded, {
        callId,
        ending,
        durationMillis: now - from,
        output: BoundedOutput.toText(output.toKept(keptBytes))
      })
    )
  const awaitEnd = Effect.matchEffect(task.process({ command: [shell, "-lc", command], cwd }), {
    onFailure: (error) => Effect.succeed<Ending>({ exitCode: null, failure: error.message }),
    onSuccess: (process) => awaitProcess(process, (text) => task.output(callId, text), output)
  })
  // an interruption reaches only the command: a command that has started is always reported
  // mutant command-in-its-region (S12: an abort between a command and its report does not lose the report):
  //   replace: `Effect.uninterruptibleMask(` => `((f: any) => f((effect: any) => effect))(`
  yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      yield* task.note(UserShellStarted, { callId, command, cwd })
      const exit = yield* Effect.exit(restore(awaitEnd))
      if (Exit.isSuccess(exit)) {
        yield* note(exit.value)
        return yield* record(exit.value)
      }
      if (Cause.hasInterrupts(exit.cause)) {
        const aborted: Ending = { exitCode: null, aborted: true }
        // mutant aborted-command-is-reported (S12: a command that an abort ends is reported): drop
        yield* record(aborted)
        yield* note(aborted)
      }
      return yield* exit
    })
  )
})

/**
 * Publishes and keeps the output of a process until the process ends, or ends it at its limit. The fiber that reads
 * ends with this one.
 */
const awaitProcess = Effect.fnUntraced(function* (
  process: Process,
  publish: (text: string) => Effect.Effect<void>,
  output: BoundedOutput.BoundedOutput
) {
  const task = yield* Alongside
  const decoder = Utf8.makeDecoder()
  const read = Stream.runForEach(process.output, (chunk) =>
    Effect.suspend(() => {
      output.append(chunk)
      return publish(decoder.push(chunk))
    })
  )
  const reading = yield* Effect.forkChild(
    Effect.andThen(
      read,
      Effect.suspend(() => publish(decoder.end()))
    )
  )
  const exit = yield* Effect.timeoutOption(process.exit, limit)
  if (Option.isNone(exit)) yield* task.endProcess(process.processId)
  yield* Effect.timeoutOption(Fiber.join(reading), drainLimit)
  return endingOf(exit)
})

const endingOf = (exit: Option.Option<ProcessExit>): Ending =>
  Option.match(exit, { onNone: (): Ending => ({ exitCode: null, timedOut: true }), onSome: (value) => value })

const fragmentOf = (command: string, ending: Ending, output: string) => ({
  name: userShellFragment,
  text: `<${userShellFragment}>\n<command>\n${command}\n</command>\n<result>\n${textOf(ending)}\n${output}\n</result>\n</${userShellFragment}>`
})

/**
 * Commands as hooks: programs that get JSON on standard input and decide by their exit code and output.
 *
 * ```
 * event ─► matching handlers ─► HookStarted for each ─► all run, concurrently ─► HookCompleted for each ─► one verdict
 *                                                       (each within its limit)    (in the order of declaration)
 * ```
 *
 * A command is a process of its turn: an abort ends it together with everything that it leaves running. A command of
 * `Interrupt` runs after the abort. In a session that an agent started, `SubagentStart` and `SubagentStop` replace
 * `SessionStart` and `Stop`.
 */
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import type * as Hooks from "@spindle/core/Hooks"
import * as JournalFile from "@spindle/core/JournalFile"
import * as NoteKind from "@spindle/core/NoteKind"
import type { Processes } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"
import { CurrentTurnContext } from "@spindle/core/TurnContext"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type HookEnd, type HookResult, read } from "./hooks/hookOutput.ts"
import { type Handler, type HookEvent, type HookSettings, select } from "./hooks/HookSettings.ts"

const Run = { event: Schema.String, order: Schema.Finite, command: Schema.String, source: Schema.String }

/** A handler is about to run. `order` identifies it among all handlers. */
export const HookStarted = NoteKind.make("hook.started", {
  data: Schema.Struct({ ...Run, statusMessage: Schema.optionalKey(Schema.String) }),
  message: ({ statusMessage }) => statusMessage
})

/** A handler has ended. `reason` is set if it stopped, blocked or failed. */
export const HookCompleted = NoteKind.make("hook.completed", {
  data: Schema.Struct({
    ...Run,
    status: Schema.Literals(["completed", "stopped", "blocked", "failed"]),
    reason: Schema.optionalKey(Schema.String),
    context: Schema.optionalKey(Schema.String),
    warning: Schema.optionalKey(Schema.String),
    durationMillis: Schema.Finite
  }),
  message: ({ command, event, reason, status, warning }) => {
    const ending = status === "completed" ? [] : [`${event} hook ${status}: ${reason ?? ""} (${command})`]
    const lines = [...ending, ...(warning === undefined ? [] : [warning])]
    return lines.length === 0 ? undefined : lines.join("\n")
  }
})

/** The options of the hooks. */
export interface Options {
  readonly settings: HookSettings
  readonly cwd: string
  /** The home of the journals. */
  readonly home: string
  /** The shell that runs the commands. It takes `-c`. */
  readonly shell: string
  /** The model that hooks receive, unless the context of the turn names another. */
  readonly model: string
  readonly approvalPolicy: string
}

/** The services that the hooks need. */
export type Needs = Turn | Processes

/** An event: its fields, and the text that its matchers are compared with. */
interface Happening {
  readonly event: HookEvent
  readonly subject?: string
  readonly fields: { readonly [name: string]: unknown }
}

/** Makes the hooks of these settings. The problems of the settings are warnings of the first turn. */
export const make = (options: Options): Hooks.Hooks<never, Needs> => {
  const { handlers, problems } = options.settings
  const decide = <A>(
    happening: Happening,
    verdict: (results: ReadonlyArray<Result>) => A
  ): Effect.Effect<A, never, Needs> =>
    Effect.map(runAll(options, select(handlers, happening.event, happening.subject), happening), verdict)
  return {
    sessionStart: (_, source) =>
      Effect.gen(function* () {
        const turn = yield* Turn
        for (const problem of problems) yield* turn.warn(problem)
        const subject = source === "new" ? "startup" : "resume"
        const event = isChild(turn) ? "SubagentStart" : "SessionStart"
        return yield* decide({ event, subject, fields: { source: subject } }, (results) => ({
          contexts: contextsOf(results),
          stop: reasonOf(results, ["stopped"])
        }))
      }),
    userPromptSubmit: (_, prompt) =>
      decide({ event: "UserPromptSubmit", fields: { prompt } }, (results) => {
        const reason = reasonOf(results, ["stopped", "blocked"])
        const contexts = contextsOf(results)
        return reason === undefined ? { block: false, contexts } : { block: true, reason, contexts }
      }),
    preToolUse: (_, tool, params) =>
      decide({ event: "PreToolUse", subject: tool, fields: { tool_name: tool, tool_input: params } }, (results) => {
        const reason = reasonOf(results, ["stopped", "blocked"])
        return reason === undefined ? { deny: false } : { deny: true, reason }
      }),
    permissionRequest: (_, { kind, payload, tool = kind }) =>
      decide(
        { event: "PermissionRequest", subject: tool, fields: { tool_name: tool, tool_input: payload } },
        (results) => {
          const reason = reasonOf(results, ["stopped", "blocked"])
          if (reason !== undefined) return { decision: "deny", reason }
          return { decision: results.some(({ result }) => result.allows === true) ? "allow" : "ask" }
        }
      ),
    postToolUse: (_, tool, output) =>
      decide({ event: "PostToolUse", subject: tool, fields: { tool_name: tool, tool_response: output } }, (results) =>
        results.flatMap(({ result }) => [
          ...(result.status === "blocked" || result.status === "stopped" ? [result.reason ?? ""] : []),
          ...(result.context === undefined ? [] : [result.context])
        ])
      ),
    preCompact: (_, trigger) =>
      decide({ event: "PreCompact", subject: trigger, fields: { trigger } }, (results) => {
        const reason = reasonOf(results, ["stopped", "blocked"])
        return reason === undefined ? { deny: false } : { deny: true, reason }
      }),
    postCompact: (_, trigger) =>
      decide({ event: "PostCompact", subject: trigger, fields: { trigger } }, () => undefined),
    stop: (_, { continuations, lastMessage }) =>
      Effect.flatMap(Turn, (turn) =>
        decide(
          {
            event: isChild(turn) ? "SubagentStop" : "Stop",
            fields: { stop_hook_active: continuations > 0, last_assistant_message: lastMessage ?? null }
          },
          (results) => {
            if (results.some(({ result }) => result.status === "stopped")) return {}
            const reasons = results.flatMap(({ result }) => (result.status === "blocked" ? [result.reason ?? ""] : []))
            return reasons.length === 0 ? {} : { continueWith: reasons.join("\n\n") }
          }
        )
      ),
    interrupt: (_, reason) => decide({ event: "Interrupt", subject: reason, fields: { reason } }, () => undefined),
    notification: (_, notification) => {
      const { message, more, type } = readNotification(notification)
      const fields = { notification_type: type, message, ...more }
      return decide({ event: "Notification", subject: type, fields }, () => undefined)
    }
  }
}

/**
 * Reads a notification: its type in the words of the reference, a line for people, and the fields that only this type
 * has.
 */
const readNotification = (
  notification: Hooks.Notification
): { readonly type: string; readonly message: string; readonly more: object } => {
  if (notification._tag === "TurnCompletes") {
    const more = { last_assistant_message: notification.lastMessage ?? null }
    return { type: "agent-turn-complete", message: "the turn is complete", more }
  }
  const { kind, payload, tool } = notification.question
  const more = { tool_name: tool ?? kind, tool_input: payload }
  return kind === "question" || kind === "elicitation"
    ? { type: "user-input-requested", message: "the agent waits for an answer", more }
    : { type: "approval-requested", message: `the agent waits for approval: ${tool ?? kind}`, more }
}

const isChild = (turn: Turn): boolean => turn.session.path.length > 1

/** The end of a handler. */
interface Result {
  readonly handler: Handler
  readonly result: HookResult
}

const contextsOf = (results: ReadonlyArray<Result>): ReadonlyArray<string> =>
  results.flatMap(({ result }) => (result.context === undefined ? [] : [result.context]))

/** Returns the first reason of a result with this status, or of a handler that failed and is closed. */
const reasonOf = (
  results: ReadonlyArray<Result>,
  statuses: ReadonlyArray<HookResult["status"]>
): string | undefined => {
  const found = results.find(
    ({ handler, result }) => statuses.includes(result.status) || (handler.isClosed && result.status === "failed")
  )
  return found === undefined ? undefined : (found.result.reason ?? "")
}

/** Runs handlers concurrently, and reports them in the order of their declaration. */
const runAll = Effect.fnUntraced(function* (options: Options, handlers: ReadonlyArray<Handler>, happening: Happening) {
  if (handlers.length === 0) return []
  const turn = yield* Turn
  const input = JSON.stringify(yield* inputOf(options, happening))
  for (const handler of handlers) {
    const { statusMessage } = handler
    yield* turn.note(HookStarted, { ...aboutOf(handler), ...(statusMessage === undefined ? {} : { statusMessage }) })
  }
  const ended = yield* Effect.forEach(handlers, (handler) => runOne(options, handler, input), {
    concurrency: "unbounded"
  })
  for (const { durationMillis, handler, result } of ended) {
    const { allows: _, ...decided } = result
    yield* turn.note(HookCompleted, { ...aboutOf(handler), ...decided, durationMillis })
  }
  return ended
})

const aboutOf = ({ command, event, order, source }: Handler) => ({ event, order, command, source })

/** Makes the JSON that a command receives on standard input. */
const inputOf = Effect.fnUntraced(function* (options: Options, { event, fields }: Happening) {
  const turn = yield* Turn
  const current = yield* CurrentTurnContext
  const context = current?.() ?? {}
  const policy = context.approvalPolicy ?? options.approvalPolicy
  return {
    session_id: turn.sessionId,
    turn_id: turn.turnId,
    transcript_path: JournalFile.pathOf(Path.join(options.home, "sessions"), turn.sessionId) ?? null,
    cwd: context.cwd ?? options.cwd,
    hook_event_name: event,
    model: context.model ?? options.model,
    permission_mode: policy === "never" ? "bypassPermissions" : "default",
    ...fields
  }
})

/** Runs one handler within its limit. The handler ends, with all processes that it started, before this returns. */
const runOne = Effect.fnUntraced(function* (options: Options, handler: Handler, input: string) {
  const startedAt = yield* Clock.currentTimeMillis
  const run = Effect.scoped(
    Effect.gen(function* () {
      const directory = yield* privateDirectory
      yield* attempt(() => Fs.writeFile(Path.join(directory, "input"), input))
      return read(handler.event, yield* runCommand(options, handler, directory))
    })
  )
  const result = yield* Effect.catch(run, ({ message }) =>
    Effect.succeed<HookResult>({ status: "failed", reason: message })
  )
  return { handler, result, durationMillis: (yield* Clock.currentTimeMillis) - startedAt }
})

/** The command could not run, or did not run to its end. */
class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, CommandFailed> =>
  Effect.tryPromise({ try: run, catch: (error) => new CommandFailed({ detail: String((error as Error).message) }) })

/** Makes a directory that only this user can read. It is removed with the scope. */
const privateDirectory = Effect.acquireRelease(
  attempt(() => Fs.mkdtemp(Path.join(Os.tmpdir(), "spindle-hook-"))),
  (directory) => Effect.promise(() => Fs.rm(directory, { recursive: true, force: true }))
)

/** Runs the command. **Errors**: `CommandFailed` at its limit, and if it cannot start or prints too much. */
const runCommand = Effect.fnUntraced(function* (options: Options, handler: Handler, directory: string) {
  const turn = yield* Turn
  const process = yield* Effect.mapError(
    turn.process({ command: wordsOf(options.shell, handler.command, directory), cwd: options.cwd }),
    (error) => new CommandFailed({ detail: error.message })
  )
  const exit = yield* Effect.timeoutOption(process.exit, handler.timeoutMillis)
  // ends the command at its limit, or the processes that it has left running
  yield* turn.endProcess(process.processId)
  if (Option.isNone(exit)) {
    return yield* new CommandFailed({ detail: `it did not end within ${handler.timeoutMillis} ms` })
  }
  const [stdout, stderr] = yield* Effect.all([textIn(directory, "output"), textIn(directory, "errors")])
  return { exitCode: exit.value.exitCode, stdout, stderr } satisfies HookEnd
})

/**
 * Returns the words that run a command with its streams in files. Its output is then complete at its end, even if
 * another process that it started keeps the streams open.
 */
const wordsOf = (shell: string, command: string, directory: string): ReadonlyArray<string> => [
  "/bin/sh",
  "-c",
  'exec "$1" -c "$2" <"$0/input" >"$0/output" 2>"$0/errors"',
  directory,
  shell,
  command
]

const limitBytes = 1 << 20

/** Returns the text of a file that a command has written. */
const textIn = (directory: string, name: string): Effect.Effect<string, CommandFailed> =>
  attempt(async () => {
    const path = Path.join(directory, name)
    if ((await Fs.stat(path)).size > limitBytes) throw new Error(`it printed more than ${limitBytes} bytes`)
    return Fs.readFile(path, "utf8")
  })

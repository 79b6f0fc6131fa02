/**
 * The tool `write_stdin`: continues a command that runs in the background. It writes to the input of the command, or only
 * waits, and returns the output since the last call.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import type { CallDisplay } from "@spindle/core/Display"
import { Turn } from "@spindle/core/Turn"
import { type Command, Commands } from "./Commands.ts"
import * as CommandCall from "./internal/commandCall.ts"
import { textResult } from "./internal/textResult.ts"
import { ToolFailure } from "./ToolFailure.ts"
import * as Utf8 from "./Utf8.ts"

/** The time that a call that writes waits for the end of the command, in milliseconds. */
export const writeMillis = { min: 250, max: 30_000, otherwise: 250 }
/** The time that a call that only waits does so, in milliseconds. `max` is the default of {@link Options}. */
export const pollMillis = { min: 5_000, max: 300_000, otherwise: 5_000 }

/** Interrupts the command, as Ctrl-C does in a terminal. */
const interrupt = "\u0003"
/** Ends the input of the command, as Ctrl-D does in a terminal. */
const endOfInput = "\u0004"

/** The arguments of the tool. */
export const Parameters = Schema.Struct({
  session_id: Schema.Finite.annotate({ description: "The session ID that exec_command returned." }),
  chars: Schema.optionalKey(
    Schema.String.annotate({
      description:
        "What to write, including control characters: \\u0003 interrupts the command, \\u0004 ends its input. Without it, wait for more output."
    })
  ),
  yield_time_ms: Schema.optionalKey(
    Schema.Finite.annotate({
      description:
        "How long to wait for the end of the command, in milliseconds: 250 to 30000 after writing (default 250), at least 5000 without (default 5000)."
    })
  ),
  max_output_tokens: CommandCall.maxOutputTokens
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. */
export const tool = Tool.make("write_stdin", {
  description:
    "Continues a command that still runs: writes to its input, or waits without writing, and returns its output since the last call. Only a command that was started with tty has input.",
  parameters: Parameters,
  ...textResult,
  dependencies: [Turn]
})

/** `maxPoll` is the longest that a call which only waits does so, if it is more than 5 seconds. Default: 5 minutes. */
export interface Options {
  readonly maxPoll?: Duration.Input | undefined
}

/** Returns true if a call only waits for a command or interrupts it, which needs no approval. */
export const isHarmless = ({ chars = "" }: Parameters): boolean => chars === "" || chars === interrupt

/** Describes a call for people. */
export const display = ({ chars = "", session_id }: Parameters): CallDisplay => ({
  _tag: "Other",
  title: chars === "" ? `wait for command ${session_id}` : `write to command ${session_id}: ${JSON.stringify(chars)}`
})

/**
 * Continues a command of the session of the turn and returns the text for the model. **Interruption** stops the wait; what
 * was written stays written. **Errors**: `ToolFailure` when there is no such command, or it does not take the input.
 */
export const run: (
  params: Parameters,
  callId: string | undefined,
  options?: Options
) => Effect.Effect<string, ToolFailure, Turn | Commands> = Effect.fnUntraced(function* (params, callId, options = {}) {
  const { chars = "", max_output_tokens: maxOutputTokens, session_id: number } = params
  const turn = yield* Turn
  const commands = yield* Commands
  const command = yield* commands.use(turn.sessionId, number)
  if (command === undefined) {
    return yield* new ToolFailure({ detail: `There is no running command with session ID ${number}.` })
  }
  // the end of a command can still be read
  if (chars !== "" && command.ending() === undefined) yield* write(command, chars)
  const waitMillis = CommandCall.clampMillis(params.yield_time_ms, chars === "" ? pollLimits(options) : writeMillis)
  const read = yield* CommandCall.read(command, { callId, waitMillis, isContinued: true })
  if (read.ending !== undefined) yield* commands.remove(turn.sessionId, number)
  return CommandCall.textOf(read, { maxOutputTokens, state: `Process running with session ID ${number}` })
})

const pollLimits = ({ maxPoll = pollMillis.max }: Options) => ({
  ...pollMillis,
  max: Math.max(pollMillis.min, Duration.toMillis(maxPoll))
})

const write = ({ end, process: { input } }: Command, chars: string): Effect.Effect<void, ToolFailure> => {
  if (input?.isTerminal !== true && chars === interrupt) return end
  if (input === undefined) {
    const detail = "The command has no input. Start it with tty to write to it; \\u0003 ends it."
    return Effect.fail(new ToolFailure({ detail }))
  }
  // a pipe has no character for the end of the input
  const isLast = !input.isTerminal && chars.endsWith(endOfInput)
  const written = input.write(Utf8.encode(isLast ? chars.slice(0, -1) : chars))
  return Effect.mapError(
    isLast ? Effect.andThen(written, input.close) : written,
    ({ detail }) => new ToolFailure({ detail: `The text was not written: ${detail}.` })
  )
}

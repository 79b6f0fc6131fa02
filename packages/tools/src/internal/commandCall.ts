/** One call that waits for a command: `exec_command`, which has started it, or `write_stdin`, which continues it. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CallId, type ProcessId } from "@spindle/core/Ids"
import { Turn } from "@spindle/core/Turn"
import * as BoundedOutput from "../BoundedOutput.ts"
import type * as Commands from "../Commands.ts"
import type * as NetworkPolicy from "../sandbox/NetworkPolicy.ts"
import * as Utf8 from "../Utf8.ts"
import * as NetworkDenials from "./networkDenials.ts"

/** The most output that a model gets by default, in tokens of four bytes. */
export const defaultOutputTokens = 10_000
/** The most output that is recorded for people, in bytes. */
export const detailBytes = 40_000
/** The most bytes of one piece of output for subscribers. */
export const pieceBytes = 8_192

const bytesPerToken = 4

/** A call of a command. `waitMillis` is the time that it waits for the end of the command, in milliseconds. */
export interface Call {
  readonly callId: string | undefined
  readonly waitMillis: number
  /** True if the call continues a command that runs in the background. */
  readonly isContinued: boolean
}

/** The result of a read: the end of the command, if it has ended, and its output since the last call. */
export interface Read {
  readonly ending: Commands.Ending | undefined
  readonly elapsedMillis: number
  readonly output: BoundedOutput.BoundedOutput
  /** The hosts that it did not reach since the last call, because the list of its policy denies them. */
  readonly denials: ReadonlyArray<NetworkPolicy.Denial>
}

/** Clamps a time that a model asked for. */
export const clampMillis = (
  millis: number | undefined,
  { max, min, otherwise }: { readonly min: number; readonly max: number; readonly otherwise: number }
): number => Math.min(Math.max(Number.isFinite(millis) ? millis! : otherwise, min), max)

/**
 * Waits for the end of a command, and publishes its output meanwhile. It reports the state of the command to the turn
 * at first, at the end, and when the handler is interrupted, which stops only the wait.
 */
export const read = Effect.fnUntraced(function* (command: Commands.Command, { callId, isContinued, waitMillis }: Call) {
  const turn = yield* Turn
  const call = callId === undefined ? undefined : CallId.make(callId)
  const start = yield* Clock.monotonicTimeNanos
  const elapsed = Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - start) / 1_000_000)
  const processId = isContinued ? { processId: command.process.processId } : {}
  const report = (
    ending: Commands.Ending | undefined,
    output: BoundedOutput.BoundedOutput,
    background: { readonly processId?: ProcessId } = processId
  ) =>
    call === undefined
      ? Effect.void
      : Effect.flatMap(elapsed, (millis) =>
          turn.detail(call, {
            _tag: "Command",
            exitCode: ending?.exit.exitCode ?? null,
            ...(ending?.exit.signal === undefined ? {} : { signal: ending.exit.signal }),
            ...(ending?.timeout === undefined ? {} : { timedOut: true }),
            durationMillis: Math.round(millis),
            output: BoundedOutput.toText(output.toKept(detailBytes)),
            ...background
          })
        )
  const publish = (text: string) =>
    call === undefined
      ? Effect.void
      : Effect.forEach(Utf8.split(text, pieceBytes), (piece) => turn.output(call, piece), { discard: true })
  yield* report(undefined, command.peek())
  const waiting = Effect.timeoutOption(command.ended, waitMillis)
  const ended = yield* Effect.onInterrupt(command.publishDuring(publish, waiting), () =>
    Effect.suspend(() => report(undefined, command.peek()))
  )
  const ending = Option.getOrUndefined(ended)
  const output = command.take()
  yield* report(ending, output, ending === undefined ? { processId: command.process.processId } : processId)
  const denials = yield* NetworkDenials.take(command.process.processId)
  const result: Read = { ending, elapsedMillis: yield* elapsed, output, denials }
  return result
})

/** Returns the text for the model. `state` describes the command if it has not ended. */
export const textOf = (
  { denials, elapsedMillis, ending, output }: Read,
  {
    maxOutputTokens,
    notes = [],
    state
  }: {
    readonly maxOutputTokens: number | undefined
    readonly state: string
    readonly notes?: ReadonlyArray<string>
  }
): string =>
  [
    ...notes,
    ...NetworkDenials.lines(denials),
    `Wall time: ${(elapsedMillis / 1_000).toFixed(4)} seconds`,
    ending === undefined ? state : sentenceOf(ending),
    `Original token count: ${Math.ceil(output.totalBytes() / bytesPerToken)}`,
    "Output:",
    BoundedOutput.toText(output.toKept(limitBytes(maxOutputTokens)))
  ].join("\n")

/** The limit that the model asked for, and never more than the output that is kept. */
const limitBytes = (maxOutputTokens = defaultOutputTokens): number =>
  Math.min(BoundedOutput.defaultLimitBytes, bytesPerToken * Math.max(0, Math.floor(maxOutputTokens)))

const sentenceOf = ({ exit, timeout }: Commands.Ending): string => {
  if (timeout !== undefined)
    return `Process was ended because it ran longer than its limit of ${Duration.toMillis(timeout)} ms`
  return typeof exit.exitCode === "number"
    ? `Process exited with code ${exit.exitCode}`
    : `Process ended by signal ${exit.signal ?? "of unknown name"}`
}

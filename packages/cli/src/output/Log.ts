/** Log lines as a person reads them, on standard error. Standard output is for the answer. */
import { Console } from "node:console"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Ansi from "./Ansi.ts"
import * as Wrapping from "./wrapping.ts"

/**
 * Prints lines to standard error, without anything that would steer a terminal. Breaks lines that are longer than the
 * terminal is wide between words.
 */
export const say = (message: string): void => {
  const { columns, isTTY } = process.stderr
  const text = `spindle: ${Ansi.toVisible(message)}`
  process.stderr.write(`${isTTY === true ? Wrapping.all(text, columns || 80) : text}\n`)
}

const logger = Logger.make<unknown, void>(({ cause, message }) => {
  const texts = (Array.isArray(message) ? message : [message]).map((one) =>
    typeof one === "string" ? one : JSON.stringify(one)
  )
  say([...texts, ...(cause.reasons.length === 0 ? [] : [Cause.pretty(cause)])].join(" "))
})

/** Runs an effect whose log lines go to standard error. */
export const toStderr = Effect.provideService(Logger.CurrentLoggers, new Set([logger]))

/** Moves the console to standard error, for everything that runs outside of {@link toStderr}. */
export const moveConsole = (): void => {
  globalThis.console = new Console(process.stderr, process.stderr)
}

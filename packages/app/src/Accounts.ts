/**
 * Where the key of a model provider comes from: the environment variables that a provider names, or a command that prints
 * it.
 *
 * `Settings` reads the variables once for each provider. The command runs when the first request needs the key, and again
 * after the provider has refused it.
 */
import { execFile } from "node:child_process"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** Environment variables, as in `process.env`. */
export interface Environment {
  readonly [name: string]: string | undefined
}

/** The variables that can hold the key of OpenAI, the first one that is set wins. */
export const openAiVariables: ReadonlyArray<string> = ["CODEX_API_KEY", "OPENAI_API_KEY"]

/** Returns the value of the first of these variables that is set and not blank. */
export const keyOf = (env: Environment, variables: ReadonlyArray<string>): Redacted.Redacted | undefined => {
  for (const name of variables) {
    const value = env[name]?.trim()
    if (value !== undefined && value !== "") return Redacted.make(value)
  }
  return undefined
}

/** A program that prints a key. */
export interface KeyCommand {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly timeoutMillis: number
}

/** The command that prints the key failed, or printed nothing. */
export class NoKey extends Schema.TaggedError<NoKey>()("NoKey", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** Runs a command and returns the key that it prints. **Interruption** ends the command. **Errors**: `NoKey`. */
export const keyFrom = ({
  args,
  command,
  cwd,
  timeoutMillis
}: KeyCommand): Effect.Effect<Redacted.Redacted<string>, NoKey> =>
  Effect.callback((resume) => {
    const fail = (why: string) => resume(Effect.fail(new NoKey({ detail: `the command ${command} ${why}` })))
    const options = { cwd, timeout: timeoutMillis, encoding: "utf8" } as const
    const child = execFile(command, [...args], options, (error, stdout) => {
      const key = stdout.trim()
      if (error === null) return key === "" ? fail("printed no key") : resume(Effect.succeed(Redacted.make(key)))
      if (error.killed === true) return fail(`did not end within ${timeoutMillis} ms`)
      // the message of the error repeats what the command has printed
      fail(typeof error.code === "number" ? `exited with ${error.code}` : `cannot run (${error.code ?? error.signal})`)
    })
    child.stdin?.end()
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

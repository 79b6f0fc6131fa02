/**
 * Where the key of a model provider comes from: the environment variables that a provider names.
 *
 * This is the only module that reads a key. `Settings` asks it once for each provider.
 */
import * as Redacted from "effect/Redacted"

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

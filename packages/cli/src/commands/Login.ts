/** `spindle login` and `spindle logout`: the key of a model provider, in the store of the configuration. */
import * as Accounts from "@spindle/app/Accounts"
import * as Settings from "@spindle/app/Settings"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Help from "../args/Help.ts"
import * as Log from "../output/Log.ts"
import { CliError } from "./CliError.ts"
import * as Stdin from "./stdin.ts"

/** The account, and the places of the configuration. */
export type Options = Parameters<typeof Settings.account>[0]

/** Reads a key from standard input and stores it. */
export const withApiKey = Effect.fnUntraced(function* (options: Options) {
  const { provider, source, store } = yield* Settings.account(options)
  const key = yield* Stdin.key
  if (!Accounts.isKey(key)) {
    return yield* new CliError({
      detail: "standard input is not a key: it has white space or characters that no key has",
      exitCode: Help.exitCodes.usage
    })
  }
  const name = yield* store.set(provider, Redacted.make(key))
  Log.say(`stored the key of ${provider} in ${name}`)
  if (source !== undefined) Log.say(`it is not used as long as ${source} has a key`)
  return Help.exitCodes.ok
})

/** Prints the source of the provider's key. */
export const status = Effect.fnUntraced(function* (options: Options) {
  const { provider, source, store } = yield* Settings.account(options)
  const isStored = source === undefined && (yield* store.get(provider)) !== undefined
  const found = source ?? (isStored ? store.name : undefined)
  process.stdout.write(found === undefined ? `${provider}: no key\n` : `${provider}: the key is from ${found}\n`)
  return found === undefined ? Help.exitCodes.failed : Help.exitCodes.ok
})

/** Removes the stored key. */
export const logout = Effect.fnUntraced(function* (options: Options) {
  const { provider, source, store } = yield* Settings.account(options)
  const wasStored = yield* store.remove(provider)
  Log.say(wasStored ? `removed the key of ${provider} from ${store.name}` : `${store.name} has no key of ${provider}`)
  if (source !== undefined) Log.say(`${provider} still has a key: from ${source}`)
  return Help.exitCodes.ok
})

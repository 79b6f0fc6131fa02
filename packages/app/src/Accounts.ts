/**
 * The source of the key of a model provider: an environment variable, a command that prints it, or the place where
 * `spindle login` has stored it.
 *
 * `Settings` decides which of them a provider has. No error, log or journal contains a key: keys are `Redacted`, and no
 * message repeats the output of a command or the content of a file.
 */
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as ApiKeys from "@spindle/openai/ApiKeys"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Deferred from "effect/Deferred"
import type * as Scope from "effect/Scope"
import * as Directories from "./storage/Directories.ts"
import * as RegularFile from "./storage/RegularFile.ts"

/** Environment variables, as in `process.env`. */
export interface Environment {
  readonly [name: string]: string | undefined
}

/** The variables that can contain the key of OpenAI. The first one that is set wins. */
export const openAiVariables: ReadonlyArray<string> = ["CODEX_API_KEY", "OPENAI_API_KEY"]

/** Returns the name of the first of these variables that is set and not blank. */
export const variableOf = (env: Environment, variables: ReadonlyArray<string>): string | undefined =>
  variables.find((name) => (env[name]?.trim() ?? "") !== "")

/** Returns the value of the first of these variables that is set and not blank. */
export const keyOf = (env: Environment, variables: ReadonlyArray<string>): Redacted.Redacted | undefined => {
  const name = variableOf(env, variables)
  return name === undefined ? undefined : Redacted.make(env[name]!.trim())
}

/** A key cannot be obtained, stored or removed. The message describes the attempt, and never contains the key. */
export class AccountFailed extends Schema.TaggedError<AccountFailed>()("AccountFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** A program that prints a key. */
export interface KeyCommand {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly timeoutMillis: number
  /** The age of a key at which the command runs again, in milliseconds. 0: only when the provider refuses the key. */
  readonly refreshMillis: number
}

/** The most bytes that are read from a command or a file. No key is longer. */
const mostBytes = 65_536

/**
 * Runs a command and returns the key that it prints. **Interruption** ends the command with everything that it has
 * started. **Errors**: `AccountFailed`, for instance if it takes too long or prints more than 64 KiB.
 */
export const keyFrom = ({
  args,
  command,
  cwd,
  timeoutMillis
}: Omit<KeyCommand, "refreshMillis">): Effect.Effect<Redacted.Redacted<string>, AccountFailed> =>
  Effect.callback<string, AccountFailed>((resume) => {
    const isGrouped = process.platform !== "win32"
    const child = spawn(command, [...args], { cwd, stdio: ["ignore", "pipe", "ignore"], detached: isGrouped })
    const fail = (why: string) => resume(Effect.fail(new AccountFailed({ detail: `the command ${command} ${why}` })))
    const chunks: Array<Buffer> = []
    let size = 0
    const kill = () => {
      child.stdout.destroy()
      try {
        if (child.pid !== undefined) process.kill(isGrouped ? -child.pid : child.pid, "SIGKILL")
      } catch {
        // the process has ended already
      }
    }
    const timer = setTimeout(() => {
      fail(`did not end within ${timeoutMillis} ms`)
      kill()
    }, timeoutMillis)
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size <= mostBytes) return
      fail(`printed more than ${mostBytes} bytes`)
      kill()
    })
    child.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      fail(`cannot run (${error.code ?? error.name})`)
    })
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      if (code === 0) return resume(Effect.succeed(Buffer.concat(chunks).toString("utf8")))
      fail(code === null ? `was ended by ${signal}` : `exited with ${code}`)
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      kill()
    })
  }).pipe(
    Effect.flatMap((printed) => {
      const key = printed.trim()
      if (isKey(key)) return Effect.succeed(Redacted.make(key))
      const what = key === "" ? "printed no key" : "printed something that is not a key: it contains white space"
      return Effect.fail(new AccountFailed({ detail: `the command ${command} ${what}` }))
    })
  )

/** Returns true if a text can be sent as a key: printable ASCII without white space, as an HTTP header needs it. */
export const isKey = (text: string): boolean => /^[\x21-\x7e]+$/.test(text)

/** A place for the keys of people who have signed in, by provider. */
export interface Store {
  /** Its name for people. */
  readonly name: string
  /** Returns the key, or undefined if there is none. */
  readonly get: (provider: string) => Effect.Effect<Redacted.Redacted<string> | undefined, AccountFailed>
  /** Stores a key, and returns the name of the store that has it now. */
  readonly set: (provider: string, key: Redacted.Redacted<string>) => Effect.Effect<string, AccountFailed>
  /** Removes the key. Returns false if there was none. */
  readonly remove: (provider: string) => Effect.Effect<boolean, AccountFailed>
}

/**
 * The kinds of stores: a file in the home, the keyring of the system, or (`auto`) the keyring if usable, else the file.
 */
export const storeKinds = ["file", "keyring", "auto"] as const
/** @see {@link storeKinds} */
export type StoreKind = (typeof storeKinds)[number]

/** Returns the store of a home. */
export const storeOf = (kind: StoreKind, home: string, load: LoadKeyring = loadKeyring): Store => {
  const file = fileStore(home)
  if (kind === "file") return file
  const keyring = keyringStore(home, load)
  return kind === "keyring" ? keyring : fallbackStore(keyring, file)
}

/** The file of {@link fileStore}. */
export const fileOf = (home: string): string => Path.join(home, "auth.json")

/**
 * Makes a store in `auth.json` of the home, which only its owner may read (mode 0600). It is unused while others may.
 */
export const fileStore = (home: string): Store => {
  const file = fileOf(home)
  const name = `the file ${file}`
  return {
    name,
    get: (provider) => attempt(`cannot read the keys in ${file}`, () => fileKeyUnsafe(home, provider)),
    set: (provider, key) =>
      attempt(`cannot store the key in ${file}`, () => {
        writeKeys(file, { ...readKeys(file), [provider]: Redacted.value(key) })
        return name
      }),
    remove: (provider) =>
      attempt(`cannot remove the key from ${file}`, () => {
        const { [provider]: removed, ...rest } = readKeys(file)
        if (removed === undefined) return false
        if (Object.keys(rest).length > 0) writeKeys(file, rest)
        else Fs.rmSync(file)
        return true
      })
  }
}

/** Returns the key of a provider in the file. Throws an `Error` for a file that cannot be used. */
export const fileKeyUnsafe = (home: string, provider: string): Redacted.Redacted<string> | undefined => {
  const key = readKeys(fileOf(home))[provider]
  return key === undefined ? undefined : Redacted.make(key)
}

const attempt = <A>(what: string, evaluate: () => A): Effect.Effect<A, AccountFailed> =>
  Effect.try({
    try: evaluate,
    catch: (error) => new AccountFailed({ detail: `${what}: ${(error as Error).message}` })
  })

const KeyFile = Schema.fromJsonString(
  Schema.Struct({ keys: Schema.Record(Schema.String, Schema.String.check(Schema.isPattern(/^[\x21-\x7e]+$/))) })
)

type Keys = { readonly [provider: string]: string }

/** Returns the keys of a file; none if it does not exist. */
const readKeys = (file: string): Keys => {
  try {
    return RegularFile.useUnsafe(file, keysIn(file))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {}
    throw error
  }
}

const keysIn =
  (file: string) =>
  (descriptor: number, { mode, size }: Fs.Stats): Keys => {
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw new Error(`other users may read it (mode ${(mode & 0o777).toString(8)}); run: chmod 600 ${file}`)
    }
    if (size > mostBytes) throw new Error(`it has more than ${mostBytes} bytes`)
    const decoded = Schema.decodeExit(KeyFile)(Fs.readFileSync(descriptor, "utf8"))
    // a new error, because that of the schema repeats the content
    if (Exit.isFailure(decoded)) throw new Error('it is not JSON of the form { "keys": { "PROVIDER": "KEY" } }')
    return decoded.value.keys
  }

/** Replaces the file, or leaves it as it was. */
const writeKeys = (file: string, keys: Keys): void => {
  Directories.makeUnsafe(Path.dirname(file))
  const next = `${file}.${process.pid}.new`
  Fs.rmSync(next, { force: true })
  Fs.writeFileSync(next, `${JSON.stringify({ keys }, undefined, 2)}\n`, { mode: 0o600, flag: "wx", flush: true })
  Fs.renameSync(next, file)
}

/** The part of `@napi-rs/keyring` that this module uses. */
export interface Keyring {
  readonly AsyncEntry: new (
    service: string,
    account: string
  ) => {
    readonly getPassword: () => Promise<string | null>
    readonly setPassword: (password: string) => Promise<void>
    readonly deletePassword: () => Promise<boolean>
  }
}

/** Loads the optional library. */
export type LoadKeyring = () => Promise<Keyring>

/** The name of the library, as a value that the bundler does not resolve: the library need not be installed. */
const keyringModule: string = "@napi-rs/keyring"

const loadKeyring: LoadKeyring = () => import(keyringModule) as Promise<Keyring>

/** The limit of a keyring, which may ask a person to unlock it. */
const keyringLimit = "60 seconds"

/**
 * Makes a store in the keyring of the system, through the optional library `@napi-rs/keyring`, which is loaded when the
 * first key is needed. Each home has its own keys.
 */
const keyringStore = (home: string, load: LoadKeyring = loadKeyring): Store => {
  const use = <A>(provider: string, of: (entry: InstanceType<Keyring["AsyncEntry"]>) => Promise<A>) =>
    Effect.tryPromise({
      try: load,
      catch: () =>
        new AccountFailed({
          detail:
            `the keyring needs the library ${keyringModule}, which is not installed: ` +
            `npm install -g ${keyringModule}, or set cli_auth_credentials_store = "file"`
        })
    }).pipe(
      Effect.flatMap(({ AsyncEntry }) =>
        Effect.tryPromise({
          try: async () => of(new AsyncEntry("spindle", `${provider} ${home}`)),
          // a stack trace of the library follows in the lines after the first
          catch: (error) =>
            new AccountFailed({
              detail: `the keyring of this system cannot be used: ${(error as Error).message.split("\n", 1)[0]}`
            })
        })
      ),
      Effect.timeoutOrElse({
        duration: keyringLimit,
        orElse: () => Effect.fail(new AccountFailed({ detail: `the keyring did not reply within ${keyringLimit}` }))
      })
    )
  const name = "the keyring of this system"
  return {
    name,
    get: (provider) =>
      Effect.map(
        use(provider, (entry) => entry.getPassword()),
        (key) => (key === null ? undefined : Redacted.make(key))
      ),
    set: (provider, key) =>
      Effect.as(
        use(provider, (entry) => entry.setPassword(Redacted.value(key))),
        name
      ),
    remove: (provider) => use(provider, (entry) => entry.deletePassword())
  }
}

/**
 * Makes a store that uses the first one if it is usable, else the second. It finds a key in either, and removes it from
 * both.
 */
const fallbackStore = (first: Store, second: Store): Store => ({
  name: `${first.name} or ${second.name}`,
  get: (provider) =>
    Effect.flatMap(
      Effect.catch(first.get(provider), () => Effect.undefined),
      (key) => (key === undefined ? second.get(provider) : Effect.succeed(key))
    ),
  set: (provider, key) => Effect.catch(first.set(provider, key), () => second.set(provider, key)),
  remove: (provider) =>
    Effect.map(
      Effect.all([Effect.orElseSucceed(first.remove(provider), () => false), second.remove(provider)]),
      ([one, other]) => one || other
    )
})

/** Returns the stored key of a provider. **Errors**: `AccountFailed`, even if there is simply no key. */
export const storedKey = (store: Store, provider: string): Effect.Effect<Redacted.Redacted<string>, AccountFailed> =>
  Effect.flatMap(store.get(provider), (key) => {
    if (key === undefined) {
      return Effect.fail(new AccountFailed({ detail: `${store.name} has none; to sign in, run: spindle login --help` }))
    }
    // another program may have written it
    if (isKey(Redacted.value(key))) return Effect.succeed(key)
    const detail = `what ${store.name} has is not a key: it has white space or characters that no key has`
    return Effect.fail(new AccountFailed({ detail }))
  })

/** Makes a key that all models of a provider share. A running command that prints the key ends with the scope. */
export const shareKey = (
  ask: Effect.Effect<Redacted.Redacted<string>, AccountFailed>,
  refreshMillis: number
): Effect.Effect<ApiKeys.ApiKeys, never, Scope.Scope> =>
  Effect.gen(function* () {
    const closed = yield* Effect.acquireRelease(Deferred.make<never, AccountFailed>(), (deferred) =>
      Deferred.fail(deferred, new AccountFailed({ detail: "the program ends" }))
    )
    return yield* ApiKeys.make(
      Effect.raceFirst(ask, Deferred.await(closed)),
      refreshMillis === 0 ? {} : { maxAge: refreshMillis }
    )
  })

/**
 * The logins to MCP servers. Each is a file in `mcp` in the home, which only this user can read. A login uses an
 * address of this machine.
 */
import { createHash, randomUUID } from "node:crypto"
import * as FileSystem from "node:fs"
import * as Path from "node:path"
import type { SessionId } from "@spindle/core/Ids"
import { Grant, type Grants, GrantsFailed, keyOf } from "@spindle/mcp/Grants"
import * as Login from "@spindle/mcp/Login"
import { type HttpServer, headersOf, valueOf, type Variables } from "@spindle/mcp/ServerConfig"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as HttpClient from "effect/http/HttpClient"
import * as Directories from "../storage/Directories.ts"
import * as RegularFile from "../storage/RegularFile.ts"
import * as SessionLease from "../storage/SessionLease.ts"
import * as Loopback from "./loopback.ts"

/** Returns true if the configuration of a server has its token, so that it takes no login. */
export { isAuthorized as isConfigured } from "@spindle/mcp/ServerConfig"
export { LoginFailed } from "@spindle/mcp/Login"
export { GrantsFailed } from "@spindle/mcp/Grants"
export { LoopbackFailed } from "./loopback.ts"

/** The time that a program waits for another one that renews the same grant. */
const waitMillis = 60_000
const pauseMillis = 50

/** Returns the grants in the home. A file that others can read is not used. */
export const grants = (home: string): Grants => {
  const directory = Path.join(home, "mcp")
  const fileOf = (server: HttpServer) =>
    Path.join(directory, `${server.name.replaceAll(/[^\w-]/g, "_")}-${digest(server)}.json`)
  return {
    load: (server) =>
      Effect.flatMap(
        attempt(() => readUnsafe(fileOf(server))),
        (text) => decode(fileOf(server), text)
      ),
    save: (server, grant) =>
      attempt(() => {
        Directories.makeUnsafe(directory)
        writeUnsafe(fileOf(server), `${JSON.stringify({ server: server.name, url: server.url, ...encode(grant) })}\n`)
      }),
    remove: (server) =>
      attempt(() => {
        if (!FileSystem.existsSync(fileOf(server))) return false
        FileSystem.rmSync(fileOf(server))
        return true
      }),
    lock: (server) =>
      SessionLease.acquire(`mcp-${digest(server)}` as SessionId, home).pipe(
        Effect.retry({
          schedule: Schedule.spaced(pauseMillis),
          times: waitMillis / pauseMillis,
          while: ({ _tag }) => _tag === "SessionBusy"
        }),
        Effect.mapError(
          (error) =>
            new GrantsFailed({
              detail: error._tag === "SessionBusy" ? "another program keeps renewing it" : error.message
            })
        )
      )
  }
}

const digest = (server: HttpServer): string => createHash("sha256").update(keyOf(server)).digest("hex").slice(0, 16)

const encode = Schema.encodeSync(Grant)
const decodeText = Schema.decodeUnknownEffect(Schema.fromJsonString(Grant))

/** Decodes a file. The error does not show its content, which has secrets. */
const decode = (file: string, text: string | undefined): Effect.Effect<Grant | undefined, GrantsFailed> =>
  text === undefined
    ? Effect.undefined
    : Effect.mapError(decodeText(text), () => new GrantsFailed({ detail: `${file} is damaged; log in again` }))

/** Returns the text of a file, or undefined if there is none. */
const readUnsafe = (file: string): string | undefined => {
  try {
    return RegularFile.useUnsafe(file, textIn(file))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
}

const textIn =
  (file: string) =>
  (descriptor: number, { mode }: FileSystem.Stats): string => {
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw new GrantsFailed({ detail: `${file} can be read by others; run: chmod 600 ${file}` })
    }
    return FileSystem.readFileSync(descriptor, "utf8")
  }

/** Replaces a file, or leaves it as it was. It has the right mode from its first byte. */
const writeUnsafe = (file: string, text: string): void => {
  const next = `${file}.${randomUUID()}`
  try {
    FileSystem.writeFileSync(next, text, { mode: 0o600, flag: "wx" })
    FileSystem.renameSync(next, file)
  } catch (error) {
    FileSystem.rmSync(next, { force: true })
    throw error
  }
}

const attempt = <A>(evaluate: () => A): Effect.Effect<A, GrantsFailed> =>
  Effect.try({
    try: evaluate,
    catch: (error) =>
      error instanceof GrantsFailed ? error : new GrantsFailed({ detail: (error as NodeJS.ErrnoException).message })
  })

/** The options of a login. */
export interface Options extends Pick<Login.Options, "open" | "scopes" | "server"> {
  readonly home: string
  readonly variables: Variables
}

/**
 * Logs in to a server, and stores the grant. **Interruption** stores nothing. **Errors**: `LoginFailed`,
 * `LoopbackFailed` if no address of this machine is free, and `GrantsFailed` if the grant cannot be stored.
 */
export const login: (
  options: Options
) => Effect.Effect<void, Login.LoginFailed | Loopback.LoopbackFailed | GrantsFailed, HttpClient.HttpClient> =
  Effect.fnUntraced(function* ({ home, open, scopes, server, variables }) {
    const found = headersOf(server, variables)
    const secret = valueOf(variables, server.clientSecretVariable ?? "")
    const grant = yield* Login.login({
      server,
      headers: "headers" in found ? found.headers : {},
      clientSecret: secret ? Redacted.make(secret) : undefined,
      program: "Spindle",
      redirect: yield* Loopback.listen,
      open,
      scopes
    })
    yield* grants(home).save(server, grant)
  }, Effect.scoped)

/** The result of `logout`. */
export type LoggedOut =
  /** The server had no login. */
  | { readonly _tag: "NotLoggedIn" }
  /** Its tokens are no longer valid. */
  | { readonly _tag: "Revoked" }
  /** The login is no longer stored, but its tokens stay valid until they expire. `detail` is the reason. */
  | { readonly _tag: "Forgotten"; readonly detail: string }

const notLoggedIn: LoggedOut = { _tag: "NotLoggedIn" }
const revoked: LoggedOut = { _tag: "Revoked" }
const makeForgotten = (detail: string): LoggedOut => ({ _tag: "Forgotten", detail })

/**
 * Removes the login to a server, and revokes its tokens if the authorization server offers that. The login is removed
 * even if its tokens cannot be revoked. **Errors**: `GrantsFailed` if it cannot be removed.
 */
export const logout: (
  options: Pick<Options, "home" | "server">
) => Effect.Effect<LoggedOut, GrantsFailed, HttpClient.HttpClient> = Effect.fnUntraced(function* ({ home, server }) {
  const stored = grants(home)
  // a renewal by another program would store the login again
  yield* stored.lock(server)
  const found = yield* Effect.result(stored.load(server))
  if (!(yield* stored.remove(server))) return notLoggedIn
  if (Result.isFailure(found)) return makeForgotten(found.failure.message)
  if (found.success === undefined) return notLoggedIn
  const { issuer } = found.success
  return yield* Effect.match(Login.revoke(found.success), {
    onFailure: ({ message }) => makeForgotten(message),
    onSuccess: (isRevoked) => (isRevoked ? revoked : makeForgotten(`${issuer} offers no revocation of tokens`))
  })
}, Effect.scoped)

import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { Grant } from "@spindle/mcp/Grants"
import type { HttpServer } from "@spindle/mcp/ServerConfig"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as McpLogins from "../../src/mcp/McpLogins.ts"
import { temporaryDirectory } from "../../../core/test/fixtures/directories.ts"

const server: HttpServer = { _tag: "Http", name: "docs", url: "https://example.org/mcp" }

const grant: Grant = {
  resource: "https://example.org/mcp",
  issuer: "https://example.org",
  tokenEndpoint: "https://example.org/token",
  clientId: "client",
  clientAuthentication: "none",
  accessToken: Redacted.make("secret-access"),
  refreshToken: Redacted.make("secret-refresh"),
  expiresAt: 1_000
}

/** A home with one grant, and its file. */
const stored = Effect.gen(function* () {
  const at = yield* temporaryDirectory
  const grants = McpLogins.grants(at)
  yield* grants.save(server, grant)
  const [name] = Fs.readdirSync(Path.join(at, "mcp"))
  return { at, grants, file: Path.join(at, "mcp", name!) }
})

const modeOf = (path: string) => Fs.statSync(path).mode & 0o777

describe("the grants in a home", () => {
  it.effect("are read as they were written, in files for this user only", () =>
    Effect.gen(function* () {
      const { at, file, grants } = yield* stored
      assert.deepStrictEqual(yield* grants.load(server), grant)
      assert.strictEqual(modeOf(file), 0o600)
      assert.strictEqual(modeOf(Path.join(at, "mcp")), 0o700)
      // a later one replaces it, and leaves nothing else
      yield* grants.save(server, { ...grant, accessToken: Redacted.make("secret-other") })
      assert.strictEqual(Redacted.value((yield* grants.load(server))!.accessToken), "secret-other")
      assert.deepStrictEqual(Fs.readdirSync(Path.dirname(file)), [Path.basename(file)])
      assert.strictEqual(modeOf(file), 0o600)
    }).pipe(Effect.scoped)
  )

  it.effect("are those of one name and address", () =>
    Effect.gen(function* () {
      const { grants } = yield* stored
      assert.isUndefined(yield* grants.load({ ...server, name: "other" }))
      assert.isUndefined(yield* grants.load({ ...server, url: "https://evil.example/mcp" }))
      assert.isTrue(yield* grants.remove(server))
      assert.isFalse(yield* grants.remove(server))
      assert.isUndefined(yield* grants.load(server))
    }).pipe(Effect.scoped)
  )

  it.effect("stay below the home, whatever the name of a server is", () =>
    Effect.gen(function* () {
      const at = yield* temporaryDirectory
      const odd = { ...server, name: "../../odd name" }
      yield* McpLogins.grants(at).save(odd, grant)
      assert.match(Fs.readdirSync(Path.join(at, "mcp"))[0]!, /^______odd_name-[0-9a-f]{16}\.json$/)
    }).pipe(Effect.scoped)
  )

  it.effect("are not used if others can read them", () =>
    Effect.gen(function* () {
      const { file, grants } = yield* stored
      for (const mode of [0o640, 0o604, 0o620]) {
        Fs.chmodSync(file, mode)
        const error = yield* Effect.flip(grants.load(server))
        assert.strictEqual(error.detail, `${file} can be read by others; run: chmod 600 ${file}`)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("are not used if they are damaged, and the error shows nothing of them", () =>
    Effect.gen(function* () {
      const { file, grants } = yield* stored
      for (const text of ["", '{"accessToken":"secret-access"', '{"accessToken":["secret-access"]}']) {
        Fs.writeFileSync(file, text)
        const error = yield* Effect.flip(grants.load(server))
        assert.strictEqual(error.detail, `${file} is damaged; log in again`)
        assert.notInclude(String(error), "secret-")
      }
    }).pipe(Effect.scoped)
  )

  it.effect("cannot be written: the error says why, and the grant before is kept", () =>
    Effect.gen(function* () {
      const { at, file, grants } = yield* stored
      Fs.renameSync(Path.join(at, "mcp"), Path.join(at, "kept"))
      Fs.writeFileSync(Path.join(at, "mcp"), "a file")
      const error = yield* Effect.flip(grants.save(server, grant))
      assert.include(error.detail, "ENOTDIR")
      assert.notInclude(String(error), "secret-")
      assert.isTrue(Fs.existsSync(Path.join(at, "kept", Path.basename(file))))
    }).pipe(Effect.scoped)
  )

  it.live("are renewed by one program at a time", () =>
    Effect.gen(function* () {
      const { at, grants } = yield* stored
      const order: Array<string> = []
      const [isHeld, isReleased] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const first = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            yield* grants.lock(server)
            yield* Deferred.succeed(isHeld, undefined)
            yield* Deferred.await(isReleased)
            order.push("first")
          })
        )
      )
      yield* Deferred.await(isHeld)
      const other = McpLogins.grants(at)
      const second = yield* Effect.forkChild(
        Effect.scoped(
          Effect.andThen(
            other.lock(server),
            Effect.sync(() => void order.push("second"))
          )
        )
      )
      // that of another server is free
      yield* Effect.scoped(other.lock({ ...server, name: "other" }))
      yield* Deferred.succeed(isReleased, undefined)
      yield* Fiber.joinAll([first, second])
      assert.deepStrictEqual(order, ["first", "second"])
    }).pipe(Effect.scoped)
  )
})

describe("a logout", () => {
  /** Logs out with a client that gets this status for each request. Returns the result, and what was sent. */
  const loggedOut = Effect.fnUntraced(function* (at: string, status = 200) {
    const tokens: Array<string | null> = []
    const client = HttpClient.make((request) =>
      Effect.sync(() => {
        const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
        tokens.push(new URLSearchParams(body).get("token"))
        return HttpClientResponse.fromWeb(request, new Response("{}", { status }))
      })
    )
    const result = yield* McpLogins.logout({ home: at, server }).pipe(
      Effect.provideService(HttpClient.HttpClient, client)
    )
    return { result, tokens }
  })
  const revocable: Grant = { ...grant, revocationEndpoint: "https://example.org/revoke" }

  it.live("removes the login and revokes its tokens", () =>
    Effect.gen(function* () {
      const { at, grants } = yield* stored
      yield* grants.save(server, revocable)
      assert.deepStrictEqual(yield* loggedOut(at), {
        result: { _tag: "Revoked" },
        tokens: ["secret-refresh", "secret-access"]
      })
      assert.isUndefined(yield* grants.load(server))
      assert.deepStrictEqual(yield* loggedOut(at), { result: { _tag: "NotLoggedIn" }, tokens: [] })
    }).pipe(Effect.scoped)
  )

  it.live("removes a login whose tokens cannot be revoked, and says why", () =>
    Effect.gen(function* () {
      const { at, file, grants } = yield* stored
      const offered: McpLogins.LoggedOut = {
        _tag: "Forgotten",
        detail: "https://example.org offers no revocation of tokens"
      }
      assert.deepStrictEqual((yield* loggedOut(at)).result, offered)
      yield* grants.save(server, revocable)
      const { result } = yield* loggedOut(at, 500)
      assert.include(result, { _tag: "Forgotten" })
      assert.include(JSON.stringify(result), "cannot revoke the tokens at https://example.org: ")
      assert.notInclude(JSON.stringify(result), "secret-")
      Fs.writeFileSync(file, "damaged", { mode: 0o600 })
      assert.deepStrictEqual((yield* loggedOut(at)).result, {
        _tag: "Forgotten",
        detail: `${file} is damaged; log in again`
      })
      assert.isFalse(Fs.existsSync(file))
    }).pipe(Effect.scoped)
  )
})

/**
 * The token of a server over HTTP. It is renewed before it expires, and after the server has refused it: once, however
 * many requests need it.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as McpClientError from "effect/ai/McpClientError"
import type { Grant, Grants, GrantsFailed } from "../Grants.ts"
import { type LoginReason, McpFailed, type Reason } from "../McpFailed.ts"
import type { HttpServer } from "../ServerConfig.ts"
import type { Headers } from "../TurnHeaders.ts"
import * as Challenge from "./challenge.ts"
import type { OAuthFailed } from "./oauth.ts"
import * as Wire from "./wire.ts"

/** The authorization of requests to a server. */
export interface Authorization {
  /**
   * Sends a request with the headers that authorize it. If the server refuses them, they are renewed, and the request
   * is sent once more.
   */
  readonly use: <A, R>(
    send: (headers: Headers) => Effect.Effect<A, McpClientError.McpClientError, R>
  ) => Effect.Effect<A, McpClientError.McpClientError, R>
  /** Returns the headers of the last request, for one that is not worth a renewal. */
  readonly lastHeaders: () => Headers
}

/** The authorization of a server whose configuration has all headers that it needs. */
export const none: Authorization = { use: (send) => send({}), lastHeaders: () => ({}) }

/** The options of an authorization. `renew` asks the authorization server for another token. */
export interface Options {
  readonly server: HttpServer
  readonly grants: Grants
  readonly renew: (grant: Grant, refreshToken: Redacted.Redacted) => Effect.Effect<Grant, OAuthFailed>
}

/** The time before its end at which a token is renewed. */
const marginMillis = 30_000
/** The time that the end of a connection waits for a renewal. */
const closeMillis = 1_000

/** Makes the authorization of a server from its stored grant. */
export const make: (options: Options) => Effect.Effect<Authorization, never, Scope.Scope> = Effect.fnUntraced(
  function* (options) {
    const renewals = yield* FiberSet.make<Grant, McpFailed>()
    // mutant waits-for-a-renewal (M3: a renewal that is cut off could lose the only refresh token): drop
    yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeoutOption(FiberSet.awaitEmpty(renewals), closeMillis)))
    return new Tokens(options, renewals)
  }
)

class Tokens implements Authorization {
  private readonly options: Options
  private readonly renewals: FiberSet.FiberSet<Grant, McpFailed>
  private grant: Grant | undefined
  private isLoaded = false
  private renewing: Deferred.Deferred<Fiber.Fiber<Grant, McpFailed>> | undefined
  private readonly spent = new Set<string>()

  constructor(options: Options, renewals: FiberSet.FiberSet<Grant, McpFailed>) {
    this.options = options
    this.renewals = renewals
  }

  readonly lastHeaders = (): Headers => headersOf(this.grant)

  readonly use: Authorization["use"] = (send) =>
    Effect.flatMap(toTransportError(this.current), (grant) =>
      Effect.catch(send(headersOf(grant)), (error) => {
        const refusal = refusalOf(error, grant !== undefined)
        if (refusal === undefined) return Effect.fail(error)
        if (refusal._tag === "Scope") {
          const scope = union(grant?.scope, refusal.scope)
          return toTransportError(needsLogin(this.options.server, { _tag: "Scope", scope }))
        }
        return Effect.flatMap(toTransportError(this.renewed(grant)), (renewed) =>
          Effect.catch(send(headersOf(renewed)), (again) =>
            refusalOf(again, true)?._tag === "Token"
              ? toTransportError(needsLogin(this.options.server, { _tag: "Expired" }))
              : Effect.fail(again)
          )
        )
      })
    )

  /** The grant to use now: the stored one, or another one if that is about to expire. */
  private get current(): Effect.Effect<Grant | undefined, McpFailed> {
    return Effect.suspend(() => {
      const { grant } = this
      if (grant !== undefined) {
        return Effect.flatMap(isExpiring(grant), (isDue) =>
          isDue && grant.refreshToken !== undefined ? this.renewed(grant) : Effect.succeed(grant)
        )
      }
      if (this.isLoaded) return Effect.undefined
      return Effect.andThen(
        Effect.map(this.load, (stored) => {
          this.grant = stored
          this.isLoaded = true
        }),
        this.current
      )
    })
  }

  /**
   * Returns another grant than the one that was refused. The first caller starts the renewal, and all of them wait for
   * it; **Interruption** stops only the wait.
   */
  private renewed(refused: Grant | undefined): Effect.Effect<Grant, McpFailed> {
    const start = Effect.suspend(() => {
      const { grant, renewing } = this
      // mutant renewed-meanwhile (M3: a request that is refused after a renewal starts no other one): false
      if (grant !== undefined && grant !== refused) return Effect.succeed(Effect.succeed(grant))
      const started = renewing ?? Deferred.makeUnsafe<Fiber.Fiber<Grant, McpFailed>>()
      const joined = Effect.flatMap(Deferred.await(started), Fiber.join)
      // mutant joins-the-renewal (M3: requests that are refused at the same time share one renewal): false
      if (renewing !== undefined) return Effect.succeed(joined)
      this.renewing = started
      const renewal = Effect.onExit(Effect.tap(renewStored(this.options, refused, this.spent), this.adopt), () =>
        Effect.sync(() => void (this.renewing = undefined))
      )
      return Effect.flatMap(FiberSet.run(this.renewals, Effect.interruptible(renewal)), (fiber) =>
        Effect.as(Deferred.succeed(started, fiber), joined)
      )
    })
    // mutant renews-in-no-caller (M3: the renewal survives the request that started it):
    //   replace: `Effect.uninterruptible(start)` => `start`
    return Effect.flatten(Effect.uninterruptible(start))
  }

  private readonly adopt = (grant: Grant) => Effect.sync(() => void (this.grant = grant))

  private get load() {
    const { grants, server } = this.options
    return orUnreadable(server, grants.load(server))
  }
}

/**
 * Renews the stored grant, unless another program has done so. `spent` has the refresh tokens that are no longer
 * accepted.
 */
const renewStored = Effect.fnUntraced(function* (
  { grants, renew, server }: Options,
  refused: Grant | undefined,
  spent: Set<string>
) {
  yield* orUnreadable(server, grants.lock(server))
  const stored = yield* orUnreadable(server, grants.load(server))
  if (stored === undefined) return yield* needsLogin(server, { _tag: "NoToken" })
  // mutant renewed-elsewhere (M3: a token that another connection has renewed is not renewed again): false
  const isOther = refused === undefined || !isSame(stored.accessToken, refused.accessToken)
  if (isOther && !(yield* isExpiring(stored))) return stored
  const { refreshToken } = stored
  if (refreshToken === undefined || spent.has(Redacted.value(refreshToken))) {
    return yield* needsLogin(server, { _tag: "Expired" })
  }
  const renewed = Effect.catch(renew(stored, refreshToken), ({ code, detail }) => {
    if (code !== "invalid_grant") return fail(server, { _tag: "TokenNotRenewed", detail })
    spent.add(Redacted.value(refreshToken))
    return needsLogin(server, { _tag: "Expired" })
  })
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.tap(restore(renewed), (grant) => orUnreadable(server, grants.save(server, grant)))
  )
}, Effect.scoped)

const fail = ({ name }: HttpServer, reason: Reason): Effect.Effect<never, McpFailed> =>
  Effect.fail(new McpFailed({ server: name, reason }))

const needsLogin = (server: HttpServer, why: LoginReason) => fail(server, { _tag: "LoginNeeded", why })

const orUnreadable = <A, R>(server: HttpServer, effect: Effect.Effect<A, GrantsFailed, R>) =>
  Effect.catch(effect, ({ detail }) => fail(server, { _tag: "LoginUnreadable", detail }))

const headersOf = (grant: Grant | undefined): Headers =>
  grant === undefined ? {} : { authorization: `Bearer ${Redacted.value(grant.accessToken)}` }

/** Joins both lists of permissions. A login that asked for the missing ones alone would lose the granted ones. */
const union = (granted: string | undefined, missing: string): string =>
  [...new Set([...(granted ?? "").split(" "), ...missing.split(" ")])].filter((one) => one !== "").join(" ")

const isSame = (one: Redacted.Redacted, other: Redacted.Redacted): boolean =>
  Redacted.value(one) === Redacted.value(other)

const isExpiring = ({ expiresAt }: Grant): Effect.Effect<boolean> =>
  Effect.map(Clock.currentTimeMillis, (now) => expiresAt !== undefined && expiresAt - marginMillis <= now)

/** Returns the fault of the token of a request that was refused; undefined if it failed for another reason. */
const refusalOf = (
  { reason }: McpClientError.McpClientError,
  hadToken: boolean
): { readonly _tag: "Token" } | { readonly _tag: "Scope"; readonly scope: string } | undefined => {
  if (reason._tag !== "HttpError") return undefined
  const challenge = Challenge.parse(reason.wwwAuthenticate)
  if (reason.status === 401 && (hadToken || challenge !== undefined)) return { _tag: "Token" }
  const isScope = reason.status === 403 && challenge?.error === "insufficient_scope"
  return isScope ? { _tag: "Scope", scope: challenge.scope ?? "" } : undefined
}

/** Wraps an error of this client in one of the transport. `failures.ts` unwraps it. */
const toTransportError = <A>(effect: Effect.Effect<A, McpFailed>): Effect.Effect<A, McpClientError.McpClientError> =>
  Effect.mapError(effect, (error) => Wire.lostError(error.message, error))

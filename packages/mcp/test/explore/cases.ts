/** Requests whose token is refused, and overlapping turns, with servers that are functions. Time is virtual. */
import { type Grant, type Grants, memory } from "@spindle/mcp/Grants"
import type { HttpServer } from "@spindle/mcp/ServerConfig"
import type * as Interrupts from "@spindle/testing/Interrupts"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as McpClientError from "effect/ai/McpClientError"
import * as Authorization from "../../src/internal/authorization.ts"
import { OAuthFailed } from "../../src/internal/oauth.ts"
import * as Wire from "../../src/internal/wire.ts"
import * as Programs from "./programs.ts"

const server: HttpServer = { _tag: "Http", name: "memory", url: "http://memory" }

/** The grant of this number. */
const grantOf = (number: number): Grant => ({
  resource: server.url,
  issuer: "http://issuer",
  tokenEndpoint: "http://issuer/token",
  clientId: "client",
  clientAuthentication: "none",
  accessToken: Redacted.make(`access-${number}`),
  refreshToken: Redacted.make(`refresh-${number}`)
})

/** What is left of a run. */
interface Outcome {
  /** The refresh tokens that were used. */
  readonly renewals: ReadonlyArray<string>
  /** The exits of the requests that nothing interrupted. */
  readonly others: ReadonlyArray<Exit.Exit<string, unknown>>
  readonly stored: string | undefined
  /** How often the store was locked for a renewal. */
  readonly locks: number
}

/** An authorization server whose refresh tokens are valid once. Each of its two steps takes time. */
const issuer = () => {
  const renewals: Array<string> = []
  const renew: Authorization.Options["renew"] = (_, refreshToken) =>
    Effect.gen(function* () {
      const token = Redacted.value(refreshToken)
      yield* Effect.sleep(10)
      if (renewals.includes(token)) return yield* new OAuthFailed({ code: "invalid_grant", detail: "used before" })
      renewals.push(token)
      yield* Effect.sleep(10)
      return grantOf(renewals.length)
    })
  return { renewals, renew }
}

/** Connections in one scope that share their grants. */
const connect = Effect.fnUntraced(function* (count: number) {
  const { renew, renewals } = issuer()
  let locks = 0
  const kept = memory()
  const grants: Grants = {
    ...kept,
    lock: (one) =>
      Effect.andThen(
        Effect.sync(() => void locks++),
        kept.lock(one)
      )
  }
  yield* Effect.orDie(grants.save(server, grantOf(0)))
  const scope = yield* Scope.make()
  const connections: Array<Authorization.Authorization> = []
  for (let index = 0; index < count; index++) {
    connections.push(yield* Scope.provide(Authorization.make({ server, grants, renew }), scope))
  }
  /** Requests take a different time, so that some are refused after the renewal. */
  const request = (index: number) =>
    connections[index % count]!.use((headers) =>
      Effect.flatMap(Effect.sleep(1 + index * 8), () =>
        headers["authorization"] === "Bearer access-0"
          ? Effect.fail(Wire.failure(new McpClientError.HttpError({ status: 401, wwwAuthenticate: "Bearer" })))
          : Effect.succeed(String(headers["authorization"]))
      )
    )
  const close = Scope.close(scope, Exit.void)
  const outcome = Effect.fnUntraced(function* (others: ReadonlyArray<Fiber.Fiber<string, unknown>>) {
    const exits = yield* Effect.forEach(others, (fiber) => Fiber.await(fiber))
    yield* close
    const stored = yield* Effect.orDie(grants.load(server))
    const token = stored && Redacted.value(stored.accessToken)
    return { renewals, others: exits, stored: token, locks } satisfies Outcome as Outcome
  })
  return { request, close, outcome }
})

const indexes = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

/** So many requests at the same time, whose token the server no longer accepts. The first one is the victim. */
const refused =
  (count: number, connections = 1): Interrupts.Program<Outcome, never> =>
  (stage) =>
    Effect.gen(function* () {
      const { outcome, request } = yield* connect(connections)
      const others = yield* Effect.forEach(indexes(1, count), (index) => Effect.forkChild(request(index)))
      yield* stage.attack(request(0))
      return yield* outcome(others)
    })

/** The same, with an action that closes the connections. */
const closing =
  (count: number): Interrupts.Program<Outcome, never> =>
  (stage) =>
    Effect.gen(function* () {
      const { close, outcome, request } = yield* connect(1)
      yield* stage.arm({ close })
      const all = yield* Effect.forEach(indexes(0, count), (index) => Effect.forkChild(request(index)))
      yield* Effect.forEach(all, (fiber) => Fiber.await(fiber))
      yield* stage.disarm
      return yield* outcome(all)
    })

type Law<A> = (exit: Exit.Exit<A, unknown>) => string | undefined

/** A law of the outcome. */
const of =
  <A>(broken: (outcome: A) => string | undefined): Law<A> =>
  (exit) =>
    Exit.isSuccess(exit) ? broken(exit.value) : `the program failed: ${String(exit.cause)}`

/** What must hold while so many connections are open. */
const whileOpen = (connections: number): Law<Outcome> =>
  of(({ locks, others, renewals, stored }) => {
    if (locks > connections) return `M3 ${locks} requests wanted a renewal`
    if (renewals.length !== 1) return `M3 there were ${renewals.length} renewals`
    const failed = others.find((exit) => !Exit.isSuccess(exit) || exit.value !== "Bearer access-1")
    if (failed !== undefined) return `M3 a request was not sent with the new token: ${String(failed)}`
    return stored === "access-1" ? undefined : "M3 the new token is not stored"
  })

/** What must hold even if the connection is closed. */
const whileClosing: Law<Outcome> = of(({ renewals, stored }) => {
  if (renewals.length > 1) return `M3 there were ${renewals.length} renewals`
  return stored === `access-${renewals.length}` ? undefined : "M3 the only refresh token is lost"
})

/** Two sessions whose calls overlap, on one connection. */
const turn = { calls: 2, callMillis: 20, headerMillis: 5, abortAfter: undefined }
const overlapping: Programs.Program = [[turn, turn], [turn]]

/** The explorations, by name. */
export const cases = {
  interruptingARequest: { program: refused(4), law: whileOpen(1), maxRuns: 200 },
  interruptingTwice: { program: refused(4), law: whileOpen(1), actions: [["interrupt", "interrupt"]], maxRuns: 100 },
  manyRequests: { program: refused(20), law: whileOpen(1), seeds: [0, 1, 2], maxRuns: 20 },
  twoConnections: { program: refused(4, 2), law: whileOpen(2), maxRuns: 100 },
  sharing: {
    program: () => Programs.run(overlapping),
    law: of(Programs.broken(overlapping)),
    seeds: [0, 1, 2, 3],
    actions: []
  },
  closing: { program: closing(3), law: whileClosing, actions: [["close"]], maxRuns: 300 }
} satisfies { readonly [name: string]: Interrupts.Exploration<any, unknown> }

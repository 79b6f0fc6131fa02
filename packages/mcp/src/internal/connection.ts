/** A supervised connection to one server: starts it, follows its tools, starts it again after it has ended. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as McpClient from "effect/ai/McpClient"
import type { McpClientError } from "effect/ai/McpClientError"
import * as McpProtocol from "effect/ai/McpProtocol"
import type * as McpSchema from "effect/ai/McpSchema"
import * as HttpClient from "effect/http/HttpClient"
import type { Grants } from "../Grants.ts"
import { McpFailed } from "../McpFailed.ts"
import type { McpServer } from "../McpServer.ts"
import { headersOf, type HttpServer, isAuthorized, isOffered, type ServerConfig } from "../ServerConfig.ts"
import * as TurnHeaders from "../TurnHeaders.ts"
import * as Authorization from "./authorization.ts"
import { CurrentCall, type OpenQuestions } from "./currentCall.ts"
import { toMcpFailed } from "./failures.ts"
import * as Http from "./http.ts"
import * as Incoming from "./incoming.ts"
import * as ModernHttp from "./modernHttp.ts"
import { Pauses } from "./pauses.ts"
import { type Running, ServerState } from "./serverState.ts"
import * as Stdio from "./stdio.ts"
import type * as Wire from "./wire.ts"

/** The options of a connection. */
export interface Options extends Pick<Stdio.Options, "onStart" | "variables"> {
  readonly config: ServerConfig
  readonly program: { readonly name: string; readonly version: string }
  readonly grants: Grants
  readonly restarts: Schedule.Schedule<unknown, McpFailed>
  readonly reconnects: Schedule.Schedule<unknown>
}

/** The time after which a running server no longer counts as one that fails in a row. */
const stableMillis = 60_000
/** The time to wait for the end of a connection. */
const closeMillis = 3_000

const startupSecondsOf = (config: ServerConfig) => config.startupSeconds ?? 10
const callSecondsOf = (config: ServerConfig) => config.callSeconds ?? 60

/** Starts the server in the background. Closing the scope ends it. */
export const make = Effect.fnUntraced(function* (options: Options) {
  const { config } = options
  const state = new ServerState()
  yield* Effect.forkScoped(supervise(options, state))

  const use =
    <A>(run: (client: McpClient.McpClient) => Effect.Effect<A, McpClientError>) =>
    (running: Running): Effect.Effect<A, McpFailed> =>
      Effect.mapError(run(running.client), (error) => toMcpFailed(placeOf(config, false, running.transport), error))
  const withServer = <A>(run: (client: McpClient.McpClient) => Effect.Effect<A, McpClientError>) => {
    const once = use(run)
    return Effect.flatMap(state.running, (running) =>
      Effect.catchIf(
        once(running),
        ({ reason }) => reason._tag === "SessionEnded",
        // the server has refused the request, so it can be sent again in the next session
        () => Effect.flatMap(state.running, once)
      )
    )
  }
  const server: McpServer = {
    config,
    started: Effect.asVoid(state.running),
    tools: () => state.tools,
    failure: () => state.failure,
    callTool: (tool, params) =>
      withDeadline(
        config,
        withServer((client) => client.callTool({ tool, arguments: params }))
      ),
    listResources: withServer((client) => client.listResources()),
    readResource: (uri) => withServer((client) => client.readResource({ uri })),
    listPrompts: withServer((client) => client.listPrompts()),
    getPrompt: (prompt, params) => withServer((client) => client.getPrompt({ prompt, arguments: params }))
  }
  return server
})

/**
 * Runs the server, and starts it again after it has ended. It has failed for good if its first start fails, or if it
 * ends too often in a row. A session that has ended is renewed at once.
 */
const supervise = Effect.fnUntraced(function* (options: Options, state: ServerState) {
  let hasStarted = false
  let isFirst = true
  const pauses = new Pauses(options.restarts)
  for (;;) {
    const since = yield* Clock.currentTimeMillis
    const error = yield* runOnce(options, state, () => void (hasStarted = true))
    const now = yield* Clock.currentTimeMillis
    if (now - since > stableMillis) {
      isFirst = true
      pauses.reset()
    }
    if (!hasStarted) return state.fail(error)
    const pause = yield* pauses.next(error)
    if (pause === undefined) return state.fail(error)
    state.start()
    if (!isFirst || error.reason._tag !== "SessionEnded") yield* Effect.sleep(pause)
    isFirst = false
  }
})

/** Starts the server, waits until it has ended, and returns the reason. */
const runOnce = (options: Options, state: ServerState, onStarted: () => void) =>
  Effect.acquireUseRelease(
    Scope.make(),
    (scope) =>
      Effect.gen(function* () {
        const { running, toolsChanged } = yield* start(options, state)
        onStarted()
        yield* Effect.forkScoped(followTools(options.config, state, running, toolsChanged))
        return toMcpFailed(placeOf(options.config, false, running.transport), yield* running.transport.ended)
      }).pipe(
        Scope.provide(scope),
        Effect.catch((error) => Effect.succeed(error))
      ),
    // a server that does not end must not block the fiber that closes the connection
    (scope, exit) =>
      Effect.flatMap(Effect.forkDetach(Scope.close(scope, exit)), (closing) =>
        Effect.timeoutOption(Fiber.await(closing), closeMillis)
      )
  )

const start = Effect.fnUntraced(function* (options: Options, state: ServerState) {
  const { config, program } = options
  const toolsChanged = yield* Queue.sliding<void>(1)
  const incoming = Incoming.make(config.name, Effect.asVoid(Queue.offer(toolsChanged, undefined)))
  let transport: Wire.ServerTransport | undefined
  const seconds = startupSecondsOf(config)
  const started = Effect.gen(function* () {
    transport = yield* transportOf(options, incoming)
    const client = yield* Effect.provideService(McpClient.make(program), McpClient.Transport, transport)
    const running: Running = { client, transport }
    state.run(running, offeredTools(config, yield* client.listTools()))
    return { running, toolsChanged }
  })
  return yield* started.pipe(
    Effect.mapError((error) =>
      error instanceof McpFailed ? error : toMcpFailed(placeOf(config, true, transport), error)
    ),
    Effect.timeoutOrElse({
      duration: `${seconds} seconds`,
      orElse: () => Effect.fail(failureOf(config, { _tag: "StartTimedOut", seconds }))
    })
  )
})

const protocols = { "2025-11-25": McpProtocol.v2025_11_25, "2026-07-28": McpProtocol.v2026_07_28 }

const transportOf = Effect.fnUntraced(function* (options: Options, incoming: Wire.Incoming) {
  const { config, onStart, variables } = options
  const protocol = protocols[config.protocol ?? "2025-11-25"]
  if (config._tag === "Stdio") return yield* Stdio.make({ server: config, variables, onStart, protocol, incoming })
  const found = headersOf(config, variables)
  if ("missing" in found) return yield* failureOf(config, { _tag: "VariableMissing", variable: found.missing })
  if ("unusable" in found) return yield* failureOf(config, { _tag: "VariableUnusable", variable: found.unusable })
  const legal = TurnHeaders.legal(found.headers)
  const illegal = Object.entries(found.headers).find(([name, value]) => value !== "" && legal[name] === undefined)
  // without its value, which can be a secret
  if (illegal !== undefined) {
    const detail = `its header ${JSON.stringify(illegal[0])} is not visible ASCII text`
    return yield* failureOf(config, { _tag: "NotStarted", detail })
  }
  const authorization = yield* authorizationOf(config, options.grants)
  const shared = { url: config.url, headers: found.headers, authorization, protocol, incoming }
  return yield* config.protocol === "2026-07-28"
    ? ModernHttp.make(shared)
    : Http.make({ ...shared, reconnects: options.reconnects })
})

/** Makes the authorization of a server: from a login, unless the configuration authorizes the requests. */
const authorizationOf = (server: HttpServer, grants: Grants) =>
  isAuthorized(server)
    ? Effect.succeed(Authorization.none)
    : Effect.flatMap(HttpClient.HttpClient, (client) =>
        Authorization.make({ server, grants, renew: renewWith(client) })
      )

const renewWith =
  (client: HttpClient.HttpClient): Authorization.Options["renew"] =>
  (grant, refreshToken) =>
    Effect.promise(() => import("./oauth.ts")).pipe(
      Effect.flatMap(({ renew }) => renew(grant, refreshToken)),
      Effect.provideService(HttpClient.HttpClient, client)
    )

/** Reads the tools again whenever the server says that they have changed. */
const followTools = Effect.fnUntraced(function* (
  config: ServerConfig,
  state: ServerState,
  { client }: Running,
  toolsChanged: Queue.Dequeue<void>
) {
  for (;;) {
    yield* Queue.take(toolsChanged)
    yield* Effect.matchEffect(client.listTools(), {
      onFailure: (error) => Effect.logWarning(`the tools of the MCP server ${config.name} could not be read`, error),
      onSuccess: (tools) => Effect.sync(() => void (state.tools = offeredTools(config, tools)))
    })
  }
})

const offeredTools = (config: ServerConfig, tools: ReadonlyArray<McpSchema.Tool>) =>
  tools.filter(({ name }) => isOffered(config, name))

const failureOf = (config: ServerConfig, reason: McpFailed["reason"]) => new McpFailed({ server: config.name, reason })

const placeOf = (config: ServerConfig, isStarting: boolean, transport: Wire.ServerTransport | undefined) => ({
  server: config.name,
  isStarting,
  startupSeconds: startupSecondsOf(config),
  stderr: transport?.stderr() ?? ""
})

/** Fails a call that takes too long. Its time does not count while a person is asked. */
const withDeadline = <A>(config: ServerConfig, call: Effect.Effect<A, McpFailed>): Effect.Effect<A, McpFailed> =>
  Effect.flatMap(CurrentCall, (current) => Effect.raceFirst(call, deadline(config, current?.questions)))

const deadline = Effect.fnUntraced(function* (config: ServerConfig, questions: OpenQuestions | undefined) {
  const seconds = callSecondsOf(config)
  const limitMillis = seconds * 1_000
  let waitMillis = limitMillis
  for (;;) {
    yield* Effect.sleep(waitMillis)
    const sinceMillis = (yield* Clock.currentTimeMillis) - (questions?.settledAt ?? Number.NEGATIVE_INFINITY)
    const isAsking = questions !== undefined && questions.count > 0
    if (!isAsking && sinceMillis >= limitMillis) return yield* failureOf(config, { _tag: "CallTimedOut", seconds })
    waitMillis = isAsking ? limitMillis : limitMillis - sinceMillis
  }
})

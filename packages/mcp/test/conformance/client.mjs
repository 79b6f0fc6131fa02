// The client of a scenario of the MCP conformance suite: connects to the server at the address, logs in if it has to, and calls its tools.
// The suite names the scenario, the revision and further data in variables of the environment.
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Agent, Approvals, Journal, Op, Session } from "@spindle/core"
import { Grants, Login, McpServers, McpTools } from "@spindle/mcp"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer, Queue, Redacted } from "effect"

const { MCP_CONFORMANCE_CONTEXT, MCP_CONFORMANCE_PROTOCOL_VERSION } = process.env
const given = JSON.parse(MCP_CONFORMANCE_CONTEXT ?? "{}")
const config = {
  _tag: "Http",
  name: "suite",
  url: process.argv.at(-1),
  ...(MCP_CONFORMANCE_PROTOCOL_VERSION === "2026-07-28" && { protocol: "2026-07-28" }),
  clientId: given.client_id ?? "https://conformance-test.local/client-metadata.json"
}
const grants = Grants.memory()
const platform = Layer.merge(NodeServices.layer, NodeHttpClient.layerUndici)
const program = { name: "spindle", version: "0.1.0" }
const servers = Layer.provideMerge(McpServers.layer({ variables: {}, program, grants }), platform)

/** Logs in with a browser that agrees to everything. */
const logIn = Effect.fnUntraced(function* (scopes) {
  const arrivals = yield* Queue.unbounded()
  const grant = yield* Login.login({
    server: config,
    headers: {},
    clientSecret: given.client_secret === undefined ? undefined : Redacted.make(given.client_secret),
    program: program.name,
    redirect: { uri: "http://127.0.0.1:3999/callback", next: Queue.take(arrivals) },
    open: (address) =>
      Effect.flatMap(
        Effect.promise(() => fetch(address, { redirect: "manual" })),
        (response) => Queue.offer(arrivals, { url: response.headers.get("location"), respond: () => Effect.void })
      ),
    scopes
  })
  yield* grants.save(config, grant)
})

/** Runs an effect, and once more after each login that it asks for, at most three times. */
const withLogins = (effect, logins = 3) =>
  Effect.catchIf(
    effect,
    ({ reason }) => logins > 0 && reason?._tag === "LoginNeeded",
    ({ reason: { why } }) =>
      Effect.andThen(logIn(why._tag === "Scope" ? why.scope.split(" ") : undefined), withLogins(effect, logins - 1))
  )

/** The answer to a form: the default of each field. */
const answersOf = ({ requestedSchema }) =>
  Object.fromEntries(
    Object.entries(requestedSchema?.properties ?? {}).flatMap(([name, field]) =>
      field.default === undefined ? [] : [[name, field.default]]
    )
  )

const approvals = {
  decide: ({ kind, payload }) =>
    Effect.succeed(kind === "elicitation" ? { _tag: "Answered", answers: answersOf(payload) } : { _tag: "Approved" })
}

/** A value of a type. */
const valueOf = (type, index) => (type === "string" ? "text" : type === "boolean" ? true : index + 2)

/** The calls that the suite wants, else one of each tool. */
const callsOf = (tools) =>
  given.toolCalls ??
  tools.map(({ inputSchema, name }) => ({
    name,
    arguments: Object.fromEntries(
      Object.entries(inputSchema.properties ?? {}).map(([key, { type }], index) => [key, valueOf(type, index)])
    )
  }))

/** Makes the calls in a turn, so that the server can ask. */
const callInTurn = (running) =>
  Effect.gen(function* () {
    const calls = callsOf(running.tools())
    const model = ScriptedModel.make((_, index) => {
      const call = calls[index]
      if (call === undefined) return [ScriptedModel.text("done")]
      return [ScriptedModel.call(`mcp__suite__${call.name}`, call.arguments, `call-${index}`)]
    })
    const session = yield* Session.make(Agent.make({ sources: [McpTools.source] })).pipe(
      Effect.provideService(Approvals.Approvals, approvals),
      Effect.provide(Layer.mergeAll(model.layer, Journal.layerMemory()))
    )
    yield* session.submit(Op.userInput("go"))
    yield* session.awaitIdle
  })

/** Makes the calls without a turn, whose errors say what to do. */
const callAlone = Effect.fnUntraced(function* (running) {
  for (const call of callsOf(running.tools())) {
    const tool = running.tools().find(({ name }) => name === call.name)
    yield* withLogins(running.callTool(tool, call.arguments))
  }
})

const connect = Effect.gen(function* () {
  const { get } = yield* McpServers.McpServers
  const running = yield* get(config)
  yield* running.started
  const needsLogin = process.env.MCP_CONFORMANCE_SCENARIO?.startsWith("auth/") === true
  yield* needsLogin ? callAlone(running) : callInTurn(running)
}).pipe(Effect.provide(McpTools.layer({ servers: [config], approval: "allow" })))

await Effect.runPromise(
  withLogins(Effect.scoped(Effect.provide(connect, servers, { local: true }))).pipe(Effect.provide(platform))
)
process.exit(0)

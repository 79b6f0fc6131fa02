/** The reference server with one of everything, over standard streams and over HTTP. */
import { assert, describe, it } from "@effect/vitest"
import type { Question } from "@spindle/core/Approvals"
import type { McpServer } from "@spindle/mcp/McpServer"
import * as McpServers from "@spindle/mcp/McpServers"
import type { ServerConfig } from "@spindle/mcp/ServerConfig"
import * as McpTools from "@spindle/mcp/McpTools"
import * as TurnHeaders from "@spindle/mcp/TurnHeaders"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Everything from "./fixtures/everything.ts"
import * as Harness from "./fixtures/harness.ts"

const transports = [
  ["standard streams", Effect.succeed<ServerConfig>(Everything.stdio)],
  ["HTTP", Effect.map(Everything.http, ({ config }): ServerConfig => config)]
] as const

const started = Effect.fnUntraced(function* (config: ServerConfig) {
  const server = yield* Effect.flatMap(McpServers.McpServers, ({ get }) => get(config))
  yield* server.started
  return server
})

const toolOf = (server: McpServer, name: string) => server.tools().find((tool) => tool.name === name)!
const textOf = ({ content }: { readonly content: ReadonlyArray<unknown> }) =>
  (content[0] as { readonly text: string }).text

/** Some tools are registered after the client has said what it can do. */
const awaitTool = Effect.fnUntraced(function* (server: McpServer, name: string) {
  while (toolOf(server, name) === undefined) yield* Effect.yieldNow
})

/** Runs a session whose model calls these tools. */
const session = Effect.fnUntraced(function* (
  calls: Parameters<typeof Harness.session>[0],
  options: Parameters<typeof Harness.session>[1] = {}
) {
  const { servers } = yield* McpTools.McpTools
  yield* servers[0]!.started
  yield* awaitTool(servers[0]!, "trigger-elicitation-request")
  const harness = yield* Harness.session(calls, options)
  yield* harness.run("go")
  return harness
})

describe.each(transports)("the reference server over %s", (_, config) => {
  it.live("offers tools, resources and prompts", () =>
    Effect.gen(function* () {
      const server = yield* started(yield* config)
      yield* awaitTool(server, "trigger-elicitation-request")
      const names = server.tools().map(({ name }) => name)
      assert.includeMembers(names, ["echo", "get-sum", "get-structured-content", "trigger-long-running-operation"])
      // this client lets no server use its model, so the server offers no tool that does
      assert.notInclude(names, "trigger-sampling-request")
      const resources = yield* server.listResources
      const { contents } = yield* server.readResource(resources[0]!.uri)
      assert.strictEqual(contents[0]!.uri, resources[0]!.uri)
      const prompts = yield* server.listPrompts
      const simple = prompts.find(({ name }) => name === "simple-prompt")!
      assert.strictEqual((yield* server.getPrompt(simple, {})).messages[0]!.role, "user")
      const refused = yield* Effect.flip(server.readResource("demo://nothing"))
      assert.strictEqual(refused.reason._tag, "Refused")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("is called in a turn: text, structured content, an image, progress and a question", () =>
    Effect.gen(function* () {
      const questions: Array<Question> = []
      const { result, harness } = yield* Effect.gen(function* () {
        const harness = yield* session(
          [
            ["mcp__all__get-sum", { a: 2, b: 3 }],
            ["mcp__all__get-structured-content", { location: "Chicago" }],
            ["mcp__all__get-tiny-image"],
            ["mcp__all__trigger-long-running-operation", { duration: 0.02, steps: 2 }],
            ["mcp__all__trigger-elicitation-request"]
          ],
          {
            approvals: {
              decide: (question) =>
                Effect.sync(() => {
                  questions.push(question)
                  return { _tag: "Answered", answers: { name: "Ada" } } as const
                })
            }
          }
        )
        return { harness, result: Harness.results(harness) }
      }).pipe(Harness.withTools([yield* config]))
      assert.deepStrictEqual(
        result.map(([status]) => status),
        ["completed", "completed", "completed", "completed", "completed"]
      )
      const [sum, structured, image, long, answered] = result.map(([, output]) => output)
      assert.strictEqual(sum, "The sum of 2 and 3 is 5.")
      assert.containsAllKeys(structured as object, ["temperature", "conditions", "humidity"])
      assert.include(String(image), "an image of type image/png")
      const images = harness.requests.flatMap(({ items }) =>
        items.filter((item) => item._tag === "UserMessage" && item.fragment === "tool_images")
      )
      assert.isAtLeast(images.length, 1)
      assert.include(String(long), "Long running operation completed")
      const outputs = harness.events.flatMap((event) => (event._tag === "ToolOutput" ? [event.text] : []))
      assert.deepStrictEqual(outputs, ["1/2\n", "2/2\n"])
      assert.deepStrictEqual(
        questions.map(({ kind, tool }) => [kind, tool]),
        [["elicitation", "mcp__all__trigger-elicitation-request"]]
      )
      assert.include(String(answered), "Ada")
    }).pipe(Effect.scoped)
  )

  it.live("M1 has its initialize, list, stream and notifications unchanged by the headers of a turn", () =>
    Effect.gen(function* () {
      const given = yield* config
      /** What a turn sees of the server. */
      const seen = Effect.fnUntraced(function* (turnHeaders: boolean) {
        return yield* Effect.gen(function* () {
          const harness = yield* session([
            ["mcp__all__trigger-long-running-operation", { duration: 0.02, steps: 2 }],
            ["mcp__all__toggle-simulated-logging"]
          ])
          const { servers } = yield* McpTools.McpTools
          const outputs = harness.events.flatMap((event) => (event._tag === "ToolOutput" ? [event.text] : []))
          const statuses = Harness.results(harness).map(([status]) => status)
          const resources = (yield* servers[0]!.listResources).map(({ uri }) => uri)
          return { outputs, statuses, resources, offered: Harness.offered(harness).map((names) => names.toSorted()) }
        }).pipe(
          Effect.provideService(TurnHeaders.TurnHeaders, ({ turnId }) => Effect.succeed({ "x-turn": turnId })),
          Harness.withTools([{ ...given, turnHeaders }])
        )
      })
      const plain = yield* seen(false)
      assert.deepStrictEqual(plain.outputs, ["1/2\n", "2/2\n"])
      assert.deepStrictEqual(plain.statuses, ["completed", "completed"])
      assert.deepStrictEqual(yield* seen(true), plain)
    }).pipe(Effect.scoped)
  )

  it.live("says what is wrong with a call, and is used after it", () =>
    Effect.gen(function* () {
      const server = yield* started(yield* config)
      const sum = toolOf(server, "get-sum")
      assert.isTrue((yield* server.callTool(sum, { a: "two" })).isError)
      assert.strictEqual(textOf(yield* server.callTool(sum, { a: 1, b: 1 })), "The sum of 1 and 1 is 2.")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("is used after a call of it was interrupted", () =>
    Effect.gen(function* () {
      const server = yield* started(yield* config)
      const long = toolOf(server, "trigger-long-running-operation")
      const call = yield* Effect.forkChild(server.callTool(long, { duration: 1_000, steps: 1 }), {
        startImmediately: true
      })
      const echo = server.callTool(toolOf(server, "echo"), { message: "here" })
      yield* echo
      yield* Fiber.interrupt(call)
      assert.strictEqual(textOf(yield* echo), "Echo: here")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("runs many calls at the same time", () =>
    Effect.gen(function* () {
      const server = yield* started(yield* config)
      const results = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) => index),
        (index) => server.callTool(toolOf(server, "get-sum"), { a: index, b: 0 }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        results.map(textOf),
        results.map((_, index) => `The sum of ${index} and 0 is ${index}.`)
      )
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )
})

describe("the reference server", () => {
  it.live("over HTTP is used after it has dropped the session", () =>
    Effect.gen(function* () {
      const { config, sessions } = yield* Everything.http
      const server = yield* started(config)
      const echo = server.callTool(toolOf(server, "echo"), { message: "here" })
      yield* echo
      assert.strictEqual(sessions.length, 1)
      const ended = yield* Effect.promise(() =>
        fetch(config.url, { method: "DELETE", headers: { "mcp-session-id": sessions[0]! } })
      )
      assert.strictEqual(ended.status, 200)
      assert.strictEqual(textOf(yield* echo), "Echo: here")
      assert.strictEqual(sessions.length, 2)
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("over standard streams is used after its process was killed", () =>
    Effect.gen(function* () {
      const server = yield* started(Everything.stdio)
      const { pids } = yield* McpServers.McpServers
      const [pid] = pids()
      process.kill(pid!, "SIGKILL")
      while (pids().includes(pid!)) yield* Effect.yieldNow
      const echo = yield* server.callTool(toolOf(server, "echo"), { message: "here" })
      assert.strictEqual(textOf(echo), "Echo: here")
      assert.notStrictEqual(pids()[0], pid)
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )
})

// What a call of an MCP tool costs compared with the HTTP request that it is made of, what tools cost a turn, and how long five servers take to start.
import { createServer } from "node:http"
import { parentPort, isMainThread, Worker } from "node:worker_threads"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Agent, Journal, Op, Session } from "@spindle/core"
import { McpServers, McpTools } from "@spindle/mcp"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

/** A server at /COUNT/DELAY, with so many tools, that takes so many milliseconds to initialize. */
const serve = () => {
  const http = createServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => (body += chunk))
    request.on("end", () => {
      const [, count, delay] = request.url.split("/").map(Number)
      const { id, method, params } = body === "" ? {} : JSON.parse(body)
      const reply = (result) =>
        response.setHeader("content-type", "application/json").end(JSON.stringify({ jsonrpc: "2.0", id, result }))
      switch (method) {
        case "initialize": {
          const { protocolVersion } = params
          const serverInfo = { name: "bench", version: "1" }
          return setTimeout(() => reply({ protocolVersion, capabilities: { tools: {} }, serverInfo }), delay)
        }
        case "tools/list":
          return reply({ tools: Array.from({ length: count }, (_, index) => toolOf(index)) })
        case "tools/call":
          return reply({ content: [{ type: "text", text: "done" }] })
        default:
          return response.writeHead(method === undefined ? 405 : 202).end()
      }
    })
  })
  http.listen(0, "127.0.0.1", () => parentPort.postMessage(http.address().port))
}

const toolOf = (index) => ({
  name: `tool_${index}`,
  description: "Does what tool number so and so does.",
  inputSchema: { type: "object", properties: { path: { type: "string" }, limit: { type: "integer" } } }
})

const median = (values) => values.toSorted((one, two) => one - two)[Math.floor(values.length / 2)]
const spread = (values) =>
  `${median(values).toFixed(2)} [${Math.min(...values).toFixed(2)}-${Math.max(...values).toFixed(2)}]`
const timed = (effect) =>
  Effect.suspend(() => {
    const from = performance.now()
    return Effect.map(effect, () => performance.now() - from)
  })
/** Milliseconds of processor that an effect takes in this thread: on a busy machine the wall clock says little. */
const processor = (effect) =>
  Effect.suspend(() => {
    const from = process.threadCpuUsage()
    return Effect.map(effect, () => {
      const { system, user } = process.threadCpuUsage(from)
      return (system + user) / 1_000
    })
  })

const platform = Layer.merge(NodeServices.layer, NodeHttpClient.layerUndici)
const servers = Layer.provideMerge(
  McpServers.layer({ variables: {}, program: { name: "bench", version: "1" } }),
  platform
)
const configOf = (port, count, delay, name = `s${delay}`) => ({
  _tag: "Http",
  name,
  url: `http://127.0.0.1:${port}/${count}/${delay}`
})

/** Microseconds for each of many calls in sequence, and in blocks that alternate with the bare request. */
const calls = (port, name, clock) =>
  Effect.gen(function* () {
    const { get } = yield* McpServers.McpServers
    const client = yield* HttpClient.HttpClient
    const config = configOf(port, 1, 0)
    const server = yield* get(config)
    yield* server.started
    const [tool] = server.tools()
    const message = {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "tool_0", arguments: { path: "a" } }
    }
    const bare = Effect.gen(function* () {
      const response = yield* client.execute(
        HttpClientRequest.post(config.url).pipe(
          HttpClientRequest.setHeaders({ accept: "application/json, text/event-stream" }),
          HttpClientRequest.bodyText(JSON.stringify(message), "application/json")
        )
      )
      return JSON.parse(yield* response.text)
    })
    const call = server.callTool(tool, { path: "a" })
    const block = (effect, count) =>
      Effect.map(clock(Effect.repeat(effect, { times: count - 1 })), (millis) => (millis * 1_000) / count)
    yield* block(bare, 1_000)
    yield* block(call, 1_000)
    const ratios = []
    const [bares, mcps] = [[], []]
    for (let round = 0; round < 15; round++) {
      const [one, two] = [yield* block(bare, 200), yield* block(call, 200)]
      bares.push(one)
      mcps.push(two)
      ratios.push(two / one)
    }
    console.log(`${name}: a bare request ${spread(bares)} us, a call ${spread(mcps)} us, x${spread(ratios)}`)
  }).pipe(Effect.scoped, Effect.provide(servers))

/** Microseconds of processor of a turn that calls no tool. */
const turns = (port, count) => {
  const tools = McpTools.layer({ servers: count === 0 ? [] : [configOf(port, count, 0)], approval: "allow" })
  const model = ScriptedModel.make(() => [ScriptedModel.text("hello")])
  const agent = Agent.make(count === 0 ? {} : { sources: [McpTools.source] })
  return Effect.gen(function* () {
    const session = yield* Session.make(agent)
    const turn = Effect.andThen(session.submit(Op.userInput("hi")), session.awaitIdle)
    const block = Effect.map(processor(Effect.repeat(turn, { times: 99 })), (millis) => millis * 10)
    yield* Effect.repeat(block, { times: 4 })
    const blocks = []
    for (let round = 0; round < 10; round++) blocks.push(yield* block)
    return blocks
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(Layer.provide(tools, servers), model.layer, Journal.layerMemory({ retention: 1_000 }))
    )
  )
}

/** Milliseconds until servers with these delays have started. */
const starts = (port, delays) =>
  Effect.gen(function* () {
    const { get } = yield* McpServers.McpServers
    return yield* timed(
      Effect.gen(function* () {
        const all = yield* Effect.forEach(delays, (delay) => get(configOf(port, 10, delay)))
        yield* Effect.forEach(all, ({ started }) => started, { concurrency: "unbounded" })
      })
    )
  }).pipe(Effect.scoped, Effect.provide(servers))

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url))
  const port = await new Promise((resolve) => worker.once("message", resolve))
  await Effect.runPromise(calls(port, "time", timed))
  await Effect.runPromise(calls(port, "processor", processor))
  for (const count of [0, 10, 500]) {
    console.log(
      `a turn with ${count} tools of servers: processor ${spread(await Effect.runPromise(turns(port, count)))} us`
    )
  }
  // the first start loads the client
  await Effect.runPromise(starts(port, [1]))
  const [alone, five] = [[], []]
  for (let round = 0; round < 10; round++) {
    alone.push(await Effect.runPromise(starts(port, [200])))
    five.push(await Effect.runPromise(starts(port, [40, 80, 120, 160, 200])))
  }
  console.log(`five servers start in ${spread(five)} ms, the slowest alone in ${spread(alone)} ms`)
  await worker.terminate()
} else serve()

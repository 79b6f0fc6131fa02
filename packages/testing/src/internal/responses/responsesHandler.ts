/** Responds to the requests of a server of scripted responses. */
import type { IncomingMessage, ServerResponse } from "node:http"
import * as zlib from "node:zlib"
import type { Script, ScriptEvent, ScriptTurn } from "../../ResponsesScript.ts"
import type { ResponsesLog } from "./responsesLog.ts"
import * as Turns from "./responsesTurns.ts"
import { pause, ResponsesWriter } from "./responsesWriter.ts"

/** The state that all requests of a server share. */
export interface ServerState {
  script: Script
  turns: Turns.Turns
  ids: number
  readonly log: ResponsesLog
  readonly gates: Map<string, PromiseWithResolvers<void>>
}

/** Returns the gate of this name. It is closed until `openGate` opens it. */
export const gateOf = (state: ServerState, name: string): PromiseWithResolvers<void> => {
  let gate = state.gates.get(name)
  if (gate === undefined) {
    gate = Promise.withResolvers<void>()
    state.gates.set(name, gate)
  }
  return gate
}

/** Reads a request, logs it, and responds. Never rejects. */
export const handle = async (state: ServerState, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  let end: (how: string) => void = () => {}
  const gone = new AbortController()
  response.on("close", () => {
    end("closed early")
    gone.abort()
  })
  try {
    const read = await readRequest(request)
    const { method = "GET", url = "/" } = request
    const path = url.split("?")[0]!
    const isSampling = method === "POST" && path.endsWith("/responses")
    end = state.log.add(isSampling ? "requests" : "others", {
      method,
      path: url,
      headers: read.headers,
      body: read.body
    })
    if (isSampling) return await sample({ state, read, response, gone: gone.signal, end }, state.log.requests.length)
    const other = answerOf(state.script, method, path)
    end(other.status === 200 ? "completed" : `http ${other.status}`)
    sendJson(response, other)
  } catch (error) {
    if (!gone.signal.aborted) end(`script error: ${String(error)}`)
    response.destroy()
  }
}

const readRequest = async (request: IncomingMessage): Promise<Turns.ReadRequest> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const raw = Buffer.concat(chunks)
  const encoding = request.headers["content-encoding"]
  const text = (
    encoding === "gzip" ? zlib.gunzipSync(raw) : encoding === "zstd" ? zlib.zstdDecompressSync(raw) : raw
  ).toString("utf8")
  return { headers: request.headers, body: parse(text), text }
}

const parse = (text: string): unknown => {
  if (text === "") return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

interface JsonAnswer {
  readonly status: number
  readonly body: unknown
  readonly headers?: { readonly [name: string]: string } | undefined
}

const answerOf = (script: Script, method: string, path: string): JsonAnswer => {
  if (method === "POST" && path.endsWith("/responses/compact")) {
    const content = [{ type: "input_text", text: "MOCK COMPACTED HISTORY" }]
    return { status: 200, body: script.compact ?? { output: [{ type: "message", role: "user", content }] } }
  }
  if (method === "GET" && path.endsWith("/models")) {
    const data = [{ id: "mock-model", object: "model" }]
    return { status: 200, body: script.models ?? { object: "list", data, models: [] } }
  }
  return { status: 404, body: { error: { message: `mock model: no such path ${method} ${path}` } } }
}

const sendJson = (response: ServerResponse, { body, headers, status }: JsonAnswer) => {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    ...headers
  })
  response.end(text)
}

interface Sampling {
  readonly state: ServerState
  readonly read: Turns.ReadRequest
  readonly response: ServerResponse
  readonly gone: AbortSignal
  readonly end: (how: string) => void
}

const sample = async (sampling: Sampling, count: number): Promise<void> => {
  const { end, gone, read, response, state } = sampling
  const turn = state.turns.take(read)
  if (turn.before !== undefined) await pause(turn.before, gone)
  const { status } = turn
  if (status !== undefined) {
    end(`http ${status}`)
    const body = turn.body ?? { error: { message: `mock ${status}`, type: "mock_error", code: "mock" } }
    return sendJson(response, { status, body, headers: turn.headers })
  }
  response.socket?.setNoDelay(true)
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache", ...turn.headers })
  const model = (read.body as { readonly model?: unknown } | undefined)?.model
  const writer = new ResponsesWriter({
    response,
    gone,
    responseId: `resp_${count}`,
    model: typeof model === "string" ? model : "mock-model",
    nextId: (prefix) => `${prefix}_mock_${++state.ids}`
  })
  const how = await play(sampling, writer, turn)
  end(how)
  if (how === "dropped by script") response.destroy()
  else response.end()
}

const play = async (sampling: Sampling, writer: ResponsesWriter, turn: ScriptTurn): Promise<string> => {
  await writer.start()
  for (const event of turn.events ?? []) {
    const how = await step(sampling, writer, event)
    if (how !== undefined) return how
  }
  await writer.complete(turn.usage, turn.endTurn)
  return "completed"
}

/**
 * Plays one event. Returns the end of the stream, if the event ended it. Rejects if the client has closed the
 * connection.
 */
const step = async (
  { gone, read, state }: Sampling,
  writer: ResponsesWriter,
  event: ScriptEvent
): Promise<string | undefined> => {
  if ("text" in event) await writer.text(event)
  else if ("reasoning" in event) await writer.reasoning(event)
  else if ("call" in event) await writer.functionCall(Turns.fillArguments(event, read.body))
  else if ("custom" in event) await writer.customCall(event)
  else if ("delay" in event) await pause(event.delay, gone)
  else if ("gate" in event) await Promise.race([gateOf(state, event.gate).promise, awaitGone(gone)])
  else if ("endless" in event) await writer.endless(event.endless, event.every ?? 20)
  else if ("hang" in event) await awaitGone(gone)
  else if ("raw" in event) await writer.send(event.raw)
  else if ("drop" in event) {
    await pause(event.after ?? 5, gone)
    return "dropped by script"
  } else if ("fail" in event) {
    await writer.fail(event.fail)
    return "failed by script"
  } else if ("incomplete" in event) {
    await writer.incomplete(event.incomplete)
    return "incomplete by script"
  } else throw new Error(`unknown event ${JSON.stringify(event satisfies never)}`)
  gone.throwIfAborted()
  return undefined
}

const awaitGone = (gone: AbortSignal): Promise<void> =>
  new Promise((resume) => {
    if (gone.aborted) return resume()
    gone.addEventListener("abort", () => resume(), { once: true })
  })

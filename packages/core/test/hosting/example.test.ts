/** `examples/hosting` as a client sees it: over HTTP, killed in the middle of a turn, and stopped with an open stream. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { temporaryDirectory } from "../fixtures/directories.ts"

const main = fileURLToPath(new URL("../../../../examples/hosting/main.ts", import.meta.url))

interface Server {
  readonly child: ChildProcess
  readonly url: string
}

/** Starts the server on a free port. The scope kills it. */
const start = (directory: string) =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<Server> => {
      const child = spawn(process.execPath, ["--conditions=spindle-source", main, directory, "0"], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      for await (const line of createInterface(child.stdout)) {
        const port = /Listening on .*:(\d+)/.exec(line)?.[1]
        if (port === undefined) continue
        child.stdout.resume()
        return { child, url: `http://127.0.0.1:${port}` }
      }
      throw new Error("the server ended before it listened")
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const end = (child: ChildProcess, signal: NodeJS.Signals) =>
  Effect.promise(async () => {
    const exited = once(child, "exit")
    child.kill(signal)
    return await exited
  })

interface Call {
  readonly method?: string
  readonly user?: string
  readonly body?: unknown
}

const call = ({ url }: Server, path: string, { body, method = "GET", user = "alice" }: Call = {}) =>
  Effect.promise(() =>
    fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer token-${user}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
  )

/** Submits a text, with the text as its id. */
const say = (server: Server, text: string) =>
  call(server, "/sessions/one/submissions", {
    method: "POST",
    body: { id: text, op: { _tag: "UserInput", input: [{ _tag: "Text", text }] } }
  })

interface OpenApi {
  readonly components: { readonly schemas: { readonly [name: string]: unknown } }
}

interface Event {
  readonly id: string | undefined
  readonly event: string
  readonly data: string
}

/** Reads events after `lastId` until one fulfils `isLast`, or until the stream ends. */
const read = (server: Server, lastId: string | undefined, isLast: (event: Event) => boolean) =>
  Effect.promise(async () => {
    const headers = {
      authorization: "Bearer token-alice",
      ...(lastId === undefined ? {} : { "last-event-id": lastId })
    }
    const response = await fetch(`${server.url}/sessions/one/events`, { headers })
    assert.strictEqual(response.headers.get("content-type")?.split(";")[0], "text/event-stream")
    const events: Array<Event> = []
    let text = ""
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const blocks = text.split("\n\n")
      text = blocks.pop()!
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1]
        const event = { id: field("id"), event: field("event")!, data: field("data")! }
        events.push(event)
        if (isLast(event)) return events
      }
    }
    return events
  })

const idsOf = (events: ReadonlyArray<Event>) => events.flatMap(({ id }) => (id === undefined ? [] : [Number(id)]))

describe("examples/hosting", () => {
  it.live(
    "resumes a session and its stream of events after kill -9 in the middle of a turn, and stops with an open stream",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const first = yield* start(directory)
        const statusOf = (path: string, options?: Call) =>
          Effect.map(call(first, path, options), ({ status }) => status)
        assert.strictEqual(yield* statusOf("/sessions", { user: "0" }), 401)
        assert.strictEqual(yield* statusOf("/sessions/one", { method: "PUT" }), 201)
        assert.strictEqual(yield* statusOf("/sessions/one", { method: "PUT" }), 409)
        assert.strictEqual(yield* statusOf("/sessions/one/events", { user: "bob" }), 404)
        assert.strictEqual(yield* statusOf("/sessions/one/title", { method: "PUT", body: { title: "Books" } }), 204)
        const titlesOf = (user: string) =>
          Effect.flatMap(call(first, "/sessions?title=book", { user }), (response) =>
            Effect.promise(async () => {
              const page = (await response.json()) as { readonly entries: ReadonlyArray<{ readonly title: string }> }
              return page.entries.map(({ title }) => title)
            })
          )
        assert.deepStrictEqual(yield* titlesOf("alice"), ["Books"])
        assert.deepStrictEqual(yield* titlesOf("bob"), [])
        const described = yield* Effect.flatMap(call(first, "/openapi.json"), (response) =>
          Effect.promise(async () => Object.keys(((await response.json()) as OpenApi).components.schemas))
        )
        const named = [
          "JournalPage",
          "Receipt",
          "SessionEvent",
          "SessionNotFoundEncoded",
          "StoreFailedEncoded",
          "Submission"
        ]
        assert.includeMembers(described, named)
        // no component is a second one of the same name
        assert.deepStrictEqual(
          described.filter((name) => /_\d+$/.test(name)),
          []
        )
        assert.strictEqual(yield* statusOf("/sessions/two", { method: "PUT" }), 201)
        assert.strictEqual(yield* statusOf("/sessions/two", { method: "DELETE" }), 204)
        assert.strictEqual(yield* statusOf("/sessions/two", { method: "DELETE" }), 404)
        const receiptOf = (server: Server, text: string) =>
          Effect.flatMap(say(server, text), (response) => Effect.promise(() => response.json()))
        const receipt = yield* receiptOf(first, "go slowly")
        assert.include(receipt, { _tag: "Started", submissionId: "go slowly" })
        assert.deepStrictEqual(yield* receiptOf(first, "go slowly"), receipt)
        const before = yield* read(first, undefined, ({ event }) => event === "TextDelta")
        yield* end(first.child, "SIGKILL")

        const second = yield* start(directory)
        const lastId = before.findLast(({ id }) => id !== undefined)!.id
        const resumed = yield* read(second, lastId, ({ event }) => event === "TurnAborted")
        yield* say(second, "again")
        const after = yield* read(second, resumed.at(-1)!.id, ({ event }) => event === "TurnCompleted")
        const ids = idsOf([...before, ...resumed, ...after])
        assert.deepStrictEqual(
          ids,
          ids.map((_, index) => index)
        )
        assert.include(JSON.parse(after.at(-1)!.data).lastMessage, "alice has ordered 5 books")

        // the stream is open when the server gets the signal
        const reading = Promise.withResolvers<void>()
        const open = yield* Effect.forkChild(
          read(second, undefined, ({ event }) => {
            if (event === "TurnCompleted") reading.resolve()
            return false
          })
        )
        yield* Effect.promise(() => reading.promise)
        const from = performance.now()
        yield* end(second.child, "SIGTERM")
        // the server alone would wait 20 s for the stream to end
        assert.isBelow(performance.now() - from, 10_000)
        const streamed = yield* Fiber.join(open)
        assert.deepStrictEqual(idsOf(streamed), ids)
      }).pipe(Effect.scoped),
    120_000
  )
})

import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import type { ServerResponse } from "node:http"
import { brotliCompressSync, createGzip, deflateRawSync, deflateSync, gzipSync } from "node:zlib"
import { Deferred, Effect, Fiber, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as ApiKeys from "../src/ApiKeys.ts"
import * as OpenAiModel from "../src/OpenAiModel.ts"
import {
  assertFailure,
  bodyOf,
  bytesOf,
  clients,
  eventsOf,
  failureOf,
  key,
  over,
  overBytes,
  request,
  serve,
  textOf
} from "./fixture.ts"

const model = (baseUrl: string, options: Partial<OpenAiModel.Options> = {}) =>
  OpenAiModel.make({ model: "m", baseUrl, apiKey: Redacted.make(key), ...options })

const stream = (response: ServerResponse, body: string | Buffer, headers: object = {}) =>
  response.writeHead(200, { "content-type": "text/event-stream", ...headers }).end(body)

describe("a redirect", () => {
  for (const [name, layer] of clients) {
    for (const status of [301, 302, 307, 308]) {
      it.live(`${status} inside an origin is followed with the same request, over ${name}`, () =>
        Effect.gen(function* () {
          const { baseUrl, requests } = yield* serve((seen, response) =>
            seen.url === "/v1/responses"
              ? response.writeHead(status, { location: "/v2/responses?a=1" }).end()
              : stream(response, eventsOf("moved"))
          )
          assert.strictEqual(yield* textOf((yield* model(baseUrl)).stream(request())), "moved")
          assert.deepStrictEqual(
            requests.map(({ url }) => url),
            ["/v1/responses", "/v2/responses?a=1"]
          )
          assert.strictEqual(requests[1]!.headers.authorization, `Bearer ${key}`)
          assert.strictEqual(requests[1]!.body, requests[0]!.body)
        }).pipe(Effect.provide(layer))
      )
    }

    it.live(`to another origin is refused, and nothing goes there, over ${name}`, () =>
      Effect.gen(function* () {
        const other = yield* serve((_, response) => stream(response, eventsOf("stolen")))
        const { baseUrl } = yield* serve((_, response) =>
          response.writeHead(307, { location: `${other.baseUrl}/responses` }).end()
        )
        const made = yield* model(baseUrl, { headers: { "api-key": key } })
        const failure = yield* failureOf(made.stream(request()))
        const [from, to] = [baseUrl, other.baseUrl].map((url) => url.slice(0, -3))
        assertFailure(failure, {
          kind: "InvalidRequest",
          status: 307,
          detail: `${from} redirects to ${to}, where the key must not go; if that is the right server, set the base URL to it`
        })
        assert.deepStrictEqual(other.requests, [])
      }).pipe(Effect.provide(layer))
    )
  }

  it.live("that comes again and again ends", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve((_, response) => response.writeHead(308, { location: "/v1/x" }).end())
      const failure = yield* failureOf((yield* model(baseUrl)).stream(request()))
      assert.match(failure.detail ?? "", /redirects more than 5 times$/)
      assert.lengthOf(requests, 6)
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("to something else than HTTP is refused in words", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* serve((_, response) =>
        response.writeHead(307, { location: "file:///etc/passwd" }).end()
      )
      const failure = yield* failureOf((yield* model(baseUrl)).stream(request()))
      assert.strictEqual(failure.detail, `${baseUrl.slice(0, -3)} redirects to an address that is not HTTP`)
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )
})

describe("an encoding that was not asked for", () => {
  const encodings = [
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync]
  ] as const
  for (const [name, layer] of clients) {
    for (const [encoding, encode] of encodings) {
      it.live(`is read: ${encoding}, over ${name}`, () =>
        Effect.gen(function* () {
          const { baseUrl } = yield* serve((_, response) =>
            stream(response, encode(eventsOf("größe")), { "content-encoding": encoding })
          )
          assert.strictEqual(yield* textOf((yield* model(baseUrl)).stream(request())), "größe")
        }).pipe(Effect.provide(layer))
      )
    }

    it.live(`does not delay the events of a stream, over ${name}`, () =>
      Effect.gen(function* () {
        let end = () => {}
        const { baseUrl } = yield* serve((_, response) => {
          const gzip = createGzip()
          gzip.pipe(response.writeHead(200, { "content-encoding": "gzip" }))
          gzip.write('data: {"type":"response.output_text.delta","delta":"first"}\n\n')
          gzip.flush()
          end = () => gzip.end(eventsOf("second"))
        })
        const seen = yield* Deferred.make<void>()
        const made = yield* model(baseUrl)
        const running = yield* made.stream(request()).pipe(
          Stream.tap((part) => (part._tag === "TextDelta" ? Deferred.succeed(seen, undefined) : Effect.void)),
          textOf,
          Effect.forkChild
        )
        yield* Deferred.await(seen)
        end()
        assert.strictEqual(yield* Fiber.join(running), "firstsecond")
      }).pipe(Effect.provide(layer))
    )
  }

  const odd: ReadonlyArray<readonly [name: string, header: string, encode: (text: string) => string | Buffer]> = [
    ["deflate without the header of zlib", "deflate", deflateRawSync],
    ["two encodings", "gzip, br", (text) => brotliCompressSync(gzipSync(text))],
    ["what is no encoding", "utf-8", (text) => text],
    ["a body that is not compressed", "gzip, identity", (text) => text]
  ]
  for (const [name, header, encode] of odd) {
    it.live(`is read: ${name}`, () =>
      Effect.gen(function* () {
        const { baseUrl } = yield* serve((_, response) =>
          stream(response, encode(eventsOf("größe")), { "content-encoding": header })
        )
        assert.strictEqual(yield* textOf((yield* model(baseUrl)).stream(request())), "größe")
      }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
    )
  }

  const charsets = [
    ["iso-8859-1", "latin1"],
    ['"UTF-16LE"', "utf16le"],
    ["unheard-of", "utf8"]
  ] as const
  for (const [charset, encoding] of charsets) {
    it.live(`of characters is read in an error: ${charset}`, () =>
      Effect.gen(function* () {
        const { baseUrl } = yield* serve((_, response) =>
          response
            .writeHead(400, { "content-type": `text/plain; charset=${charset}` })
            .end(Buffer.from("Zugriff für niemanden", encoding))
        )
        const failure = yield* failureOf((yield* model(baseUrl)).stream(request()))
        assert.strictEqual(failure.detail, "Zugriff für niemanden")
      }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
    )
  }

  it.live("is read in an error as well", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* serve((_, response) =>
        response.writeHead(400, { "content-encoding": "gzip" }).end(gzipSync('{"error":{"message":"No such model"}}'))
      )
      assertFailure(yield* failureOf((yield* model(baseUrl)).stream(request())), {
        status: 400,
        detail: "No such model"
      })
    }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
  )

  it.live("is named when it cannot be read", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* serve((_, response) => stream(response, "????", { "content-encoding": "zstd" }))
      assertFailure(yield* failureOf((yield* model(baseUrl)).stream(request())), {
        kind: "InvalidResponse",
        detail: "the response is encoded as zstd, which was not asked for"
      })
    }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
  )

  it.live("that breaks off is Disconnected", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* serve((_, response) =>
        stream(response, gzipSync(eventsOf("x")).subarray(0, 30), { "content-encoding": "gzip" })
      )
      assert.strictEqual((yield* failureOf((yield* model(baseUrl)).stream(request()))).kind, "Disconnected")
    }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
  )
})

describe("a successful response of another kind", () => {
  for (const type of ["application/json", "text/html", "text/plain", "application/octet-stream"]) {
    it.live(`is read as events when it is a stream although it says ${type}`, () =>
      Effect.gen(function* () {
        // some servers leave out the empty line after the last event
        const made = yield* overBytes(bodyOf([bytesOf(eventsOf("hi").trimEnd())]), {}, type)
        assert.strictEqual(yield* textOf(made.stream(request())), "hi")
      })
    )

    it.live(`has its error read although it says ${type}`, () =>
      Effect.gen(function* () {
        const error = { error: { code: "rate_limit_exceeded", message: "Slow" } }
        const made = yield* overBytes(bodyOf([bytesOf(JSON.stringify(error, null, 2))]), {}, type)
        assertFailure(yield* failureOf(made.stream(request())), { kind: "RateLimited", detail: "Slow", status: 200 })
      })
    )
  }

  it.live("is a complete response in JSON", () =>
    Effect.gen(function* () {
      const output = [{ type: "message", id: "m", content: [{ type: "output_text", text: "hi" }] }]
      const body = JSON.stringify({ object: "response", status: "completed", output })
      const made = yield* overBytes(bodyOf([bytesOf(body)]), {}, "application/json")
      assert.strictEqual(yield* textOf(made.stream(request())), "hi")
    })
  )

  it.live("fails with its words when it is a text", () =>
    Effect.gen(function* () {
      const made = yield* overBytes(bodyOf([bytesOf("no upstream")]), {}, "text/plain")
      assertFailure(yield* failureOf(made.stream(request())), {
        kind: "InvalidResponse",
        detail: "no upstream",
        status: 200
      })
    })
  )

  it.live("ends early after frames that made no sense, and says how many", () =>
    Effect.gen(function* () {
      const made = yield* overBytes(bodyOf([bytesOf('data: {"type":"response.created"}\n\ndata: ping\n\n')]))
      assertFailure(yield* failureOf(made.stream(request())), {
        kind: "Disconnected",
        detail: "the stream ended before the response was complete; frames that made no sense: 1"
      })
    })
  )
})

describe("a stream that has only its last mark", () => {
  it.live("has ended early, and is asked for again", () =>
    Effect.gen(function* () {
      const made = yield* overBytes(bodyOf([bytesOf("data: [DONE]\n\n")]))
      assertFailure(yield* failureOf(made.stream(request())), {
        kind: "Disconnected",
        detail: "the stream ended before the response was complete"
      })
    })
  )
})

describe("arguments and frames that are nested too deep", () => {
  const deep = "[".repeat(20_000) + "]".repeat(20_000)
  const call = (input: string) =>
    `data: {"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c","name":"f","arguments":${input}}}\n\n`
  const completed = 'data: {"type":"response.completed","response":{"output":[]}}\n\n'
  it.live("are an invalid call, or a frame that makes no sense, and no defect", () =>
    Effect.gen(function* () {
      const read = (text: string) =>
        Effect.flatMap(overBytes(bodyOf([bytesOf(text + completed)])), (made) =>
          Stream.runCollect(made.stream(request()))
        )
      const parts = yield* read(call(JSON.stringify(deep)))
      assert.deepInclude(parts[0], { _tag: "ToolCall", name: "f", params: undefined, invalid: deep })
      assert.deepStrictEqual(
        (yield* read(call(deep))).map(({ _tag }) => _tag),
        ["Finish"]
      )
    })
  )
})

describe("the base URL", () => {
  it.live("keeps its query after the path, with the other parameters", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve((_, response) => stream(response, eventsOf("hi")))
      const made = yield* model(`${baseUrl}/?api-version=1`, { queryParams: { a: "b" } })
      yield* Stream.runDrain(made.stream(request()))
      assert.strictEqual(requests[0]!.url, "/v1/responses?api-version=1&a=b")
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("keeps the key in its query to itself", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* serve((_, response) => response.writeHead(400).end("bad api-key s3cr3t-key"))
      const failure = yield* failureOf((yield* model(`${baseUrl}?api-key=s3cr3t-key`)).stream(request()))
      assert.strictEqual(failure.detail, "bad api-key <redacted>")
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )
})

describe("the idle timeout", () => {
  for (const idleTimeout of [0, -5] as const) {
    it.effect(`means no limit when it is ${idleTimeout}`, () =>
      Effect.gen(function* () {
        const { model: made, server } = yield* over(
          { turns: [{ events: [{ gate: "go" }, { text: "hi" }] }] },
          { idleTimeout }
        )
        const running = yield* Effect.forkChild(textOf(made.stream(request())))
        yield* server.awaitRequests(1)
        yield* TestClock.adjust("10 days")
        yield* server.openGate("go")
        assert.strictEqual(yield* Fiber.join(running), "hi")
      })
    )
  }
})

describe("a key that is an effect", () => {
  it.live("is asked for once, and again when the provider refuses it", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve((seen, response, count) =>
        count >= 3 && seen.headers.authorization === "Bearer key-1"
          ? response.writeHead(401).end()
          : stream(response, eventsOf("hi"))
      )
      let asked = 0
      const made = yield* model(baseUrl, { apiKey: Effect.sync(() => Redacted.make(`key-${++asked}`)) })
      for (let n = 0; n < 4; n++) yield* Stream.runDrain(made.stream(request()))
      assert.deepStrictEqual(
        requests.map(({ headers }) => headers.authorization),
        ["Bearer key-1", "Bearer key-1", "Bearer key-1", "Bearer key-2", "Bearer key-2"]
      )
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("is asked for once more by 20 requests that are refused at the same time", () =>
    Effect.gen(function* () {
      const waiting: Array<() => void> = []
      const { baseUrl } = yield* serve((seen, response) => {
        if (seen.headers.authorization === "Bearer key-2") return void stream(response, eventsOf("hi"))
        // no request is refused before all of them have the key that has expired
        waiting.push(() => response.writeHead(401).end())
        if (waiting.length === 20) for (const refuse of waiting) refuse()
      })
      let asked = 0
      const made = yield* model(baseUrl, { apiKey: Effect.sync(() => Redacted.make(`key-${++asked}`)) })
      const texts = yield* Effect.all(
        Array.from({ length: 20 }, () => textOf(made.stream(request()))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([asked, texts.join("")], [2, "hi".repeat(20)])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("is shared by models that have the same", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve((_, response) => stream(response, eventsOf("hi")))
      let asked = 0
      const apiKey = yield* ApiKeys.make(Effect.sync(() => Redacted.make(`key-${++asked}`)))
      for (const name of ["one", "other"]) {
        yield* Stream.runDrain((yield* model(baseUrl, { apiKey, model: name })).stream(request()))
      }
      assert.deepStrictEqual(
        requests.map(({ headers }) => headers.authorization),
        ["Bearer key-1", "Bearer key-1"]
      )
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("that is refused twice fails, and is in no failure", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve((seen, response) =>
        response.writeHead(401).end(`wrong: ${seen.headers.authorization}`)
      )
      const made = yield* model(baseUrl, { apiKey: Effect.succeed(Redacted.make("fresh-key")) })
      const failure = yield* failureOf(made.stream(request()))
      assertFailure(failure, { kind: "Unauthorized", detail: "wrong: Bearer <redacted>" })
      assert.lengthOf(requests, 2)
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("that cannot be had fails the request, and the next request asks again", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* serve((_, response) => stream(response, eventsOf("hi")))
      let isLocked = true
      const made = yield* model(baseUrl, {
        apiKey: Effect.suspend(() =>
          isLocked ? Effect.fail({ message: "the keyring is locked" }) : Effect.succeed(Redacted.make("k"))
        )
      })
      assertFailure(yield* failureOf(made.stream(request())), {
        kind: "Unauthorized",
        detail: "there is no key for openai: the keyring is locked"
      })
      isLocked = false
      assert.strictEqual(yield* textOf(made.stream(request())), "hi")
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )
})

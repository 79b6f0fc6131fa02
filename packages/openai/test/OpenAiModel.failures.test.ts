import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import type { ScriptTurn } from "@spindle/testing/ResponsesScript"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import { Effect, Redacted, Stream } from "effect"
import * as OpenAiModel from "../src/OpenAiModel.ts"
import { assertFailure, bodyOf, bytesOf, failureOf, key, over, overBytes, partsAndFailure, request } from "./fixture.ts"

const responses: ReadonlyArray<readonly [string, ScriptTurn, Parameters<typeof assertFailure>[1]]> = [
  [
    "401 is Unauthorized",
    { status: 401, body: { error: { message: "Incorrect API key", code: "invalid_api_key" } } },
    { kind: "Unauthorized", status: 401, detail: "Incorrect API key", retryAfterMillis: undefined }
  ],
  ["403 is Unauthorized", { status: 403, body: {} }, { kind: "Unauthorized", status: 403, detail: "{}" }],
  [
    "429 is RateLimited, with its header in seconds",
    { status: 429, headers: { "retry-after": "1.5" }, body: { error: { message: "Slow" } } },
    { kind: "RateLimited", status: 429, detail: "Slow", retryAfterMillis: 1500 }
  ],
  [
    "429 is RateLimited, with its header in milliseconds",
    { status: 429, headers: { "retry-after-ms": "250", "retry-after": "9" } },
    { kind: "RateLimited", retryAfterMillis: 250 }
  ],
  [
    "429 is RateLimited, with the delay of its text",
    {
      status: 429,
      body: { error: { message: "Limit reached. Please try again in 0.5s. See docs.", code: "rate_limit_exceeded" } }
    },
    { kind: "RateLimited", retryAfterMillis: 500 }
  ],
  [
    "429 for a spent quota is QuotaExceeded",
    { status: 429, body: { error: { message: "No money", code: "insufficient_quota" } } },
    { kind: "QuotaExceeded", detail: "No money" }
  ],
  [
    "429 for a spent plan is QuotaExceeded",
    { status: 429, body: { error: { message: "No more", type: "usage_limit_reached" } } },
    { kind: "QuotaExceeded" }
  ],
  [
    "400 is InvalidRequest",
    { status: 400, body: { error: { message: "Unknown parameter", type: "invalid_request_error" } } },
    { kind: "InvalidRequest", status: 400, detail: "Unknown parameter" }
  ],
  [
    "404 is InvalidRequest",
    { status: 404, body: { detail: "Not Found" } },
    { kind: "InvalidRequest", detail: "Not Found" }
  ],
  ["422 is InvalidRequest", { status: 422, body: { error: "bad" } }, { kind: "InvalidRequest", detail: "bad" }],
  [
    "400 for too long a context is ContextWindowExceeded",
    { status: 400, body: { error: { message: "Too long", code: "context_length_exceeded" } } },
    { kind: "ContextWindowExceeded", detail: "Too long" }
  ],
  ["500 is ServerError", { status: 500 }, { kind: "ServerError", status: 500, detail: "mock 500" }],
  [
    "503 is ServerError, with its delay",
    { status: 503, headers: { "retry-after": "2" } },
    { kind: "ServerError", retryAfterMillis: 2000 }
  ],
  [
    "503 with an overloaded code is Overloaded",
    { status: 503, body: { error: { message: "Busy", code: "server_is_overloaded" } } },
    { kind: "Overloaded", detail: "Busy" }
  ],
  [
    "503 with slow_down is Overloaded",
    { status: 503, body: { error: { message: "Busy", code: "slow_down" } } },
    { kind: "Overloaded" }
  ],
  [
    "503 that says overloaded is Overloaded",
    { status: 503, body: { error: { message: "The engine is currently overloaded" } } },
    { kind: "Overloaded" }
  ],
  [
    "529 with a text is ServerError",
    { status: 529, body: `${"x".repeat(600)}` },
    { kind: "ServerError", detail: `${"x".repeat(500)}…` }
  ]
]

const streams: ReadonlyArray<readonly [string, ScriptTurn["events"], Parameters<typeof assertFailure>[1]]> = [
  [
    "rate_limit_exceeded is RateLimited, with the delay of its text",
    [{ fail: { code: "rate_limit_exceeded", message: "Please try again in 1m2.5s." } }],
    { kind: "RateLimited", detail: "Please try again in 1m2.5s.", retryAfterMillis: 62_500 }
  ],
  [
    "server_error is ServerError",
    [{ fail: { code: "server_error", message: "Oops" } }],
    { kind: "ServerError", detail: "Oops" }
  ],
  [
    "context_length_exceeded is ContextWindowExceeded",
    [{ fail: { code: "context_length_exceeded", message: "Too long" } }],
    { kind: "ContextWindowExceeded" }
  ],
  [
    "insufficient_quota is QuotaExceeded",
    [{ fail: { code: "insufficient_quota", message: "No" } }],
    { kind: "QuotaExceeded" }
  ],
  [
    "invalid_prompt is InvalidRequest",
    [{ fail: { code: "invalid_prompt", message: "No" } }],
    { kind: "InvalidRequest" }
  ],
  [
    "server_is_overloaded is Overloaded",
    [{ fail: { code: "server_is_overloaded", message: "No" } }],
    { kind: "Overloaded" }
  ],
  [
    "an unknown code is ServerError",
    [{ fail: { code: "new_code", message: "No" } }],
    { kind: "ServerError", detail: "No" }
  ],
  [
    "an error event counts like a failed response",
    [{ raw: { type: "error", code: "rate_limit_exceeded", message: "Slow" } }],
    { kind: "RateLimited", detail: "Slow" }
  ],
  [
    "a nested error event too",
    [{ raw: { type: "error", error: { type: "invalid_request_error", message: "Bad" } } }],
    { kind: "InvalidRequest", detail: "Bad" }
  ],
  [
    "an unknown reason of incompleteness is Incomplete",
    [{ incomplete: "moon_phase" }],
    { kind: "Incomplete", detail: "the response is incomplete: moon_phase" }
  ]
]

describe("a response that is an error", () => {
  for (const [name, turn, expected] of responses) {
    it.live(name, () =>
      Effect.gen(function* () {
        const { model, server } = yield* over({ turns: [turn] })
        const failure = yield* failureOf(model.stream(request()))
        assertFailure(failure, expected)
        assert.strictEqual(failure.provider, "openai")
        assert.strictEqual(failure.model, "gpt-test")
        assert.lengthOf(server.requests, 1)
      })
    )
  }

  it.live("is InvalidResponse when it is a success but no stream", () =>
    Effect.gen(function* () {
      const model = yield* overBytes(bodyOf([bytesOf("<html>log in</html>")]), {}, "text/html; charset=utf-8")
      assertFailure(yield* failureOf(model.stream(request())), {
        kind: "InvalidResponse",
        detail: "log in",
        status: 200
      })
    })
  )
})

describe("a stream that fails", () => {
  for (const [name, events = [], expected] of streams) {
    it.live(name, () =>
      Effect.gen(function* () {
        const { model, server } = yield* over({ turns: [{ events: [{ text: "so far" }, ...events] }] })
        const { failure, parts } = yield* partsAndFailure(model.stream(request()))
        assertFailure(failure, { ...expected, status: undefined })
        assert.deepInclude(parts, { _tag: "TextDelta", id: "0", delta: "so far" } as const)
        assert.lengthOf(server.requests, 1)
      })
    )
  }

  it.live("by a dropped connection is Disconnected, after the parts that came", () =>
    Effect.gen(function* () {
      const { model } = yield* over({ turns: [{ events: [{ text: "so far" }, { drop: true }] }] })
      const { failure, parts } = yield* partsAndFailure(model.stream(request()))
      assert.strictEqual(failure.kind, "Disconnected")
      assert.match(failure.detail ?? "", /^the connection was lost before the response was complete: /)
      assert.deepStrictEqual(parts.at(-1), { _tag: "TextEnd", id: "0", providerId: "msg_mock_1" })
    })
  )

  it.live("by ending before it is complete is Disconnected", () =>
    Effect.gen(function* () {
      const model = yield* overBytes(bodyOf([bytesOf('data: {"type":"response.created"}\n\n')]))
      assertFailure(yield* failureOf(model.stream(request())), {
        kind: "Disconnected",
        detail: "the stream ended before the response was complete"
      })
    })
  )

  it.live("by sending nothing that makes sense is InvalidResponse, with the first frame", () =>
    Effect.gen(function* () {
      const model = yield* overBytes(bodyOf([bytesOf("data: {oops\n\ndata: null\n\ndata: [DONE]\n\n")]))
      assertFailure(yield* failureOf(model.stream(request())), {
        kind: "InvalidResponse",
        detail: "no frame of the stream is an event of the Responses API; the first of 2 is {oops"
      })
    })
  )

  for (const [reason, finish] of [
    ["max_output_tokens", "length"],
    ["content_filter", "content-filter"]
  ] as const) {
    it.live(`is no failure when it is incomplete by ${reason}`, () =>
      Effect.gen(function* () {
        const { model } = yield* over({ turns: [{ events: [{ text: "so far" }, { incomplete: reason }] }] })
        const parts = yield* Stream.runCollect(model.stream(request()))
        assert.deepStrictEqual(parts.at(-1), { _tag: "Finish", reason: finish, usage: undefined })
      })
    )
  }
})

describe("a request without a response", () => {
  for (const [client, layer] of [
    ["undici", NodeHttpClient.layerUndici],
    ["fetch", NodeHttpClient.layerFetch]
  ] as const) {
    it.live(`is Connection when no server listens, over ${client}`, () =>
      Effect.gen(function* () {
        const { baseUrl } = yield* Effect.scoped(ResponsesServer.make({}))
        const model = yield* OpenAiModel.make({ model: "m", baseUrl, apiKey: Redacted.make(key) })
        const failure = yield* failureOf(model.stream(request()))
        assert.strictEqual(failure.kind, "Connection")
        assert.match(failure.message, /^cannot reach http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/)
        assert.isTrue(failure.isRetryable)
      }).pipe(Effect.provide(layer))
    )

    it.live(`is Connection when the host has no address, over ${client}`, () =>
      Effect.gen(function* () {
        const model = yield* OpenAiModel.make({ model: "m", baseUrl: "http://nowhere.invalid/v1" })
        assert.strictEqual((yield* failureOf(model.stream(request()))).kind, "Connection")
      }).pipe(Effect.provide(layer))
    )
  }

  it.live("is InvalidRequest when the address is invalid", () =>
    Effect.gen(function* () {
      const model = yield* OpenAiModel.make({ model: "m", baseUrl: "http://[" })
      assert.strictEqual((yield* failureOf(model.stream(request()))).kind, "InvalidRequest")
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )
})

describe("the key", () => {
  const everythingIn = (error: unknown): string => {
    const seen = new Set<unknown>()
    const texts: Array<string> = []
    const visit = (value: unknown): void => {
      if (typeof value === "string") texts.push(value)
      if (typeof value !== "object" || value === null || seen.has(value)) return
      seen.add(value)
      for (const name of Reflect.ownKeys(value)) visit((value as Record<PropertyKey, unknown>)[name])
    }
    visit(error)
    return texts.join("\n")
  }

  it.live("is in no failure when the provider repeats it", () =>
    Effect.gen(function* () {
      const { model } = yield* over({ turns: [{ status: 401, body: { error: { message: `Wrong key: ${key}.` } } }] })
      const failure = yield* failureOf(model.stream(request()))
      assert.strictEqual(failure.detail, "Wrong key: <redacted>.")
      assert.notInclude(everythingIn(failure), key)
    })
  )

  it.live("is in no failure when it cannot be sent", () =>
    Effect.gen(function* () {
      const secret = "sk-with\u0001control"
      const model = yield* OpenAiModel.make({ model: "m", apiKey: Redacted.make(secret) })
      const failure = yield* failureOf(model.stream(request()))
      assert.strictEqual(failure.kind, "Connection")
      assert.notInclude(everythingIn(failure), secret)
    }).pipe(Effect.provide(NodeHttpClient.layerFetch))
  )

  it.live("is in no failure when it is a custom header or parameter and no server listens", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* Effect.scoped(ResponsesServer.make({}))
      const model = yield* OpenAiModel.make({ model: "m", baseUrl, headers: { "api-key": key }, queryParams: { key } })
      assert.notInclude(everythingIn(yield* failureOf(model.stream(request()))), key)
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )
})

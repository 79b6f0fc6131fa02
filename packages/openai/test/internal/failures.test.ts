import { assert, describe, it } from "@effect/vitest"
import * as Failures from "../../src/internal/failures.ts"

const context = { provider: "openai", model: "m", secrets: ["s3cret"] }
const responseOf = (status: number, body: string) =>
  Failures.fromResponse(context, { status, headers: {}, body, nowMillis: 0 })

describe("retryAfterMillis", () => {
  const now = Date.parse("2026-11-21T08:00:00Z")
  for (const [headers, expected] of [
    [{ "retry-after": "3" }, 3000],
    [{ "retry-after": "0.25" }, 250],
    [{ "retry-after": "Sat, 21 Nov 2026 08:00:05 GMT" }, 5000],
    [{ "retry-after": "Sat, 21 Nov 2026 07:00:00 GMT" }, 0],
    [{ "retry-after-ms": "12", "retry-after": "3" }, 12],
    [{ "retry-after-ms": "soon", "retry-after": "3" }, 3000],
    [{ "retry-after": "soon" }, undefined],
    [{}, undefined]
  ] as ReadonlyArray<readonly [{ readonly [name: string]: string }, number | undefined]>) {
    it(`reads ${JSON.stringify(headers)}`, () => {
      assert.strictEqual(Failures.retryAfterMillis(headers, now), expected)
    })
  }
})

describe("delayInText", () => {
  for (const [text, expected] of [
    ["Please try again in 0.5s.", 500],
    ["Try again in 20ms", 20],
    ["try again in 35 seconds or later", 35_000],
    ["try again in 1h2m3.5s", 3_723_500],
    ["try again in 6m0s. Visit", 360_000],
    ["try again in 150 milliseconds", 150],
    ["try again in 2 days", 172_800_000],
    ["try again later", undefined],
    ["", undefined]
  ] as const) {
    it(`reads "${text}"`, () => {
      assert.strictEqual(Failures.delayInText(text), expected)
    })
  }
})

describe("fromResponse", () => {
  it("has the words of a body that is not JSON, shortened and on one line", () => {
    const { detail, kind } = responseOf(502, `Bad \u001b[31m  gateway\n ${"x".repeat(1000)}`)
    assert.strictEqual(kind, "ServerError")
    assert.strictEqual(detail, `Bad [31m gateway ${"x".repeat(483)}…`)
  })

  it("has the text that a browser shows of a page", () => {
    const page =
      "<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>p { x: y }</style></head>\n<body><h1>Sorry &amp; thanks</h1></body></html>"
    assert.strictEqual(responseOf(502, page).message, "502 Bad Gateway Sorry & thanks")
  })

  for (const error of [
    {
      code: 400,
      type: "exceed_context_size_error",
      message: "too many tokens"
    },
    {
      code: 400,
      type: "BadRequestError",
      message: "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"
    },
    { code: "invalid_request_error", message: "Input tokens exceed the context window of this model" },
    { message: "the request exceeds the available context size, try increasing it" },
    { message: "Context length exceeded" }
  ]) {
    it(`finds that a request is too long: ${error.message}`, () => {
      assert.strictEqual(responseOf(400, JSON.stringify({ error })).kind, "ContextWindowExceeded")
    })
  }

  it("reads a status in the place of a code", () => {
    assert.strictEqual(responseOf(200, '{"error":{"code":429,"message":"Slow"}}').kind, "RateLimited")
    assert.strictEqual(responseOf(200, '{"error":{"code":502,"message":"Away"}}').kind, "ServerError")
  })

  it("reads an error that a gateway has wrapped", () => {
    const inner = { code: "rate_limit_exceeded", message: "Slow" }
    const failure = responseOf(200, JSON.stringify({ error: { code: 500, error: inner } }))
    assert.deepInclude(failure, { kind: "RateLimited", detail: "Slow" })
  })

  it("reads an error that is written as an event", () => {
    const failure = responseOf(429, 'event: error\ndata: {"error":{"message":"Slow","code":"insufficient_quota"}}\n\n')
    assert.strictEqual(failure.kind, "QuotaExceeded")
    assert.strictEqual(failure.detail, "Slow")
  })

  it("reads an error in a successful response as any other", () => {
    const failure = responseOf(200, '{"error":{"code":"rate_limit_exceeded","message":"Slow"}}')
    assert.strictEqual(failure.kind, "RateLimited")
    assert.strictEqual(failure.message, "Slow (HTTP status 200)")
    assert.strictEqual(responseOf(200, '{"title":"No model"}').message, "No model (HTTP status 200)")
  })

  for (const [after, kind, wait] of [
    ["300", "RateLimited", ""],
    ["3600", "QuotaExceeded", "the provider asks to wait 1h: "],
    ["9".repeat(400), "QuotaExceeded", "the provider asks to wait 36525d: "]
  ] as const) {
    it(`is ${kind} when it asks to wait ${after.slice(0, 9)} seconds`, () => {
      const headers = { "retry-after": after }
      const failure = Failures.fromResponse(context, { status: 429, headers, body: "Slow", nowMillis: 0 })
      assert.strictEqual(failure.kind, kind)
      assert.strictEqual(failure.detail, `${wait}Slow`)
    })
  }

  it("has the status when the body is empty, and in addition to its words", () => {
    assert.strictEqual(responseOf(500, " ").message, "HTTP status 500")
    assert.strictEqual(responseOf(401, '{"error":"Who are you?"}').message, "Who are you? (HTTP status 401)")
    assert.strictEqual(responseOf(403, '[{"error":{"message":"No"}}]').message, "No (HTTP status 403)")
    // the number of something else is not the status
    assert.strictEqual(responseOf(400, '{"error":"4000 of 1400"}').message, "4000 of 1400 (HTTP status 400)")
    assert.strictEqual(responseOf(400, '{"error":"Error 400: bad"}').message, "Error 400: bad")
    assert.strictEqual(responseOf(429, "429 Too Many Requests").message, "429 Too Many Requests")
  })

  for (const [status, kind] of [
    [301, "InvalidRequest"],
    [402, "InvalidRequest"],
    [408, "ServerError"],
    [409, "ServerError"],
    [413, "InvalidRequest"]
  ] as const) {
    it(`takes ${status} for ${kind}`, () => {
      assert.strictEqual(responseOf(status, "").kind, kind)
    })
  }

  it("recognizes a spent quota, whatever the status", () => {
    assert.strictEqual(responseOf(402, '{"error":{"code":"insufficient_quota"}}').kind, "QuotaExceeded")
  })
})

describe("a failure", () => {
  it("holds no secret in its detail, nor in its cause", () => {
    const cause = new TypeError("cannot send s3cret", { cause: new Error("inner s3cret") })
    const failure = Failures.failure(context, "Connection", { detail: "s3cret s3cret", cause })
    assert.strictEqual(failure.detail, "<redacted> <redacted>")
    const copy = failure.cause as Error
    assert.strictEqual(copy.name, "TypeError")
    assert.strictEqual(copy.message, "cannot send <redacted>: inner <redacted>")
    assert.isUndefined(copy.cause)
  })

  it("names the code of a cause without a message", () => {
    const refused = Object.assign(new AggregateError([], ""), { code: "ECONNREFUSED" })
    assert.strictEqual(
      (Failures.failure(context, "Connection", { detail: "x", cause: refused }).cause as Error).message,
      "ECONNREFUSED"
    )
  })
})

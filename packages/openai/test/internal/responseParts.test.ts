import { assert, describe, it } from "@effect/vitest"
import { type ModelFailureKind, ModelFailed } from "@spindle/core/SessionError"
import { Duration } from "effect"
import { fromFailure, fromPart, fromParts } from "../../src/internal/responseParts.ts"
import { callId } from "../fixture.ts"

describe("fromParts", () => {
  it("puts texts and reasoning together, each where it began", () => {
    assert.deepStrictEqual(
      fromParts([
        { _tag: "ReasoningStart", id: "r" },
        { _tag: "TextStart", id: "t" },
        { _tag: "TextDelta", id: "t", delta: "a" },
        { _tag: "ReasoningDelta", id: "r", delta: "hm" },
        { _tag: "TextDelta", id: "t", delta: "b" },
        { _tag: "TextEnd", id: "t", providerId: "msg" },
        { _tag: "ReasoningEnd", id: "r", providerId: "rs", encrypted: "e" },
        { _tag: "ToolCall", callId: callId("c"), name: "t", params: undefined, invalid: "{a", providerId: "fc" }
      ]),
      [
        { type: "reasoning", text: "hm", metadata: { openai: { itemId: "rs", encryptedContent: "e" } } },
        { type: "text", text: "ab", metadata: { openai: { itemId: "msg" } } },
        { type: "tool-call", id: "c", name: "t", params: "{a", metadata: { openai: { itemId: "fc" } } }
      ]
    )
  })
})

describe("fromPart", () => {
  it("splits the counts of tokens, and leaves unknown ones unknown", () => {
    const usage = { input: 10, cachedInput: 4, output: 7, reasoning: 5, total: 17 }
    assert.deepStrictEqual(fromPart({ _tag: "Finish", reason: "length", usage }), {
      type: "finish",
      reason: "length",
      usage: {
        inputTokens: { total: 10, cacheRead: 4, uncached: 6, cacheWrite: undefined },
        outputTokens: { total: 7, reasoning: 5, text: 2 }
      },
      response: undefined
    })
    const unknown = fromPart({ _tag: "Finish", reason: "stop", usage: undefined })
    assert.deepStrictEqual(unknown.type === "finish" ? unknown.usage.outputTokens : undefined, {
      total: undefined,
      reasoning: undefined,
      text: undefined
    })
  })
})

describe("fromFailure", () => {
  const reasons: { readonly [Kind in ModelFailureKind]: readonly [tag: string, isRetryable: boolean] } = {
    Connection: ["NetworkError", true],
    Disconnected: ["NetworkError", true],
    IdleTimeout: ["NetworkError", true],
    ServerError: ["InternalProviderError", true],
    Overloaded: ["InternalProviderError", true],
    RateLimited: ["RateLimitError", true],
    QuotaExceeded: ["QuotaExhaustedError", false],
    Unauthorized: ["AuthenticationError", false],
    ContextWindowExceeded: ["InvalidRequestError", false],
    InvalidRequest: ["InvalidRequestError", false],
    InvalidResponse: ["InvalidResponseError", false],
    Incomplete: ["InvalidResponseError", false]
  }
  for (const [kind, [tag, isRetryable]] of Object.entries(reasons)) {
    it(`makes ${kind} a ${tag}`, () => {
      const failure = new ModelFailed({ kind: kind as ModelFailureKind, provider: "p", model: "m", detail: "why" })
      const reason = fromFailure(failure, "http://a.test/responses")
      assert.strictEqual(reason._tag, tag)
      assert.strictEqual(reason.isRetryable, isRetryable)
    })
  }

  it("keeps the delay that a provider asked for", () => {
    const failure = new ModelFailed({ kind: "RateLimited", provider: "p", model: "m", retryAfterMillis: 1500 })
    const reason = fromFailure(failure, "")
    assert.deepStrictEqual(reason._tag === "RateLimitError" ? reason.retryAfter : undefined, Duration.millis(1500))
  })
})

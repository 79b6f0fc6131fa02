import { assert, describe, it } from "@effect/vitest"
import * as Redaction from "@spindle/telemetry/Redaction"

const removed = "[redacted]"

describe("standard", () => {
  it.each([
    ["authorization: Bearer abcdefgh12345678", `authorization: Bearer ${removed}`],
    ["key sk-proj-abcdefgh12345678 is wrong", `key ${removed} is wrong`],
    ["https://x/v1?api_key=abc&q=1&access_token=def", `https://x/v1?api_key=${removed}&q=1&access_token=${removed}`],
    ["https://user:pass@host/path", `https://${removed}@host/path`],
    ["OPENAI_API_KEY=abc npm test", `OPENAI_API_KEY=${removed} npm test`],
    ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln", removed]
  ])("takes out what looks like a secret: %s", (text, expected) => {
    assert.strictEqual(Redaction.standard("url.full", text), expected)
    assert.deepStrictEqual(Redaction.standard("args", [text, 1]), [expected, 1])
  })

  it.each(["http.request.header.authorization", "x-api-key", "openai.api_key", "db.password", "session.token"])(
    "takes out the value of %s",
    (key) => assert.strictEqual(Redaction.standard(key, "whatever"), removed)
  )

  it.each([
    ["gen_ai.usage.input_tokens", 12],
    ["token.type", "input"],
    ["gen_ai.token.type", "output"],
    ["gen_ai.request.model", "gpt-5"],
    ["gen_ai.tool.call.id", "call_0123456789abcdef"],
    ["session.id", "0199a213-81c0-7800-8aa1-bbab2a035a53"]
  ])("leaves %s as it is", (key, value) => assert.strictEqual(Redaction.standard(key, value), value))
})

import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { serveHttp, withBody } from "../../../core/test/fixtures/httpServers.ts"
import { allowed, completedItems, events, run, world } from "../fixtures/program.ts"

const key = "sk-ant-very-secret"
const patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-old\n+new\n*** End Patch\n"

const block = (index: number, content_block: object, ...deltas: ReadonlyArray<object>) => [
  { type: "content_block_start", index, content_block },
  ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
  { type: "content_block_stop", index }
]
const call = (index: number, name: string, args: object) =>
  block(
    index,
    { type: "tool_use", id: `toolu_${name}`, name, input: {} },
    { type: "input_json_delta", partial_json: JSON.stringify(args) }
  )
const response = (stop_reason: string, ...blocks: ReadonlyArray<ReadonlyArray<object>>) => [
  { type: "message_start", message: { model: "claude-test", usage: { input_tokens: 100, output_tokens: 1 } } },
  ...blocks.flat(),
  { type: "message_delta", delta: { stop_reason }, usage: { output_tokens: 10 } },
  { type: "message_stop" }
]

/** A server of the Messages API that replies to each request with the next of these responses. */
const serve = (replies: ReadonlyArray<ReadonlyArray<object>>) => {
  const requests: Array<{ readonly url: string; readonly key: unknown; readonly body: any }> = []
  const listener = withBody((incoming, outgoing, body) => {
    const reply = replies[requests.length] ?? []
    requests.push({ url: incoming.url ?? "", key: incoming.headers["x-api-key"], body: JSON.parse(body) })
    outgoing.setHeader("content-type", "text/event-stream")
    outgoing.end(reply.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""))
  })
  return Effect.map(serveHttp(listener), (url) => ({ requests, baseUrl: `${url}/v1` }))
}

describe("a server of the Messages API", () => {
  it.live("runs commands and patches, and gets its thinking back", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve([
        response(
          "tool_use",
          block(
            0,
            { type: "thinking", thinking: "" },
            { type: "thinking_delta", thinking: "I look" },
            { type: "signature_delta", signature: "sig" }
          ),
          call(1, "exec_command", { cmd: "cat a.txt; exit 3", login: false })
        ),
        response("tool_use", call(0, "apply_patch", { input: patch })),
        response("end_turn", block(0, { type: "text", text: "" }, { type: "text_delta", text: "done" }))
      ])
      const at = yield* world()
      const config = [
        'model = "claude-test"',
        'model_provider = "claude"',
        'model_reasoning_effort = "low"',
        "[model_providers.claude]",
        `base_url = "${baseUrl}"`,
        'wire_api = "anthropic"',
        'env_key = "ANTHROPIC_API_KEY"'
      ]
      Fs.writeFileSync(Path.join(at.home, "config.toml"), config.join("\n"))
      Fs.writeFileSync(Path.join(at.cwd, "a.txt"), "old\n")
      const env = { ANTHROPIC_API_KEY: key }
      const ended = yield* run(at, ["exec", "--json", "--strict-config", ...allowed, "go"], { env })
      assert.strictEqual(ended.code, 0, ended.stderr)
      assert.strictEqual(Fs.readFileSync(Path.join(at.cwd, "a.txt"), "utf8"), "new\n")
      const lines = events(ended)
      assert.deepStrictEqual(completedItems(lines), [
        ["reasoning", undefined, "I look"],
        ["command_execution", "failed", 3],
        ["file_change", "completed", 1],
        ["agent_message", undefined, "done"]
      ])
      assert.include(lines.at(-1).usage, { input_tokens: 300, output_tokens: 30 })
      assert.deepStrictEqual(
        requests.map((one) => [one.url, one.key]),
        Array.from({ length: 3 }, () => ["/v1/messages", key])
      )
      const second = requests[1]!.body
      assert.deepStrictEqual(
        second.messages[1].content.map(({ type }: any) => type),
        ["thinking", "tool_use"]
      )
      assert.deepInclude(second.messages[1].content[0], { thinking: "I look", signature: "sig" })
      assert.deepStrictEqual(second.thinking, { type: "enabled", budget_tokens: 4096 })
    })
  )

  it.live("is built in: a key is all that is needed", () =>
    Effect.gen(function* () {
      const at = yield* world()
      Fs.writeFileSync(Path.join(at.home, "config.toml"), 'model_provider = "anthropic"\n')
      const missing = yield* run(at, ["exec", "go"])
      assert.deepStrictEqual(
        [missing.code, missing.stderr],
        [78, 'spindle: no key for model provider "anthropic": set ANTHROPIC_API_KEY, or run spindle login\n']
      )
      yield* run(at, ["login", "--with-api-key"], { input: key })
      const status = yield* run(at, ["login", "status"])
      assert.strictEqual(status.stdout, `anthropic: the key is from the file ${at.home}/auth.json\n`)
    })
  )
})

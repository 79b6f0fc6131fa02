import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { Script } from "@spindle/testing/ResponsesScript"
import { Effect } from "effect"
import { call, delta, serveChat } from "../fixtures/chatServer.ts"
import { allowed, command, completedItems, events, run, sessionOf, world } from "../fixtures/program.ts"

const patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-old\n+new\n*** End Patch\n"

/** A world with the file `a.txt`, in which the provider `local` is a chat server with these replies. */
const chatWorld = Effect.fnUntraced(function* (replies: ReadonlyArray<ReadonlyArray<object>>, script: Script = {}) {
  const at = yield* world(script)
  const chat = yield* serveChat(replies)
  const lines = ["", "[model_providers.local]", `base_url = "${chat.baseUrl}"`, 'wire_api = "chat"']
  Fs.appendFileSync(Path.join(at.home, "config.toml"), lines.join("\n"))
  Fs.writeFileSync(Path.join(at.cwd, "a.txt"), "old\n")
  return { ...at, chat }
})

const local = ["--config", 'model_provider="local"', "--strict-config"] as const
const rolesOf = (body: any): ReadonlyArray<string> => body.messages.map(({ role }: any) => role)

describe("a chat server", () => {
  it.live("runs commands and patches, without a key", () =>
    Effect.gen(function* () {
      const at = yield* chatWorld([
        [
          delta({ reasoning_content: "I look" }),
          ...call(0, "call_1", "exec_command", { cmd: "cat a.txt; exit 3", login: false }),
          ...call(1, "call_2", "exec_command", { cmd: "echo second", login: false })
        ],
        call(0, "call_1", "apply_patch", { input: patch }),
        [delta({ content: "do" }), delta({ content: "ne" })]
      ])
      const ended = yield* run(at, ["exec", "--json", ...allowed, ...local, "go"])
      assert.strictEqual(ended.code, 0, ended.stderr)
      assert.strictEqual(Fs.readFileSync(Path.join(at.cwd, "a.txt"), "utf8"), "new\n")
      const lines = events(ended)
      assert.deepStrictEqual(completedItems(lines), [
        ["reasoning", undefined, "I look"],
        ["command_execution", "failed", 3],
        ["command_execution", "completed", 0],
        ["file_change", "completed", 1],
        ["agent_message", undefined, "done"]
      ])
      assert.include(lines.at(-1).usage, { input_tokens: 300, output_tokens: 30 })
      const [first, second, third] = at.chat.requests
      assert.deepStrictEqual([first!.url, first!.key], ["/v1/chat/completions", undefined])
      const tool = first!.body.tools.find((one: any) => one.function.name === "apply_patch")
      assert.deepStrictEqual([tool.type, tool.function.parameters.required], ["function", ["input"]])
      assert.deepStrictEqual(rolesOf(second!.body), ["system", "user", "assistant", "tool", "tool"])
      assert.strictEqual(second!.body.messages[2].reasoning_content, "I look")
      assert.include(second!.body.messages[3].content, "old")
      assert.deepStrictEqual(rolesOf(third!.body).slice(5), ["assistant", "tool"])
      assert.deepStrictEqual(JSON.parse(third!.body.messages[5].tool_calls[0].function.arguments), { input: patch })
    })
  )

  it.live("continues a session of the Responses API, which continues in its turn", () =>
    Effect.gen(function* () {
      const at = yield* chatWorld([call(0, "call_1", "apply_patch", { input: patch.replace("old", "older") })], {
        turns: [
          {
            events: [{ reasoning: "hm" }, command("cat a.txt"), { custom: "apply_patch", input: patch, callId: "c2" }]
          },
          { events: [{ text: "done here" }] }
        ]
      })
      const first = yield* run(at, ["exec", "--json", ...allowed, "one"])
      assert.strictEqual(first.code, 0, first.stderr)
      Fs.writeFileSync(Path.join(at.cwd, "a.txt"), "older\n")
      const resume = (...args: ReadonlyArray<string>) =>
        run(at, ["exec", "--json", ...allowed, ...args.slice(0, -1), "resume", sessionOf(first), args.at(-1)!])
      const second = yield* resume(...local, "two")
      assert.strictEqual(second.code, 0, second.stderr)
      assert.strictEqual(Fs.readFileSync(Path.join(at.cwd, "a.txt"), "utf8"), "new\n")
      const { body } = at.chat.requests[0]!
      assert.deepStrictEqual(rolesOf(body), ["system", "user", "assistant", "tool", "tool", "assistant", "user"])
      assert.notInclude(JSON.stringify(body), "bW9jaw==")
      assert.deepStrictEqual(JSON.parse(body.messages[2].tool_calls[1].function.arguments), { input: patch })

      const third = yield* resume("three")
      assert.strictEqual(third.code, 0, third.stderr)
      const input: ReadonlyArray<any> = at.server.requests.at(-1)!.body.input
      assert.deepStrictEqual(
        input.flatMap(({ type }) => (/_call/.test(type) ? [type] : [])),
        [
          "function_call",
          "custom_tool_call",
          "function_call_output",
          "custom_tool_call_output",
          "custom_tool_call",
          "custom_tool_call_output"
        ]
      )
      assert.include(input.findLast(({ type }) => type === "custom_tool_call").input, "-older")
    })
  )

  it.live("fails the turn with the words of the server", () =>
    Effect.gen(function* () {
      const at = yield* chatWorld([[{ error: { message: "out of memory", type: "invalid_request_error" } }]])
      const { code, stderr } = yield* run(at, ["exec", ...local, "go"])
      assert.strictEqual(code, 1)
      assert.include(stderr, "out of memory")
    })
  )
})

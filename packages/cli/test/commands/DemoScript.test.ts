import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { type ModelRequest, Model } from "@spindle/core/Model"
import { CallId, ItemId, SessionId, TurnId } from "@spindle/core/Ids"
import { text } from "@spindle/core/Input"
import type { Item, NewItem } from "@spindle/core/Item"
import { markerText } from "@spindle/core/History"
import * as OpenAiModel from "@spindle/openai/OpenAiModel"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import * as DemoScript from "../../src/commands/DemoScript.ts"

const example = fileURLToPath(new URL("../../example", import.meta.url))

// the script as the program has it: served over HTTP, with the model of packages/openai as its client
const layer = Layer.unwrap(
  Effect.map(
    ResponsesServer.fromFunction((body) => DemoScript.turnOf(body, { paced: false })),
    ({ baseUrl }) => OpenAiModel.layer({ model: "scripted", baseUrl })
  )
).pipe(Layer.provide(NodeHttpClient.layerNodeHttp))

const request = (items: ReadonlyArray<Item>): ModelRequest => ({
  sessionId: SessionId.make("s"),
  turnId: TurnId.make("t"),
  instructions: undefined,
  items,
  tools: [],
  output: undefined
})
const item = (item: NewItem): Item => ({ id: ItemId.make("0.0"), ...item })
const user = item({ _tag: "UserMessage", content: text(DemoScript.prompt) })
const isFreeform = (name: string) => name === "apply_patch"

/** Plays the script to its end. `run` returns the result of a call. */
const play = Effect.fnUntraced(function* (
  run: (name: string, params: any) => string,
  before: ReadonlyArray<Item> = [user]
) {
  const model = yield* Model
  const items = [...before]
  const called: Array<string> = []
  const ids = new Set<string>()
  for (let round = 0; round < 10; round++) {
    const parts = yield* Stream.runCollect(model.stream(request(items)))
    const said = parts.flatMap((part) => (part._tag === "TextDelta" ? [part.delta] : [])).join("")
    const calls = parts.flatMap((part) => (part._tag === "ToolCall" ? [part] : []))
    if (calls.length === 0) return { called, said, items }
    for (const { callId, name, params } of calls) {
      assert.isFalse(ids.has(callId))
      ids.add(callId)
      called.push(name)
      items.push(item({ _tag: "ToolCall", callId, name, params, ...(isFreeform(name) ? { freeform: true } : {}) }))
    }
    for (const { callId, name, params } of calls) {
      const output = run(name, params)
      items.push(item({ _tag: "ToolResult", callId: CallId.make(callId), name, status: "completed", output }))
    }
  }
  throw new Error("the script does not end")
})

const scratch = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(join(tmpdir(), "spindle-example-"))
    cpSync(example, directory, { recursive: true })
    return directory
  }),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

/** Runs commands for real, and applies the one patch by replacing its lines. */
const tools = (cwd: string) => (name: string, params: { cmd: string; input: string }) => {
  if (name === "exec_command") {
    // this variable tells a test runner that it runs inside another one, and then it prints nothing
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const ran = spawnSync("/bin/bash", ["-c", params.cmd], { cwd, encoding: "utf8", env })
    return ran.stdout + ran.stderr
  }
  const file = join(cwd, "src/discount.js")
  const lines = params.input.split("\n")
  const side = (sign: string) =>
    lines
      .filter((line) => line.startsWith(" ") || (line.startsWith(sign) && !line.startsWith("***")))
      .map((line) => line.slice(1))
      .join("\n")
  const before = readFileSync(file, "utf8")
  assert.strictEqual(before.split(side("-")).length, 2)
  writeFileSync(file, before.replace(side("-"), side("+")))
  return "Success. Updated the following files:\nM src/discount.js\n"
}

describe("the script", () => {
  it.live("repairs the example, whose tests fail before and pass after", () =>
    Effect.gen(function* () {
      const cwd = yield* scratch
      const runs: Array<string> = []
      const run = tools(cwd)
      const end = yield* play((name, params) => {
        const output = run(name, params)
        if (params.cmd?.startsWith("node --test") === true) runs.push(output)
        return output
      })
      assert.deepStrictEqual(end.called, [
        "exec_command",
        "exec_command",
        "exec_command",
        "apply_patch",
        "exec_command"
      ])
      assert.match(runs[0]!, /fail 1/)
      assert.match(runs[1]!, /fail 0/)
      assert.include(end.said, "The tests pass now.")
      // asked again, it finds nothing to do
      const again = yield* play(run, [...end.items, user])
      assert.include(again.said, "nothing to repair")
      assert.deepStrictEqual(again.called, ["exec_command", "exec_command", "exec_command"])
      execFileSync(process.execPath, ["--check", join(cwd, "src/discount.js")])
    }).pipe(Effect.provide(layer))
  )

  it.live("reports a refusal, a patch that does not apply and tests that still fail, and stops", () =>
    Effect.gen(function* () {
      for (const refusal of ["denied: the policy forbids it", "rejected by user", "not approved: nobody answered"]) {
        assert.include((yield* play(() => refusal)).said, "A command was not allowed")
      }
      const failing = (name: string) => (isFreeform(name) ? "Success. Updated nothing." : "ℹ tests 4\nℹ fail 1\n")
      const patching = (output: string) => (name: string) => (isFreeform(name) ? output : failing(name))
      const patchRefused = yield* play(patching("rejected: no terminal to ask at"))
      assert.include(patchRefused.said, "Nothing was changed.")
      const unfit = yield* play(patching("no such line"))
      assert.include(unfit.said, "could not be applied: no such line")
      assert.include((yield* play(failing)).said, "tests still fail")
    }).pipe(Effect.provide(layer))
  )

  it.live("starts again for a message of the user, but not for the marker of an interrupt", () =>
    Effect.gen(function* () {
      const marker = item({
        _tag: "UserMessage",
        content: text(markerText("Interrupted", [])),
        fragment: "turn_aborted"
      })
      const call = (id: string) => {
        const callId = CallId.make(id)
        return [
          item({ _tag: "ToolCall", callId, name: "x", params: {} }),
          item({ _tag: "ToolResult", callId, name: "x", status: "completed", output: "" })
        ]
      }
      const before = [user, ...call("a")]
      const called = (items: ReadonlyArray<Item>) =>
        Effect.map(
          play(() => "rejected by user", items),
          (end) => end.called
        )
      assert.deepStrictEqual(yield* called([...before, user]), ["exec_command", "exec_command"])
      assert.deepStrictEqual(yield* called([...before, ...call("b"), marker]), ["exec_command"])
    }).pipe(Effect.provide(layer))
  )

  it("pauses before each word and call for a person who watches", () => {
    const events = (paced: boolean) => DemoScript.turnOf({ input: [] }, { paced }).events
    assert.deepStrictEqual(events(true)!.slice(0, 4), [
      { delay: 25 },
      { reasoning: "First a look around.", chunks: 4, every: 25 },
      { delay: 25 },
      { text: "I will look at the project first.", chunks: 7, every: 25 }
    ])
    assert.isFalse(JSON.stringify(events(false)).includes("25"))
  })
})

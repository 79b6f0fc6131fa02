import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { type ModelRequest, Model } from "@spindle/core/ports/Model"
import { CallId, ItemId, SessionId, TurnId } from "@spindle/core/protocol/Ids"
import { text } from "@spindle/core/protocol/Input"
import type { Item, NewItem } from "@spindle/core/protocol/Item"
import * as DemoScript from "../src/DemoScript.ts"

const example = fileURLToPath(new URL("../example", import.meta.url))

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
const result = (name: string, output: unknown, status: "completed" | "denied" | "failed" = "completed") =>
  item({ _tag: "ToolResult", callId: CallId.make("c"), name, status, output })

/** Plays the script to its end; `run` answers a call. */
const play = Effect.fnUntraced(function* (
  run: (name: string, params: any) => Item,
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
      items.push(item({ _tag: "ToolCall", callId, name, params }))
    }
    for (const { name, params } of calls) items.push(run(name, params))
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
    // a test runner inside a test runner is told by this variable, and then prints nothing
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const ran = spawnSync("/bin/bash", ["-c", params.cmd], { cwd, encoding: "utf8", env })
    return result(name, ran.stdout + ran.stderr)
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
  return result(name, "Success")
}

describe("the script", () => {
  it.effect("repairs the example, whose tests fail before and pass after", () =>
    Effect.gen(function* () {
      const cwd = yield* scratch
      const runs: Array<string> = []
      const run = tools(cwd)
      const end = yield* play((name, params) => {
        const item = run(name, params)
        if (params.cmd?.startsWith("node --test") === true && item._tag === "ToolResult") runs.push(String(item.output))
        return item
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
    }).pipe(Effect.provide(DemoScript.layer({ paced: false })))
  )

  it.effect("tells a refusal, a patch that does not apply and tests that still fail, and stops", () =>
    Effect.gen(function* () {
      const refused = yield* play((name) => result(name, "", "denied"))
      assert.include(refused.said, "not allowed")
      const failing = (name: string) => result(name, name === "exec_command" ? "ℹ tests 4\nℹ fail 1\n" : "")
      const patchRefused = yield* play((name) => (name === "apply_patch" ? result(name, "", "denied") : failing(name)))
      assert.include(patchRefused.said, "Nothing was changed.")
      const unfit = yield* play((name) =>
        name === "apply_patch" ? result(name, "no such line", "failed") : failing(name)
      )
      assert.include(unfit.said, "could not be applied: no such line")
      assert.include((yield* play(failing)).said, "still do not pass")
    }).pipe(Effect.provide(DemoScript.layer({ paced: false })))
  )

  it.effect("pauses between its parts when somebody watches", () =>
    Effect.gen(function* () {
      const model = yield* Model
      const seen: Array<string> = []
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(model.stream(request([user])), (part) => Effect.sync(() => seen.push(part._tag)))
      )
      yield* TestClock.adjust("30 millis")
      assert.deepStrictEqual(seen, ["ReasoningDelta"])
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(DemoScript.layer({ paced: true })))
  )
})

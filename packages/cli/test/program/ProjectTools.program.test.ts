import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { allowed, asking, events, run, type World, world } from "../fixtures/program.ts"

const inputOf = ({ server }: World, request: number): ReadonlyArray<any> => server.requests[request]!.body.input
const outputsTo = (at: World, request: number): ReadonlyArray<string> =>
  inputOf(at, request).flatMap((item) => (item.type === "function_call_output" ? [item.output] : []))

describe("the tools of a project", () => {
  it.live("show a plan as one list of the turn", () =>
    Effect.gen(function* () {
      const plan = (callId: string, ...statuses: ReadonlyArray<string>) => ({
        call: "update_plan",
        args: { plan: statuses.map((status, index) => ({ step: `step ${index + 1}`, status })) },
        callId
      })
      const at = yield* world({
        turns: [
          { events: [plan("c1", "in_progress", "pending")] },
          { events: [plan("c2", "in_progress", "in_progress")] },
          { events: [plan("c3", "completed", "completed")] },
          { events: [{ text: "done" }] }
        ]
      })
      const ended = yield* run(at, ["exec", "--json", "go"])
      assert.strictEqual(ended.code, 0)
      assert.deepStrictEqual(
        events(ended).flatMap(({ item, type }) =>
          item?.type === "todo_list" ? [[type, item.id, ...item.items.map((one: any) => one.completed)]] : []
        ),
        [
          ["item.started", "item_0", false, false],
          ["item.updated", "item_0", true, true],
          ["item.completed", "item_0", true, true]
        ]
      )
      assert.include(outputsTo(at, 2).join(), "The plan was not updated: 2 steps are in_progress")
    })
  )

  it.live("look at files without a question, where commands need one", () =>
    Effect.gen(function* () {
      const calls = [
        { call: "read_file", args: { file_path: "a.txt" }, callId: "c1" },
        { call: "list_dir", args: { dir_path: "." }, callId: "c2" },
        { call: "grep_files", args: { pattern: "one" }, callId: "c3" },
        { call: "grep_files", args: { pattern: "(" }, callId: "c4" }
      ]
      const at = yield* world({ turns: [{ events: calls }, { events: [{ text: "done" }] }] })
      Fs.writeFileSync(Path.join(at.cwd, "a.txt"), "one\ntwo\n")
      const ended = yield* run(at, ["exec", "--json", ...asking, "go"])
      assert.strictEqual(ended.code, 0)
      assert.deepStrictEqual(outputsTo(at, 1).slice(0, 3), [
        "L1: one\nL2: two",
        `${at.cwd}:\na.txt`,
        Path.join(at.cwd, "a.txt")
      ])
      assert.deepStrictEqual(
        events(ended).flatMap(({ item, type }) =>
          type === "item.completed" && item.type === "mcp_tool_call" ? [[item.server, item.tool, item.status]] : []
        ),
        [
          ["", "read_file", "completed"],
          ["", "list_dir", "completed"],
          ["", "grep_files", "completed"],
          ["", "grep_files", "failed"]
        ]
      )
    })
  )

  it.live("refuse questions in a pipe, with a text that says why", () =>
    Effect.gen(function* () {
      const options = [{ label: "Red", description: "warm" }]
      const questions = [{ id: "colour", header: "Colour", question: "Which colour?", options }]
      const calls = [
        { call: "request_user_input", args: { questions }, callId: "c1" },
        { call: "request_permissions", args: { permissions: { network: { enabled: true } } }, callId: "c2" }
      ]
      const at = yield* world({ turns: [{ events: calls }, { events: [{ text: "done" }] }] })
      const { code, stderr } = yield* run(at, ["exec", "--ask-for-approval", "on-request", "go"])
      assert.strictEqual(code, 3)
      for (const output of outputsTo(at, 1)) assert.match(output, /^The request was refused: no terminal to ask at/)
      assert.include(stderr, "? A question:\n  Which colour?\n    1 Red warm\n")
    })
  )

  it.live("run JavaScript if the feature is on, and end the kernel with the session", () =>
    Effect.gen(function* () {
      const cell = (code: string, callId: string) => ({ call: "js_repl", args: { code }, callId })
      const at = yield* world({
        turns: [
          { events: [cell("let count = 1; require('node:process').pid", "c1")] },
          { events: [cell("count += 1", "c2")] },
          { events: [{ text: "done" }] }
        ]
      })
      const flag = ["-c", "features.js_repl=true"]
      const { code } = yield* run(at, ["exec", ...allowed, ...flag, "go"])
      assert.strictEqual(code, 0)
      const [pid = "", count] = outputsTo(at, 2)
      assert.strictEqual(count, "2")
      assert.isFalse(Fs.existsSync(`/proc/${Number(pid)}`))
      const names = (request: number) => at.server.requests[request]!.body.tools.map((tool: any) => tool.name)
      assert.includeMembers(names(0), ["js_repl", "js_repl_reset"])
    })
  )

  it.live("show the model an image as the next message", () =>
    Effect.gen(function* () {
      const at = yield* world({
        turns: [
          { events: [{ call: "view_image", args: { path: "a.png" }, callId: "c1" }] },
          { events: [{ text: "ok" }] }
        ]
      })
      const bytes = Buffer.from("89504e470d0a1a0a", "hex")
      Fs.writeFileSync(Path.join(at.cwd, "a.png"), bytes)
      const { code, stderr } = yield* run(at, ["exec", "go"])
      assert.strictEqual(code, 0)
      assert.include(stderr, "look at a.png")
      const images = inputOf(at, 1).flatMap((item) => (item.role === "user" ? item.content : []))
      assert.deepInclude(images, {
        type: "input_image",
        image_url: `data:image/png;base64,${bytes.toString("base64")}`
      })
    })
  )
})

import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { events, run, type World, world } from "../fixtures/program.ts"

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

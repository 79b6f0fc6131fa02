import { assert, describe, it } from "@effect/vitest"
import * as Compaction from "@spindle/core/Compaction"
import type { CallDetail, CallDisplay } from "@spindle/core/Display"
import type { CallId, ItemId } from "@spindle/core/Ids"
import type { Item, ToolStatus } from "@spindle/core/Item"
import * as Progress from "@spindle/core/Progress"
import { Schema } from "effect"
import { said } from "../fixtures/records.ts"

let ids = 0
const ran = (
  display: CallDisplay,
  { detail, status = "completed" }: { readonly detail?: CallDetail; readonly status?: ToolStatus } = {}
): ReadonlyArray<Item> => {
  const callId = `c${ids++}` as CallId
  const id = callId as string as ItemId
  return [
    { _tag: "ToolCall", id, callId, name: "tool", params: {}, display },
    { _tag: "ToolResult", id, callId, name: "tool", status, output: "", ...(detail === undefined ? {} : { detail }) }
  ]
}
const command = (command: string) => ran({ _tag: "Command", command, cwd: "/" })
const patch = (...paths: ReadonlyArray<string>) =>
  ran(
    { _tag: "Patch", changes: [] },
    { detail: { _tag: "Patch", changes: paths.map((path) => ({ path, change: "update" as const })) } }
  )
const plan = (...steps: ReadonlyArray<string>) =>
  ran({
    _tag: "Plan",
    steps: steps.map((step) => ({ step, status: step.startsWith("+") ? ("completed" as const) : ("pending" as const) }))
  })
const compacted = (items: ReadonlyArray<Item>) =>
  Compaction.historyAfter(Compaction.plan(items), { text: "a summary" }).map(
    (item) => ({ id: `n${ids++}` as ItemId, ...item }) as Item
  )

describe("the ledger of progress", () => {
  it("has the files that were changed and read, the commands that ran, and the last plan", () => {
    const items = [
      ...patch("a.ts", "b.ts"),
      ...command("npm test"),
      ...plan("read", "write"),
      ...patch("a.ts"),
      ...ran({ _tag: "Read", path: "c.ts" }),
      ...ran({ _tag: "Read", path: "missing.ts" }, { status: "failed" }),
      ...command("git diff"),
      ...command("npm test"),
      ...plan("+read", "write")
    ]
    assert.deepStrictEqual(Progress.of(items), {
      changed: ["b.ts", "a.ts"],
      read: ["c.ts"],
      commands: ["git diff", "npm test"],
      done: ["+read"],
      next: ["write"]
    })
  })

  it("has both paths of a file that was moved, and nothing of a plan that was refused", () => {
    const move = { path: "a", movePath: "b", change: "update" } as const
    const refused: CallDisplay = { _tag: "Plan", steps: [{ step: "no", status: "pending" }] }
    const items = [
      ...ran({ _tag: "Patch", changes: [] }, { detail: { _tag: "Patch", changes: [move] } }),
      ...ran(refused, { status: "denied" })
    ]
    assert.deepStrictEqual(Progress.of(items), { changed: ["a", "b"], read: [], commands: [], done: [], next: [] })
  })

  it("is no item while nothing was done, and is bounded", () => {
    assert.deepStrictEqual(Progress.toItems(Progress.of([said("hello")])), [])
    const { changed, commands } = Progress.of([
      ...patch(...Array.from({ length: 500 }, (_, index) => `${index}`)),
      ...Array.from({ length: 100 }, (_, index) => command(`${index}${"x".repeat(500)}𝄞`)).flat()
    ])
    assert.deepStrictEqual([changed.length, changed.at(-1)], [Progress.limits.changed, "499"])
    assert.deepStrictEqual([commands.length, commands.at(-1)?.slice(0, 3)], [Progress.limits.commands, "99x"])
    assert.isTrue(commands.every((one) => one.length <= Progress.limits.commandCharacters && one.isWellFormed()))
  })

  it("reads the ledger of a version that knew no files that were read", () => {
    const text = '<progress>\n{"changed":["a"],"commands":[],"done":[],"next":[]}\n</progress>'
    const content = [{ _tag: "Text", text }] as const
    const item: Item = { _tag: "UserMessage", id: "p" as ItemId, content, fragment: Progress.progressFragment }
    assert.deepStrictEqual(Progress.of([item]), { changed: ["a"], read: [], commands: [], done: [], next: [] })
  })

  it("is empty for a fragment that is not one", () => {
    const content = [{ _tag: "Text", text: "<progress>\nno json\n</progress>" }] as const
    const item: Item = { _tag: "UserMessage", id: "p" as ItemId, content, fragment: Progress.progressFragment }
    assert.deepStrictEqual(Progress.toItems(Progress.of([item])), [])
  })

  it.prop(
    "S11 is carried word for word: with or without compactions in between it says the same",
    [
      Schema.Array(Schema.Literals(["patch a", "patch b", "run", "plan", "say", "compact"])).check(
        Schema.isMaxLength(12)
      )
    ],
    ([steps]) => {
      let [plain, items]: [ReadonlyArray<Item>, ReadonlyArray<Item>] = [[], []]
      for (const [index, step] of steps.entries()) {
        const more =
          step === "run"
            ? command(`run ${index % 3}`)
            : step === "plan"
              ? plan(`+${index}`, "next")
              : step === "say"
                ? [said(`${index}`)]
                : step === "compact"
                  ? []
                  : patch(step)
        plain = [...plain, ...more]
        items = step === "compact" ? compacted(items) : [...items, ...more]
      }
      assert.deepStrictEqual(Progress.of(items), Progress.of(plain))
    },
    { arbitrary: { runs: 300 } }
  )
})

import { assert, describe, it } from "@effect/vitest"
import type * as Approvals from "@spindle/core/Approvals"
import type { PatchDisplay } from "@spindle/core/Display"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect, Schema } from "effect"

const { call, text } = ScriptedModel

const display: PatchDisplay = { _tag: "Patch", changes: [] }

/** A tool that redirects its calls, and the tool that gets them. */
const tools = (run: SessionHarness.TestTool["run"]): { readonly [name: string]: SessionHarness.TestTool } => ({
  shell: {
    run: () => Effect.succeed("shell"),
    parameters: { line: Schema.String },
    policy: {
      approval: "allow",
      redirect: ({ line }: any) =>
        line === "none" ? undefined : { name: line === "unknown" ? line : "patch", params: { input: line } }
    }
  },
  patch: {
    run,
    parameters: { input: Schema.String },
    policy: { approval: "ask", kind: "patch", display: () => display, redirect: () => ({ name: "shell", params: {} }) }
  }
})

describe("redirect", () => {
  it.effect("a redirected call has the policy, the display and the handler of the other tool", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const approvals: Approvals.Approvals = {
        decide: (question) =>
          Effect.sync(() => {
            asked.push([question.kind, question.tool, question.payload])
            return { _tag: "Approved" as const, scope: "once" as const }
          })
      }
      const h = yield* SessionHarness.make({
        script: [[call("shell", { line: "fix" }, "a")], [text("done")]].map((parts) => parts.flat()),
        tools: tools(({ input }) => Effect.succeed(`patched ${input}`)),
        approvals
      })
      yield* h.run("go")
      assert.deepStrictEqual(asked, [["patch", "patch", { input: "fix" }]])
      const { items } = yield* h.session.snapshot
      const calls = items.flatMap((item) => (item._tag === "ToolCall" ? [[item.name, item.params, item.display]] : []))
      assert.deepStrictEqual(calls, [["shell", { line: "fix" }, display]])
      const results = items.flatMap((item) => (item._tag === "ToolResult" ? [[item.status, item.output]] : []))
      assert.deepStrictEqual(results, [["completed", "patched fix"]])
    })
  )

  it.effect("a call that is not redirected, or to a tool that does not exist, is its own", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({
        script: [
          [
            call("shell", { line: "none" }, "a"),
            call("shell", { line: "unknown" }, "b"),
            call("shell", {}, "c")
          ].flat(),
          text("done")
        ],
        tools: tools(() => Effect.die("not reached"))
      })
      yield* h.run("go")
      const { items } = yield* h.session.snapshot
      const results = items.flatMap((item) => (item._tag === "ToolResult" ? [[item.status, item.output]] : []))
      assert.deepStrictEqual(results.slice(0, 2), [
        ["completed", "shell"],
        ["completed", "shell"]
      ])
      assert.strictEqual(results[2]![0], "failed")
    })
  )
})

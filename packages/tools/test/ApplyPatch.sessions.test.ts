/** Patches and the other sessions of a host, which share a pool of threads for file operations. */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Agent, Op, Session } from "@spindle/core"
import * as JournalFile from "@spindle/core/JournalFile"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Effect, Layer } from "effect"
import { CodingTools } from "../src/index.ts"
import { directory, host } from "./host.ts"

const patch = "*** Begin Patch\n*** Update File: pipe\n@@\n-a\n+b\n*** End Patch\n"

/** More than the threads of the pool. */
const sessionCount = 8

describe("aborted patches of a named pipe", () => {
  it.live("S2 J5 leave every other session able to write its journal", () =>
    Effect.gen(function* () {
      const [cwd, journals] = [yield* directory, yield* directory]
      execFileSync("mkfifo", [join(cwd, "pipe")])
      const model = ScriptedModel.make(({ items }) => {
        const last = items.at(-1)
        const isAsked = last?._tag === "UserMessage" && JSON.stringify(last).includes("patch it")
        return isAsked ? [ScriptedModel.call("apply_patch", { input: patch }, "call-1")] : [ScriptedModel.text("done")]
      })
      const agent = Agent.make({
        toolkit: CodingTools.toolkit,
        approvals: CodingTools.policies({ approval: "allow", cwd })
      })
      yield* Effect.gen(function* () {
        const other = yield* Session.make(agent)
        for (let index = 0; index < sessionCount; index++) {
          const patching = yield* Session.make(agent)
          yield* patching.submit(Op.userInput("patch it"))
          // a patch that waits for the other end of the pipe would never end
          yield* Effect.timeoutOption(patching.awaitIdle, "2 seconds")
          yield* patching.abort()
          const { items } = yield* patching.snapshot
          assert.include(JSON.stringify(items), "is a named pipe, not a regular file")
        }
        yield* other.submit(Op.userInput("hello"))
        yield* other.awaitIdle
        const { items, status } = yield* other.snapshot
        assert.deepStrictEqual([status, items.at(-1)], ["idle", { ...items.at(-1), text: "done" }])
      }).pipe(
        Effect.scoped,
        Effect.provide(
          Layer.mergeAll(CodingTools.layer({ cwd }), JournalFile.layer({ directory: journals }), model.layer).pipe(
            Layer.provideMerge(host)
          )
        )
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

/** Patches under the policy of the sandbox, which needs no sandbox: this program writes them itself. */
import { existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { ApplyPatch, SandboxPolicy } from "../../src/index.ts"
import { directory } from "../host.ts"

const add = (path: string) => `*** Begin Patch\n*** Add File: ${path}\n+x\n*** End Patch\n`

describe("a patch under a policy", () => {
  it.live("changes nothing where commands may not write", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const [inner, home] = [join(cwd, "inner"), join(cwd, "inner/home")]
      mkdirSync(home, { recursive: true })
      symlinkSync(cwd, join(inner, "link"))
      const policy: SandboxPolicy.SandboxPolicy = {
        _tag: "WorkspaceWrite",
        roots: [inner],
        scratch: [],
        protectedPaths: [home],
        network: false
      }
      const refusal = (path: string, within: SandboxPolicy.SandboxPolicy) =>
        Effect.map(
          Effect.flip(SandboxPolicy.confine(ApplyPatch.apply(add(path), { cwd }), within)),
          ({ detail }) => detail
        )
      assert.include(
        yield* refusal("inner/new", SandboxPolicy.readOnly),
        "inner/new: cannot be written: the sandbox is read-only"
      )
      assert.include(yield* refusal("new", policy), "outside the directories that the sandbox allows")
      assert.include(yield* refusal("inner/link/new", policy), "outside the directories that the sandbox allows")
      for (const path of [
        "inner/.git/hooks/x",
        "inner/.codex/config.toml",
        "inner/home/config.toml",
        "inner/a/.git/x"
      ]) {
        assert.include(yield* refusal(path, policy), "the sandbox protects it")
      }
      assert.deepStrictEqual([readdirSync(cwd), readdirSync(inner).sort()], [["inner"], ["home", "link"]])
      yield* SandboxPolicy.confine(ApplyPatch.apply(add("inner/new"), { cwd }), policy)
      assert.isTrue(existsSync(join(inner, "new")))
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

/** Patches that commands apply: recognised in a command line, and by the program `apply_patch`. */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bin, command, run, type World, world } from "../fixtures/program.ts"

const patch = ["*** Begin Patch", "*** Update File: a.txt", "@@", "-old", "+new", "*** End Patch"].join("\n")
const document = `apply_patch <<'EOF'\n${patch}\nEOF\n`

const outputsTo = ({ server }: World, request: number): string => JSON.stringify(server.requests[request]!.body.input)

const turns = (cmd: string) => ({ turns: [{ events: [command(cmd)] }, { events: [{ text: "ok" }] }] })

const inWorld = (cmd: string) =>
  Effect.map(world(turns(cmd)), (at) => {
    Fs.writeFileSync(Path.join(at.cwd, "a.txt"), "old\n")
    Fs.writeFileSync(Path.join(at.cwd, "script.sh"), `set -e\n${document}echo after\n`)
    return { at, content: () => Fs.readFileSync(Path.join(at.cwd, "a.txt"), "utf8") }
  })

const allowed = ["--dangerously-bypass-approvals-and-sandbox"]

describe("apply_patch", () => {
  it.live("in a command line is a patch for people and for the approval", () =>
    Effect.gen(function* () {
      const { at, content } = yield* inWorld(document)
      const { code, stdout } = yield* run(at, ["exec", "--json", ...allowed, "go"])
      assert.deepStrictEqual([code, content()], [0, "new\n"])
      const lines = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
      const completed = lines.filter((line) => line.type === "item.completed").map(({ item }) => item)
      assert.deepStrictEqual(completed[0].type, "file_change")
      assert.strictEqual(completed[0].changes[0].kind, "update")
      assert.include(outputsTo(at, 1), "Success. Updated the following files:\\nM a.txt")
      const notes = lines.filter((line) => line.type === "task.note" && line.name === "turn.diff")
      assert.deepStrictEqual(
        notes.map(({ data }) => data.diff),
        ["diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+new\n"]
      )
    })
  )

  it.live("is a program that scripts find, whatever path the profile sets", () =>
    Effect.gen(function* () {
      const { at, content } = yield* inWorld('sh script.sh && printf %s "$PATH"')
      const { code, stderr, stdout } = yield* run(at, ["exec", "--json", ...allowed, "go"])
      assert.strictEqual(code, 0, stderr)
      assert.include(stdout, `"data":{"diff":"diff --git a/a.txt b/a.txt`)
      assert.strictEqual(content(), "new\n")
      assert.include(outputsTo(at, 1), "M a.txt\\nafter")
      assert.include(outputsTo(at, 1), `${Path.join(at.home, "bin")}:`)
    })
  )

  const probe = spawnSync(process.execPath, [bin, "sandbox", "--", "true"], { encoding: "utf8" })
  const reason = probe.status === 0 ? "" : ` (skipped: ${probe.stderr.trim()})`
  it.live.skipIf(probe.status !== 0)(`is confined as the command that runs it${reason}`, () =>
    Effect.gen(function* () {
      const written = yield* inWorld("sh script.sh")
      const { code, stdout } = yield* run(written.at, ["exec", "--json", "-s", "workspace-write", "go"])
      assert.deepStrictEqual([code, written.content()], [0, "new\n"])
      assert.include(stdout, `"data":{"diff":"diff --git a/a.txt b/a.txt`)
      const refused = yield* inWorld("sh script.sh")
      assert.strictEqual((yield* run(refused.at, ["exec", "-s", "read-only", "go"])).code, 0)
      assert.strictEqual(refused.content(), "old\n")
      assert.include(outputsTo(refused.at, 1), "no file was changed")
    })
  )

  it.live("says why a patch was not applied, and exits with 1", () =>
    Effect.gen(function* () {
      const { at, content } = yield* inWorld("true")
      const missing = yield* run(at, ["apply-patch", patch.replace("-old", "-none")])
      assert.deepStrictEqual([missing.code, missing.stdout, content()], [1, "", "old\n"])
      assert.include(missing.stderr, "The patch was not applied, and no file was changed.")
      const applied = yield* run(at, ["apply-patch", "--", patch])
      assert.deepStrictEqual([applied.code, applied.stdout], [0, "Success. Updated the following files:\nM a.txt\n"])
      assert.strictEqual(content(), "new\n")
    })
  )
})

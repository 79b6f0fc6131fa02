import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run, world } from "../fixtures/program.ts"

const hooksFile = (hooks: object) => JSON.stringify({ hooks })
const command = (text: string) => ({ hooks: [{ type: "command", command: text }] })

describe("spindle hooks", () => {
  it.live("lists the hooks, trusts those of the project, and a turn runs only trusted ones", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: ["one", "two", "three"].map((text) => ({ events: [{ text }] })) })
      const file = Path.join(at.cwd, ".spindle", "hooks.json")
      Fs.mkdirSync(Path.dirname(file))
      Fs.writeFileSync(file, hooksFile({ UserPromptSubmit: [command("echo from the project")] }))
      Fs.writeFileSync(
        Path.join(at.home, "hooks.json"),
        hooksFile({ UserPromptSubmit: [command("echo from the home")], Unheard: [] })
      )
      const mine = `UserPromptSubmit  *  runs  echo from the home  ${Path.join(at.home, "hooks.json")}\n`
      const before = yield* run(at, ["hooks", "list"])
      assert.strictEqual(before.stdout, `${mine}UserPromptSubmit  *  not trusted  echo from the project  ${file}\n`)
      assert.include(before.stderr, "hooks.json:1:")
      assert.include(before.stderr, "unknown hook event Unheard")
      assert.include(before.stderr, "run only after they were trusted: spindle hooks trust")
      const sent = (index: number) => JSON.stringify(at.server.requests[index]!.body.input)
      const first = yield* run(at, ["exec", "go"])
      assert.strictEqual(first.code, 0)
      assert.include(sent(0), "from the home")
      assert.notInclude(sent(0), "from the project")
      const trusted = yield* run(at, ["hooks", "trust"])
      assert.deepStrictEqual(
        [trusted.code, trusted.stdout],
        [0, `UserPromptSubmit  *  runs  echo from the project  ${file}\n`]
      )
      yield* run(at, ["exec", "go"])
      assert.include(sent(1), "from the project")
      Fs.appendFileSync(file, " ")
      assert.include((yield* run(at, ["hooks", "list"])).stdout, "not trusted")
      const config = Path.join(at.home, "config.toml")
      Fs.writeFileSync(config, `features.hooks = false\n${Fs.readFileSync(config, "utf8")}`)
      assert.include((yield* run(at, ["hooks", "list"])).stdout, "UserPromptSubmit  *  off")
      assert.strictEqual((yield* run(at, ["exec", "go"])).code, 0)
      assert.notInclude(sent(2), "from the home")
    }).pipe(Effect.scoped)
  )

  it.live("says that there is nothing to list or to trust, and what its commands are", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const listed = yield* run(at, ["hooks", "list"])
      assert.deepStrictEqual([listed.code, listed.stdout], [0, ""])
      assert.include(listed.stderr, "no hooks")
      const trusted = yield* run(at, ["hooks", "trust"])
      assert.strictEqual(trusted.code, 1)
      assert.include(trusted.stderr, "this project has no .spindle/hooks.json")
      const missing = yield* run(at, ["hooks"])
      assert.strictEqual(missing.code, 2)
      assert.include(missing.stderr, "a command is missing: list, trust (see spindle hooks --help)")
      assert.include((yield* run(at, ["hooks", "lst"])).stderr, 'unknown command "hooks lst"; did you mean list?')
      assert.include((yield* run(at, ["hooks", "--help"])).stdout, "spindle hooks trust")
    }).pipe(Effect.scoped)
  )
})

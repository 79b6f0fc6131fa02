import { tmpdir } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Processes } from "@spindle/core/Processes"
import { CommandEnvironment } from "../src/index.ts"
import { host, newId } from "./host.ts"

const variables = {
  PATH: "/usr/bin:/bin",
  HOME: "/home/me",
  LC_ALL: "C",
  EDITOR: "vi",
  UNSET: undefined,
  OPENAI_API_KEY: "sk-1",
  openrouter_api_key: "sk-2",
  AWS_ACCESS_KEY_ID: "AKIA",
  AWS_SECRET_ACCESS_KEY: "s3",
  AWS_SESSION_TOKEN: "s4",
  AWS_REGION: "eu-west-1",
  GITHUB_TOKEN: "s5",
  DB_PASSWORD: "s6",
  CLIENT_SECRET: "s7",
  GOOGLE_APPLICATION_CREDENTIALS: "/s8",
  KEYBOARD: "de",
  "A.B": "dot"
}

const names = (policy: CommandEnvironment.Policy) => Object.keys(CommandEnvironment.select(variables, policy)).join(" ")

describe("select", () => {
  it("leaves out what looks like a secret", () => {
    assert.strictEqual(names({ inherit: "all" }), "PATH HOME LC_ALL EDITOR AWS_REGION KEYBOARD A.B")
    assert.strictEqual(names({ inherit: "core" }), "PATH HOME LC_ALL")
    assert.strictEqual(names({ inherit: "none" }), "")
  })

  it("takes patterns in any case, and what is included is not excluded", () => {
    assert.strictEqual(names({ inherit: "none", include: ["path", "github_*"] }), "PATH GITHUB_TOKEN")
    assert.strictEqual(names({ inherit: "core", exclude: ["*"], include: ["A.B", "A*B"] }), "A.B")
    assert.strictEqual(names({ inherit: "core", exclude: ["A.B"] }), "PATH HOME LC_ALL")
    assert.include(names({ inherit: "all", exclude: [] }), "OPENAI_API_KEY")
  })

  it("adds what is set, and keeps only what a pattern allows", () => {
    const set = { HOME: "/other", MORE_TOKEN: "given" }
    const selected = CommandEnvironment.select(variables, { inherit: "core", set })
    assert.deepStrictEqual(selected, { PATH: "/usr/bin:/bin", HOME: "/other", LC_ALL: "C", MORE_TOKEN: "given" })
    assert.strictEqual(names({ inherit: "all", set, only: ["home", "MORE_*", "EDITOR"] }), "HOME EDITOR MORE_TOKEN")
    assert.strictEqual(names({ inherit: "all", only: [] }), "")
  })
})

describe("commands", () => {
  const printed = (policy: CommandEnvironment.Policy | undefined) =>
    Effect.gen(function* () {
      const child = yield* (yield* Processes).start({
        processId: newId(),
        command: ["env"],
        cwd: tmpdir(),
        env: { EXPLICIT_TOKEN: "given" }
      })
      const text = yield* Stream.mkString(Stream.decodeText(child.output))
      return text.split("\n").map((line) => line.split("=")[0]!)
    }).pipe(
      Effect.provide(
        host.pipe(
          Layer.provide(Layer.succeed(CommandEnvironment.HostVariables, () => variables)),
          Layer.provide(
            policy === undefined ? Layer.empty : Layer.succeed(CommandEnvironment.CommandEnvironment, policy)
          )
        )
      )
    )

  it.live("get no secret of this program, and what they are given", () =>
    Effect.gen(function* () {
      const all = yield* printed(undefined)
      assert.includeMembers(all, ["PATH", "HOME", "EDITOR", "SPINDLE_PROCESS", "EXPLICIT_TOKEN"])
      assert.notInclude(all.join(" "), "API_KEY")
      assert.notInclude(all.join(" "), "AWS_SECRET")
      const none = yield* printed({ inherit: "none", include: ["PATH"] })
      assert.includeMembers(none, ["PATH", "SPINDLE_PROCESS", "EXPLICIT_TOKEN"])
      assert.notInclude(none, "EDITOR")
    })
  )
})

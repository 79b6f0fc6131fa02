import { assert, describe, it } from "@effect/vitest"
import * as CommandEnvironment from "@spindle/tools/CommandEnvironment"
import * as Commands from "../../src/settings/commands.ts"
import * as Table from "../../src/settings/table.ts"

const read = (toml: string) => {
  const parsed = Table.parse(toml)
  assert("table" in parsed)
  const wrongType = (source: string, key: string, expected: string): never => {
    throw new Error(`${source}: ${key} must be ${expected}`)
  }
  return Commands.read(Table.make([{ source: "config.toml", table: parsed.table }], wrongType))
}

const variables = { PATH: "/bin", HOME: "/me", EDITOR: "vi", AWS_TOKEN: "s", AWS_REGION: "r" }
const namesOf = (toml: string) =>
  Object.keys(CommandEnvironment.select(variables, read(`[shell_environment_policy]\n${toml}`).environment)).join(" ")

describe("shell_environment_policy", () => {
  it("inherits all variables but secrets by default, and reads the profile of the user", () => {
    assert.strictEqual(namesOf(""), "PATH HOME EDITOR AWS_REGION")
    assert.isTrue(read("").allowsLoginShell)
    assert.isFalse(read("allow_login_shell = false").allowsLoginShell)
  })

  it("has the keys of the reference's configuration", () => {
    assert.strictEqual(namesOf('inherit = "core"'), "PATH HOME")
    assert.strictEqual(namesOf('inherit = "none"\nset = { CI = "1" }'), "CI")
    assert.strictEqual(namesOf("ignore_default_excludes = true"), "PATH HOME EDITOR AWS_TOKEN AWS_REGION")
    assert.strictEqual(namesOf('ignore_default_excludes = true\nexclude = ["AWS_*"]'), "PATH HOME EDITOR")
    assert.strictEqual(namesOf('include_only = ["PATH", "AWS_*"]'), "PATH AWS_REGION")
    assert.strictEqual(namesOf("include_only = []"), "PATH HOME EDITOR AWS_REGION")
  })

  it("is refused with the key and what it must be", () => {
    assert.throws(() => namesOf('inherit = "some"'), /shell_environment_policy\.inherit must be/)
    assert.throws(() => namesOf('exclude = "AWS_*"'), /shell_environment_policy\.exclude must be/)
  })
})

describe("background_terminal_max_timeout", () => {
  it("is the longest wait for a command in the background, in milliseconds", () => {
    assert.isUndefined(read("").maxPollMillis)
    assert.strictEqual(read("background_terminal_max_timeout = 600000").maxPollMillis, 600_000)
    assert.throws(() => read('background_terminal_max_timeout = "long"'), /background_terminal_max_timeout must be/)
  })
})

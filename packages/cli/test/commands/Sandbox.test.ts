import { assert, describe, it } from "@effect/vitest"
import { table } from "../../src/commands/Sandbox.ts"

describe("table", () => {
  it("names each attempt, how it ended, and the sum", () => {
    const held = { name: "write a file outside", held: true, detail: "Read-only file system" }
    const open = { name: "leave", held: false, detail: "the command succeeded\u001b[2J" }
    assert.strictEqual(
      table([held, { ...open, held: true, detail: "" }]),
      "held  write a file outside  Read-only file system\nheld  leave\nThe sandbox held against 2 attempts.\n"
    )
    const [, line, sum] = table([held, open]).split("\n")
    assert.match(line!, /^OPEN {2}leave {17}the command succeeded/)
    assert.notInclude(line, "\u001b")
    assert.strictEqual(sum, "1 of 2 attempts got out of the sandbox.")
  })
})

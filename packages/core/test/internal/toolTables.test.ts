import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import type { ToolSource } from "@spindle/core/ToolSource"
import * as Tools from "@spindle/core/Tools"
import * as Local from "@spindle/core/Local"
import { Effect } from "effect"
import { Tool } from "effect/ai"
import * as ToolTables from "../../src/internal/toolTables.ts"

const sourceOf = (name: string): ToolSource => {
  const table = Tools.make([{ tool: Tool.make(name), run: () => Effect.void }])
  return { name, table: () => table }
}

describe("an unchanged table of tools", () => {
  it.each([
    ["of the toolkit alone", []],
    ["of three sources", ["a", "b", "c"].map(sourceOf)]
  ] as const)("%s costs a request no memory", (_, sources) => {
    const tables = ToolTables.make(Agent.make({ sources }))({ locals: new Local.Locals() }).forTurn(() => Effect.void)
    const first = tables.next()
    const count = 50_000
    // the first rounds compile code; a round in which the collector ran says nothing
    let least = Infinity
    for (let round = 0; round < 40 && least >= 1; round++) {
      const before = process.memoryUsage().heapUsed
      for (let request = 0; request < count; request++) if (tables.next() !== first) assert.fail("another table")
      const bytes = (process.memoryUsage().heapUsed - before) / count
      if (bytes >= 0) least = Math.min(least, bytes)
    }
    assert.isBelow(least, 1, "bytes a request")
  })
})

import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Measured } from "./fixtures/memory.ts"

/** Runs the program in a separate process, whose heap holds nothing else. */
const measured = async (
  kind: "sessions" | "turns" | "idle",
  journal: "memory" | "file",
  count: number
): Promise<Measured> => {
  const directory = mkdtempSync(join(tmpdir(), "spindle-memory-"))
  const program = join(import.meta.dirname, "fixtures/memory.ts")
  const args = [
    "--expose-gc",
    "--single-threaded-gc",
    "--conditions=spindle-source",
    program,
    kind,
    journal,
    `${count}`,
    directory
  ]
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args)
    return JSON.parse(stdout)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * Bounded: code that is still being compiled stays within these limits. A session that is never freed (its journal
 * alone takes some 3,000 bytes) or a turn whose items are never freed (some 700) does not.
 * `npm run soak` runs 10,000 sessions and 100,000 turns against much closer limits.
 */
describe("the heap after collections", () => {
  for (const [kind, journal, count, limitBytes] of [
    ["sessions", "memory", 500, 2_500],
    ["turns", "memory", 3_000, 120],
    ["turns", "file", 2_000, 200]
  ] as const) {
    it(`S8 does not grow over ${count} ${kind}, with the journal in ${journal}`, async () => {
      const { bytesPerOne, samples } = await measured(kind, journal, count)
      assert.isAtLeast(samples.length, 20)
      assert.isAtMost(bytesPerOne, limitBytes, JSON.stringify(samples))
    })
  }
})

describe("an idle session", () => {
  it("S8 takes at most 16 KB, including its journal in memory", async () => {
    const { bytesPerOne, samples } = await measured("idle", "memory", 400)
    assert.isAtMost(bytesPerOne, 16_384, JSON.stringify(samples))
  })
})

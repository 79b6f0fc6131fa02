// `npm run soak`: checks that memory does not grow (contract S8) over sessions that are opened and closed, and over turns in one session, with the
// journal in memory and in files. Prints a table, and exits with 1 if a slope is not flat. The bounded version is a test of core.
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { root } from "./workspace.mjs"

// for scale: a session of which the journal is kept costs some 3,000 bytes, a turn of which the items are kept some 700. A journal file remembers one
// position for 256 records.
const programs = [
  { kind: "sessions", journal: "memory", count: 10_000, limitBytes: 100 },
  { kind: "sessions", journal: "file", count: 10_000, limitBytes: 100 },
  { kind: "turns", journal: "memory", count: 100_000, limitBytes: 20 },
  { kind: "turns", journal: "file", count: 100_000, limitBytes: 20 }
]

const measure = async ({ kind, journal, count }) => {
  const directory = mkdtempSync(join(tmpdir(), "spindle-soak-"))
  const program = join(root, "packages/core/test/fixtures/memory.ts")
  const args = ["--expose-gc", "--conditions=spindle-source", program, kind, journal, `${count}`, directory]
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
    return JSON.parse(stdout)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(2)
const row = (...cells) =>
  cells.map((cell, index) => (index < 2 ? `${cell}`.padEnd(9) : `${cell}`.padStart(11))).join(" ")

console.log(row("what", "journal", "count", "first MB", "last MB", "B for one", "at most", "seconds", ""))
let failed = 0
for (const program of programs) {
  const { bytesPerOne, samples, seconds } = await measure(program)
  const isFlat = bytesPerOne <= program.limitBytes
  if (!isFlat) failed++
  const { kind, journal, count, limitBytes } = program
  const levels = [megabytes(samples[0]), megabytes(samples.at(-1))]
  const cells = [kind, journal, count, ...levels, bytesPerOne.toFixed(1), limitBytes, seconds.toFixed(0)]
  console.log(row(...cells, isFlat ? "flat" : "NOT FLAT"))
}
console.log(`${programs.length - failed} of ${programs.length} flat`)
process.exit(failed === 0 ? 0 : 1)

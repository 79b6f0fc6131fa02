// npm exec -- node bench/tools/patch.mjs [--hunks 1000] [--lines 100000] [--reps 5]     patches of many hunks in long files
// Parses the patch and applies it to a file on disk, beginning with the check. The ways of matching alternate. Needs the build.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as ApplyPatch from "@spindle/tools/ApplyPatch"
import { Effect } from "effect"

const { values: options } = parseArgs({
  options: {
    hunks: { type: "string", default: "1000" },
    lines: { type: "string", default: "100000" },
    reps: { type: "string", default: "5" }
  }
})
const [hunks, lines, reps] = [options.hunks, options.lines, options.reps].map(Number)

const ways = {
  "exact lines": (text) => text,
  "other white space": (text) => `  ${text} `,
  "other dashes": (text) => text.replace("-", "\u2013")
}

const patchOf = ({ count, every, written }) =>
  [
    "*** Begin Patch",
    "*** Update File: file",
    ...Array.from({ length: count }, (_, index) => index * every).flatMap((line) => [
      "@@",
      ` ${written(`line - ${line}`)}`,
      `-${written(`line - ${line + 1}`)}`,
      "+changed"
    ]),
    "*** End Patch"
  ].join("\n")

const directory = mkdtempSync(join(tmpdir(), "patch-"))
const file = join(directory, "file")

const measure = async ({ count, length, written }) => {
  writeFileSync(file, Array.from({ length }, (_, index) => `line - ${index}\n`).join(""))
  const input = patchOf({ count, every: Math.floor(length / count), written })
  const begin = performance.now()
  await Effect.runPromise(Effect.provide(ApplyPatch.apply(input, { cwd: directory }), NodeServices.layer))
  const millis = performance.now() - begin
  if (readFileSync(file, "utf8").split("changed\n").length !== count + 1) throw new Error("the patch was not applied")
  return millis
}

const sizes = [
  [hunks, lines],
  [hunks, lines / 2],
  [hunks / 2, lines],
  [1, lines]
]
const rows = sizes.flatMap(([count, length]) =>
  Object.entries(ways).map(([way, written]) => ({ way, count, length, written, times: [] }))
)
for (let rep = 0; rep <= reps; rep++) {
  for (const row of rows) {
    const millis = await measure(row)
    // the first round warms up
    if (rep > 0) row.times.push(millis)
  }
}
rmSync(directory, { recursive: true })

console.log("| hunks | lines | match | median | most |\n| --- | --- | --- | --- | --- |")
for (const { count, length, times, way } of rows) {
  times.sort((one, two) => one - two)
  const show = (millis) => `${millis.toFixed(0)} ms`
  console.log(`| ${count} | ${length} | ${way} | ${show(times[Math.floor(reps / 2)])} | ${show(times.at(-1))} |`)
}

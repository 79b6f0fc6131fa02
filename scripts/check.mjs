// `npm test`: runs all checks of the repository. Each step prints its name and time, and its output if it fails. The last line is `N passed, N failed`, which
// counts steps and tests together. Steps up to the bundle run one after the other. Those that are left run one by one next to the tests, which often wait for
// a process or a clock.
// `npm run check` (`--changed`) is quick: lint, types, and the test files that are nearest to the uncommitted changes, see tests/nearTests.mjs.
import { spawn } from "node:child_process"
import { mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { nearTests } from "./tests/nearTests.mjs"
import { root } from "./workspace.mjs"

const isShort = process.argv.includes("--changed")
const node = process.execPath
const tool = (...path) => join(root, "node_modules", ...path)
const script = (name) => [node, join(root, "scripts", name)]

// `after`: needs another step, the build or one that needs the build itself; `isLong`: left out with --changed
const build = "types, Effect diagnostics"
const steps = [
  { name: "lint, imports in circles", run: [node, tool("oxlint/bin/oxlint"), "--deny-warnings"] },
  { name: "format", run: [node, tool("oxfmt/bin/oxfmt"), "--check"] },
  { name: "sizes", run: script("sizes.mjs") },
  { name: "levels", run: script("levels.mjs") },
  { name: "language", run: script("language.mjs") },
  { name: "contract", run: [...script("contract.mjs"), "--check"] },
  { name: build, run: script("types.mjs") },
  { name: "bundle", run: script("bundle.mjs"), after: build, isLong: true },
  { name: "packed packages", run: script("packed.mjs"), after: "bundle", isLong: true },
  { name: "examples", run: script("examples.mjs"), after: build, isLong: true },
  {
    name: "API documentation",
    run: [node, join(root, "tools/docs/write.mjs"), "--check"],
    after: build,
    isLong: true
  },
  {
    name: "packages of a consumer",
    run: [node, join(root, "tools/consumer/check.mjs")],
    after: "packed packages",
    isLong: true
  }
].filter(({ isLong }) => !(isShort && isLong))

const env = {
  ...process.env,
  // the tests start several hundred programs of Node, most of them from the same sources
  NODE_COMPILE_CACHE: join(root, "build/compileCache"),
  // a file or a pipe gets no colours
  ...(process.stdout.isTTY ? {} : { NO_COLOR: "1", FORCE_COLOR: "0" })
}

/** Runs a program. Collects its output, or shows it as it comes. */
const execute = ([command, ...args], { isShown = false } = {}) =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env,
      stdio: ["ignore", isShown ? "inherit" : "pipe", isShown ? "inherit" : "pipe"]
    })
    let output = ""
    child.stdout?.on("data", (data) => (output += data))
    child.stderr?.on("data", (data) => (output += data))
    child.on("error", (error) => resolve({ code: 1, output: String(error) }))
    child.on("close", (code) => resolve({ code: code ?? 1, output }))
  })

const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`.padStart(8)
const fitsOneLine = (output) => output.length < 200 && output.split("\n").length <= 1

const started = performance.now()
let passed = 0
let failed = 0
/** Whether a step passed, by name. */
const results = new Map()

const runStep = async ({ after, name, run }) => {
  const from = performance.now()
  if (after !== undefined && results.get(after) !== true) {
    failed++
    console.log(`FAILED ${name.padEnd(26)} not run, needs: ${after}`)
    return false
  }
  const { code, output } = await execute(run)
  const text = output.trim()
  if (code === 0) passed++
  else failed++
  const note = fitsOneLine(text) ? text : ""
  console.log(`${code === 0 ? "ok    " : "FAILED"} ${name.padEnd(26)} ${seconds(from)}  ${note}`)
  if (code !== 0 && note === "") console.log(`${text.replace(/^/gm, "    ")}\n`)
  return code === 0
}

/** Runs steps in order. A step comes later in the list than the one that it needs. */
const runSteps = async (all) => {
  for (const step of all) results.set(step.name, await runStep(step))
}

// the tests of the program need its bundle; the short list of tests starts at once
const isBeforeTests = ({ after, name }) => !isShort && (after === undefined || name === "bundle")
await runSteps(steps.filter(isBeforeTests))
const nextToTests = runSteps(steps.filter((step) => !isBeforeTests(step)))

/** The tests of `npm run check`; undefined for all tests. */
const near = isShort ? nearTests() : undefined
const testResults = join(root, isShort ? "build/nearTests.json" : "build/tests.json")
mkdirSync(join(root, "build"), { recursive: true })
rmSync(testResults, { force: true })
const vitest = [
  tool("vitest/vitest.mjs"),
  "run",
  "--config",
  "vitest.workspace.ts",
  `--reporter=${join(root, "scripts/tests/packageReporter.mjs")}`,
  "--reporter=minimal",
  "--reporter=json",
  `--outputFile.json=${testResults}`
]
const noTests = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] }
let code = 0
let tests = noTests
if (near === undefined || near.chosen.length > 0) {
  ;({ code } = await execute([node, ...vitest, ...(near?.chosen ?? [])], { isShown: true }))
  try {
    tests = JSON.parse(readFileSync(testResults, "utf8"))
  } catch (error) {
    console.log(`the tests left no results: ${error.message}`)
  }
}
await nextToTests
// a run can also fail because a file does not load, or because of an error outside of tests
const broken = tests.testResults.filter(
  ({ assertionResults, status }) => status === "failed" && assertionResults.length === 0
)
const failedTests = tests.numFailedTests + broken.length
passed += tests.numPassedTests
failed += code !== 0 && failedTests === 0 ? 1 : failedTests
const left = tests.numPendingTests + tests.numTodoTests
console.log(
  `${steps.length} checks and ${tests.numPassedTests + tests.numFailedTests} tests in${seconds(started)}${left > 0 ? `, ${left} tests skipped` : ""}`
)
if (near !== undefined) {
  console.log(
    `ran the ${near.chosen.length} test files nearest to the changes, not ${near.farCount} others and ${near.slowCount} slow ones that reach them; all: npm run unit -- --changed`
  )
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)

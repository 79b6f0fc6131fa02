// Checks the examples of the documentation and of `examples/` as programs. CONTRIBUTING.md says which blocks count, and which of them run. Needs the
// build: examples see the packages as their users do.
import { spawn } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { files, packages, read, report, root } from "./workspace.mjs"

const folder = join(root, "build/examples")
/** For all programs together, on busy cores. */
const runLimitMillis = 300_000

/** Returns the fenced `ts` blocks of a Markdown text: first line, words after `ts`, code. */
const blocksOf = (text) => {
  const blocks = []
  let open
  text.split("\n").forEach((line, index) => {
    const fence = /^\s*```(.*)$/.exec(line)
    if (fence === null) open?.code.push(line)
    else if (open === undefined) open = { line: index + 2, info: fence[1].trim().split(/\s+/), code: [] }
    else {
      if (open.info[0] === "ts") blocks.push({ line: open.line, info: open.info.slice(1), code: open.code.join("\n") })
      open = undefined
    }
  })
  return blocks
}

/** Returns the same for the `@example` parts of the doc comments of a source. Everything else is blanked, so that line numbers stay. */
const exampleText = (source) => {
  let inComment = false
  let inExample = false
  return source
    .split("\n")
    .map((line) => {
      if (/^\s*\/\*\*/.test(line)) inComment = true
      const body = /^\s*\*( ?)(.*)$/.exec(line)?.[2] ?? ""
      if (inComment && /^@\w/.test(body)) inExample = body.startsWith("@example")
      const kept = inComment && inExample && body !== "/" ? body : ""
      if (line.includes("*/")) inComment = inExample = false
      return kept
    })
    .join("\n")
}

const isExample = (code) => /from "(@spindle\/|effect["/])/.test(code)
const runs = ({ code, info }) => !info.includes("no-run") && /\bconsole\.log\(|\bassert\b/.test(code)

const documents = ["README.md", ...packages.map(({ name }) => `packages/${name}/README.md`)]
  .filter((path) => files(path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".").includes(path))
  .concat(
    ["docs", ...packages.map(({ name }) => `packages/${name}/docs`)].flatMap((folder) =>
      files(folder, (path) => path.endsWith(".md"))
    )
  )
const sources = packages.flatMap(({ name }) => files(`packages/${name}/src`, (path) => path.endsWith(".ts")))
const found = [
  ...documents.flatMap((path) => blocksOf(read(path)).map((block) => ({ path, ...block }))),
  ...sources.flatMap((path) => blocksOf(exampleText(read(path))).map((block) => ({ path, ...block })))
].filter(({ code }) => isExample(code))
const programs = files("examples", (path) => path.endsWith(".ts"))
const programLimit = 60
// a folder is a program of several files, which a test starts
const isProgram = (path) => path.split("/").length === 2

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const examples = found.map((example) => {
  const stem = example.path
    .replace(/^packages\//, "")
    .replace(/\.(md|ts)$/, "")
    .replace(/\W+/g, "-")
  const file = `${stem}-${example.line}.ts`
  writeFileSync(join(folder, file), `${example.code}\nexport {}\n`)
  return { ...example, file }
})
writeFileSync(
  join(folder, "tsconfig.json"),
  JSON.stringify({
    extends: "../../tsconfig.base.json",
    include: ["*.ts", "../../examples/**/*.ts"],
    compilerOptions: {
      composite: false,
      incremental: false,
      declarationMap: false,
      sourceMap: false,
      noEmit: true,
      rootDir: "../..",
      types: ["node"],
      noUnusedLocals: false,
      noUnusedParameters: false
    }
  })
)

const run = (command, args, limit) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    const timer = setTimeout(() => child.kill("SIGKILL"), limit)
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (data) => (stdout += data))
    child.stderr.on("data", (data) => (stderr += data))
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr })
    })
  })

const problems = programs.flatMap((path) => {
  const count = read(path).trimEnd().split("\n").length
  return count > programLimit ? [`${path}: has ${count} lines, the limit is ${programLimit}`] : []
})
if (examples.length + programs.length > 0) {
  const compiler = join(root, "node_modules/typescript/bin/tsc")
  const checked = await run(process.execPath, [compiler, "-p", folder], 120_000)
  if (checked.code !== 0) {
    const named = examples.reduce(
      (text, { file, path, line }) => text.replaceAll(`build/examples/${file}`, `${path} (block at line ${line})`),
      checked.stdout + checked.stderr
    )
    problems.push(named)
  }
}
const runnable = [
  ...examples.filter(runs).map((example) => ({ ...example, run: join(folder, example.file) })),
  ...programs.filter(isProgram).map((path) => ({ path, line: 1, code: read(path), run: join(root, path) }))
]
if (problems.length === 0) {
  const args = [join(root, "scripts/runExamples.mjs"), ...runnable.map(({ run }) => run)]
  const all = await run(process.execPath, args, runLimitMillis)
  const results = all.stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line))
  for (const [index, { path, line, code }] of runnable.entries()) {
    const result = results[index]
    // the process ended, or the program before this one does not end
    if (result === undefined) {
      problems.push(`${path}:${line}: did not run to its end: ${all.signal ?? all.code}\n${all.stderr}`)
      break
    }
    const wanted = Array.from(code.matchAll(/^\s*\/\/ prints: (.*)$/gm), (match) => match[1])
    const printed = result.printed.trimEnd().split("\n")
    if (result.error !== undefined) {
      problems.push(`${path}:${line}: failed\n${result.printed}${result.error}`)
    } else if (wanted.length > 0 && wanted.join("\n") !== printed.join("\n")) {
      problems.push(`${path}:${line}: should print\n${wanted.join("\n")}\nbut prints\n${printed.join("\n")}`)
    }
  }
}
report(problems, `${examples.length + programs.length} examples type-check, ${runnable.length} of them ran`)

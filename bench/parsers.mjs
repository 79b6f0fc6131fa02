// What the parsers of Effect cost in place of those of the program (decisions 80 and 85), in three tables:
//
// 1. the start of a small bundle that reads a TOML file;
// 2. the start of the program's bundle, which reads its configuration, with either parser;
// 3. reading the lines of a journal, with the reader of core and with `effect/encoding/Ndjson`.
//
// Each start is a process, and the two alternate. Prints medians, with the least and the most.
import { execFileSync } from "node:child_process"
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Ndjson from "effect/encoding/Ndjson"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { build } from "esbuild"
import { LineSplitter } from "../packages/core/src/journal/lines.ts"

const starts = 20
const reads = 40
const root = fileURLToPath(new URL("..", import.meta.url))
const text = 'model = "gpt"\n[mcp_servers.docs]\ncommand = "docs"\nargs = ["--stdio"]\n'
const names = ["smol-toml (the program's)", "effect/encoding/Toml"]

const directory = mkdtempSync(join(tmpdir(), "parsers-"))
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const show = (values) =>
  `${median(values).toFixed(1)} [${Math.min(...values).toFixed(1)}-${Math.max(...values).toFixed(1)}]`

/** Starts the bundles in turn, and prints what each start took. `timesOf` returns milliseconds of processor and elapsed time. */
const compare = (title, timesOf) => {
  const times = names.map(() => [])
  for (let start = 0; start < starts; start++) {
    for (const [index, own] of times.entries()) own.push(timesOf(index))
  }
  console.log(`${title}: ms of processor, ms elapsed; median of ${starts} [least-most]`)
  for (const [index, own] of times.entries()) {
    console.log(`${names[index]}: ${show(own.map(([cpu]) => cpu))}, ${show(own.map(([, elapsed]) => elapsed))}`)
  }
}

// both load the part of Effect that the program loads anyway
const readers = [
  'import { parse } from "smol-toml"\nconst read = (text) => Effect.try(() => parse(text))',
  'import * as Toml from "effect/encoding/Toml"\nconst read = (text) => Toml.parse(text)'
]
const smallEntry = (reader) => `import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
${reader}
const value = read(${JSON.stringify(text)})
const table = Effect.isEffect(value) ? Effect.runSync(value) : (value.success ?? value)
if (!Schema.is(Schema.Struct({ model: Schema.String }))(table)) throw new Error("the file was not read")
const { system, user } = process.cpuUsage()
process.stdout.write(JSON.stringify([(system + user) / 1000, performance.now()]))`

const smallBundles = async () => {
  const files = readers.map((_, index) => join(directory, `small-${index}.cjs`))
  for (const [index, reader] of readers.entries()) {
    const stdin = { contents: smallEntry(reader), resolveDir: join(root, "packages/app") }
    await build({ stdin, outfile: files[index], bundle: true, platform: "node", target: "node22", minify: true })
  }
  compare("small bundle", (index) => JSON.parse(execFileSync(process.execPath, [files[index]])))
}

/** Puts the parser of Effect in the place of the program's. It cannot write TOML. */
const effectToml = {
  name: "effect-toml",
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /^smol-toml$/ }, () => ({ path: "smol-toml", namespace: "effect-toml" }))
    onLoad({ filter: /.*/, namespace: "effect-toml" }, () => ({
      resolveDir: join(root, "packages/app"),
      contents: `import * as Toml from "effect/encoding/Toml"
export class TomlError extends Error {}
export const parse = (text) => {
  const result = Toml.parse(text)
  if (result._tag === "Failure") throw new TomlError(String(result.failure))
  return result.success
}
export const stringify = () => { throw new Error("effect/encoding/Toml writes no TOML") }`
    }))
  }
}

const programBundles = async () => {
  const home = join(directory, "home")
  mkdirSync(home)
  writeFileSync(join(home, "config.toml"), text)
  const files = names.map((_, index) => join(directory, `program-${index}.cjs`))
  for (const [index, outfile] of files.entries()) {
    await build({
      entryPoints: [join(root, "packages/cli/src/main.ts")],
      outfile,
      bundle: true,
      platform: "node",
      target: "node22",
      format: "cjs",
      minifyWhitespace: true,
      minifySyntax: true,
      conditions: ["spindle-source"],
      define: { __SPINDLE_VERSION__: '"0.0.0"', "import.meta.url": "__moduleUrl" },
      banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
      external: ["undici", "@lydell/node-pty"],
      plugins: index === 0 ? [] : [effectToml],
      logLevel: "error"
    })
  }
  // its end reports what it took
  const preload = join(directory, "preload.cjs")
  writeFileSync(
    preload,
    `process.on("exit", () => {
  const { system, user } = process.cpuUsage()
  process.stderr.write(JSON.stringify([(system + user) / 1000, performance.now()]))
})`
  )
  const env = { ...process.env, SPINDLE_HOME: home, HOME: home, NODE_COMPILE_CACHE: join(directory, "cache") }
  const start = (index) => {
    const args = [process.execPath, "--require", preload, files[index], "features", "list"]
    // the times are on standard error, and the features on standard output
    const [program, ...rest] = ["sh", "-c", '"$@" 3>&1 >/dev/null 2>&3', "sh", ...args]
    return JSON.parse(execFileSync(program, rest, { env, encoding: "utf8" }).trim().split("\n").at(-1))
  }
  // fills the cache of compiled code
  for (const index of files.keys()) start(index)
  compare("the program's bundle, features list", start)
}

const journalLines = async () => {
  const count = 10_000
  const line = (seq) =>
    JSON.stringify({ v: 2, seq, at: 1_700_000_000_000 + seq, _tag: "Warning", message: "something to read ".repeat(8) })
  const bytes = new TextEncoder().encode(Array.from({ length: count }, (_, seq) => `${line(seq)}\n`).join(""))
  const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, index) =>
    bytes.subarray(index * 65_536, (index + 1) * 65_536)
  )
  const decoder = new TextDecoder()
  const own = async () => {
    let found = 0
    const splitter = new LineSplitter((one) => void (found += JSON.parse(decoder.decode(one.bytes)).v / 2))
    for (const chunk of chunks) splitter.push(chunk)
    splitter.finish()
    return found
  }
  const ofEffect = () =>
    Effect.runPromise(
      Stream.fromIterable(chunks).pipe(
        Stream.pipeThroughChannel(Ndjson.decode()),
        Stream.runFold(
          () => 0,
          (found, record) => found + record.v / 2
        )
      )
    )
  const readers = { "the reader of core": own, "effect/encoding/Ndjson": ofEffect }
  const times = Object.keys(readers).map(() => [])
  for (let read = 0; read < reads; read++) {
    for (const [index, reader] of Object.values(readers).entries()) {
      const from = process.cpuUsage()
      if ((await reader()) !== count) throw new Error("not every line was read")
      const { system, user } = process.cpuUsage(from)
      times[index].push((system + user) / 1000)
    }
  }
  console.log(`${count} lines, ${(bytes.length / 1e6).toFixed(1)} MB: ms of processor; median of ${reads} [least-most]`)
  for (const [index, name] of Object.keys(readers).entries()) console.log(`${name}: ${show(times[index])}`)
}

try {
  await smallBundles()
  await programBundles()
  await journalLines()
} finally {
  rmSync(directory, { recursive: true, force: true })
}

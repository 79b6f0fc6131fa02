// The start of a bundle that reads a TOML file, with the parser that the program has and with that of Effect (decision 80). Each start is a process, and
// the two alternate. Prints the processor time until the file is read, and its elapsed time.
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const starts = 20
const root = fileURLToPath(new URL("..", import.meta.url))
const text = 'model = "gpt"\n[mcp_servers.docs]\ncommand = "docs"\nargs = ["--stdio"]\n'

// both load the part of Effect that the program loads anyway
const parsers = {
  "smol-toml (the program's)":
    'import { parse } from "smol-toml"\nconst read = (text) => Effect.try(() => parse(text))',
  "effect/encoding/Toml": 'import * as Toml from "effect/encoding/Toml"\nconst read = (text) => Toml.parse(text)'
}
const entryOf = (parser) => `import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
${parser}
const value = read(${JSON.stringify(text)})
const table = Effect.isEffect(value) ? Effect.runSync(value) : (value.success ?? value)
if (!Schema.is(Schema.Struct({ model: Schema.String }))(table)) throw new Error("the file was not read")
const { system, user } = process.cpuUsage()
process.stdout.write(JSON.stringify([(system + user) / 1000, performance.now()]))`

const directory = mkdtempSync(join(tmpdir(), "parsers-"))
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const show = (values) =>
  `${median(values).toFixed(1)} [${Math.min(...values).toFixed(1)}-${Math.max(...values).toFixed(1)}]`
try {
  const bundles = await Promise.all(
    Object.entries(parsers).map(async ([name, parser], index) => {
      const outfile = join(directory, `${index}.cjs`)
      const stdin = { contents: entryOf(parser), resolveDir: join(root, "packages/app") }
      await build({ stdin, outfile, bundle: true, platform: "node", format: "cjs", target: "node22", minify: true })
      return { name, outfile, times: [] }
    })
  )
  for (let start = 0; start < starts; start++) {
    for (const { outfile, times } of bundles) times.push(JSON.parse(execFileSync(process.execPath, [outfile])))
  }
  console.log("parser: ms of processor, ms elapsed; median of", starts, "[least-most]")
  for (const { name, times } of bundles) {
    console.log(`${name}: ${show(times.map(([cpu]) => cpu))}, ${show(times.map(([, elapsed]) => elapsed))}`)
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}

// Prints the mutants of the sources as Markdown tables: the text of each marker, and the test that finds it (decisions 20 and 23).
import { mutantsOf, sourcesOfWorkspace } from "../packages/core/test/explore/mutantMarkers.ts"
import { mutants as ofCore } from "../packages/core/test/explore/mutants.ts"
import { mutants as ofApp } from "../packages/app/test/explore/mutants.ts"
import { mutants as ofDelegates } from "../packages/delegate/test/explore/mutants.ts"
import { mutants as ofMcp } from "../packages/mcp/test/explore/mutants.ts"
import { mutants as ofKeys } from "../packages/openai/test/explore/mutants.ts"
import { mutants as ofTools } from "../packages/tools/test/explore/mutants.ts"

const mutants = mutantsOf(sourcesOfWorkspace())
const shown = { program: "a drawn program", trees: "random trees" }

/** Prints the rows of one table. A row without a marker is left out; a test fails on it. */
const print = (title, table) => {
  const rows = Object.entries(table).flatMap(([name, { by }]) => {
    if (mutants[name] === undefined) return []
    const { clause, files, reason } = mutants[name]
    const places = files.map((file) => `\`${file}\``).join(", ")
    return [`| \`${name}\` | ${clause} | ${reason.replaceAll("|", "\\|")} | ${places} | ${shown[by] ?? `\`${by}\``} |`]
  })
  console.log(`## ${title}\n\n${rows.length} mutants.\n`)
  console.log(
    "| name | clause | what does not hold | file below `packages` | found by |\n| --- | --- | --- | --- | --- |"
  )
  console.log(`${rows.join("\n")}\n`)
}

print("Mutants of core", ofCore)
print("Mutants that delegates need", ofDelegates)
print("Mutants of MCP servers", ofMcp)
print("Mutants of keys that change", ofKeys)
print("Mutants that the tasks of the application need", ofApp)
print("Mutants of the restoration of files", ofTools)

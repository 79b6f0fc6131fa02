// Prints the mutants of the sources as Markdown tables: the text of each marker, and the test that finds it (decisions 20 and 23).
import { mutantsOf, sourcesOfWorkspace } from "../packages/core/test/explore/mutantMarkers.ts"
import { mutantTables } from "./tests/mutantTables.ts"

const mutants = mutantsOf(sourcesOfWorkspace())
const shown = { program: "a drawn program", trees: "random trees" }

/** Prints the rows of one table. A row without a marker is left out; a test fails on it. */
const print = (title, table) => {
  const rows = Object.entries(table).flatMap(([name, { by }]) => {
    if (mutants[name] === undefined) return []
    const { clause, edits, reason } = mutants[name]
    const places = Object.keys(edits)
      .map((file) => `\`${file}\``)
      .join(", ")
    return [`| \`${name}\` | ${clause} | ${reason.replaceAll("|", "\\|")} | ${places} | ${shown[by] ?? `\`${by}\``} |`]
  })
  console.log(`## ${title}\n\n${rows.length} mutants.\n`)
  console.log(
    "| name | clause | what does not hold | file below `packages` | found by |\n| --- | --- | --- | --- | --- |"
  )
  console.log(`${rows.join("\n")}\n`)
}

for (const [title, table] of Object.entries(mutantTables)) print(title, table)

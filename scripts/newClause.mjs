// npm run new:clause -- I11 "An abort ..."
// Adds a clause to its section of docs/contract.md, and the stub of its test to packages/core/test. See packages/core/test/README.md.
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { clausesOf } from "./contract.mjs"
import { read, root } from "./workspace.mjs"

const [number, sentence] = process.argv.slice(2)
const fail = (text) => {
  console.error(text)
  process.exit(64)
}
if (!/^[A-Z]\d+$/.test(number ?? "") || (sentence ?? "").trim() === "") {
  fail('usage: npm run new:clause -- NUMBER "SENTENCE", for example: npm run new:clause -- I11 "An abort ..."')
}
const path = join(root, "docs/contract.md")
const page = read("docs/contract.md")
const clauses = clausesOf(page).map((clause) => clause.number)
if (clauses.includes(number)) fail(`${number} is a clause already`)
const last = clauses.findLast((one) => one[0] === number[0])
if (last === undefined) fail(`there is no section ${number[0]} in docs/contract.md`)
const test = join(root, `packages/core/test/${number}.test.ts`)
if (existsSync(test)) fail(`${test} exists already`)

const lines = page.split("\n")
let end = lines.findIndex((line) => line.startsWith(`- **${last}** `)) + 1
while (lines[end]?.startsWith("  ")) end++
lines.splice(end, 0, `- **${number}** ${sentence.trim()}`)
writeFileSync(path, lines.join("\n"))
const [, ...stub] = read("packages/core/test/fixtures/clauseStub.ts").split("\n")
writeFileSync(
  test,
  stub.join("\n").replaceAll("X0", number).replaceAll("SENTENCE", sentence.trim().replaceAll('"', "'"))
)
console.log(`added ${number} to docs/contract.md, and packages/core/test/${number}.test.ts, which fails until it is written
next: mark the code that upholds it with a comment \`(contract ${number})\`, run \`npm run contract\` and \`npm run unit -- --clause ${number}\``)

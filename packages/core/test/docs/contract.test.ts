import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const packages = join(import.meta.dirname, "../../..")
const page = readFileSync(join(packages, "../docs/contract.md"), "utf8")

interface Clause {
  readonly number: string
  readonly due: string
  readonly keptBy: ReadonlyArray<string>
  readonly shownBy: ReadonlyArray<string>
}

/** What the page is judged by: which files there are, and the clause numbers in the names of each test file. */
interface Tree {
  readonly exists: (path: string) => boolean
  readonly tests: ReadonlyMap<string, ReadonlySet<string>>
}

const statesOf = (text: string): ReadonlyMap<string, string> =>
  new Map(Array.from(text.matchAll(/^\| ([^|]+) \| [^|]+ \| (due|later) \|$/gm), (row) => [row[1]!, row[2]!]))

const clausesOf = (text: string): ReadonlyArray<Clause> => {
  const paths = (list: string | undefined) => Array.from(list?.matchAll(/`([^`]+)`/g) ?? [], (path) => path[1]!)
  const clause =
    /^- \*\*([A-Z]\d+)\*\* .*(?:\n {2}- due: ([^·\n]+?)(?: · (?:not built|kept by: (.+) · shown by: (.+)))?$)?/gm
  return Array.from(text.matchAll(clause), ([, number, due, keptBy, shownBy]) => ({
    number: number!,
    due: due ?? "nothing",
    keptBy: paths(keptBy),
    shownBy: paths(shownBy)
  }))
}

/** The clause numbers with which the names in a test file begin: `it.effect("I2 I3 ...")`, `describe("S1 ...")`. */
const numbersOf = (source: string): ReadonlySet<string> => {
  const names = source.matchAll(/\b(?:it|test|describe)[.\w]*(?:\([^()]*\))?\(\s*["'`]((?:[A-Z]\d+,? )+)/g)
  return new Set(Array.from(names).flatMap((name) => name[1]!.match(/[A-Z]\d+/g) ?? []))
}

const problemsOf = (text: string, tree: Tree): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const states = statesOf(text)
  const clauses = clausesOf(text)
  const numbers = clauses.map((clause) => clause.number)
  for (const { due, keptBy, number, shownBy } of clauses) {
    const state = states.get(due)
    if (numbers.indexOf(number) !== numbers.lastIndexOf(number)) problems.push(`${number} is there twice`)
    if (state === undefined) problems.push(`${number} is due in ${due}, which is no capability of the page`)
    if (state === "due" && keptBy.length === 0) problems.push(`${number} is due and kept by no file`)
    if (state === "due" && shownBy.length === 0) problems.push(`${number} is due and shown by no test`)
    for (const path of [...keptBy, ...shownBy]) {
      if (!tree.exists(path)) problems.push(`${number} names ${path}, which does not exist`)
    }
    for (const path of shownBy) {
      if (tree.exists(path) && !tree.tests.get(path)?.has(number))
        problems.push(`${path} has no test that begins with ${number}`)
    }
  }
  for (const [path, mentioned] of tree.tests) {
    for (const number of mentioned)
      if (!numbers.includes(number)) problems.push(`${path} shows ${number}, which is no clause`)
  }
  return problems
}

describe("contract.md", () => {
  it("has a test for each clause that is due, and names only files that exist", () => {
    const tests = new Map<string, ReadonlySet<string>>()
    for (const name of readdirSync(packages)) {
      const folder = join(packages, name, "test")
      if (!existsSync(folder)) continue
      for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        const path = `${name}/test/${entry.replaceAll("\\", "/")}`
        if (path.endsWith(".test.ts") && path !== "core/test/docs/contract.test.ts") {
          tests.set(path, numbersOf(readFileSync(join(packages, path), "utf8")))
        }
      }
    }
    assert.deepStrictEqual(problemsOf(page, { exists: (path) => existsSync(join(packages, path)), tests }), [])
  })

  it("has all clauses, each with the capability that builds it", () => {
    const count = new Map<string, number>()
    for (const { number } of clausesOf(page)) count.set(number[0]!, (count.get(number[0]!) ?? 0) + 1)
    assert.deepStrictEqual(Object.fromEntries(count), { S: 8, I: 10, P: 7, A: 5, J: 8, D: 7, X: 4, M: 2, O: 2, W: 3 })
  })
})

describe("the reading of the page", () => {
  const head = "| capability | issue | state |\n| --- | --- | --- |\n| now | 1 | due |\n| then | 2 | later |\n\n"
  const tree = (tests: { readonly [path: string]: string }): Tree => ({
    exists: (path) => path === "core/src/a.ts" || path in tests,
    tests: new Map(Object.entries(tests).map(([path, source]) => [path, numbersOf(source)]))
  })
  const due = `${head}- **S1** One.\n  - due: now · kept by: \`core/src/a.ts\` · shown by: \`core/test/a.test.ts\`\n`

  it("accepts a due clause with its file and its test", () => {
    for (const test of [
      `it("S1 holds"`,
      `it.effect(\n "S1 holds"`,
      `it.effect.each([1, 2])("S1 holds"`,
      `describe("I2, S1 hold"`
    ]) {
      const clauses = `${due}- **I2** Two.\n  - due: then · not built\n`
      assert.deepStrictEqual(problemsOf(clauses, tree({ "core/test/a.test.ts": test })), [], test)
    }
  })

  it("reports what is missing", () => {
    assert.deepStrictEqual(problemsOf(due, tree({})), ["S1 names core/test/a.test.ts, which does not exist"])
    assert.deepStrictEqual(problemsOf(due, tree({ "core/test/a.test.ts": `it("S10 holds"` })), [
      "core/test/a.test.ts has no test that begins with S1",
      "core/test/a.test.ts shows S10, which is no clause"
    ])
    assert.deepStrictEqual(problemsOf(`${head}- **S1** One.\n  - due: now · not built\n`, tree({})), [
      "S1 is due and kept by no file",
      "S1 is due and shown by no test"
    ])
    assert.deepStrictEqual(problemsOf(`${head}- **S1** One.\n`, tree({})), [
      "S1 is due in nothing, which is no capability of the page"
    ])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { clausesOf, clausesMarkedIn, problemsOf, clausesShownIn, survey } from "../../../../scripts/contract.mjs"

describe("contract.md", () => {
  it("has a mark in the sources and a test for each clause, and no test shows a clause that does not exist", () =>
    assert.deepStrictEqual(problemsOf(survey()), []))
})

describe("reading the contract", () => {
  const page = "- **S1** One.\n  More.\n- **M1** *(later)* Two.\n"
  const files = (path: string) => new Map([["S1", [path]]])

  it("finds the clauses, including those that come later", () =>
    assert.deepStrictEqual(
      clausesOf(page).map(({ isDue, number }) => [number, isDue]),
      [
        ["S1", true],
        ["M1", false]
      ]
    ))

  it("finds the numbers in the names of tests", () => {
    for (const source of [`it("S1 holds"`, `it.effect(\n "S1 holds"`, `it.effect.each([1, 2])("S1 holds"`]) {
      assert.deepStrictEqual([...clausesShownIn(source)], ["S1"], source)
    }
    assert.deepStrictEqual([...clausesShownIn(`describe("I2, S1 hold"`)], ["I2", "S1"])
    assert.deepStrictEqual([...clausesShownIn(`it("holds (S1)"`)], [])
  })

  it("finds marks in comments only", () => {
    assert.deepStrictEqual(
      [...clausesMarkedIn("// mutant abort-once (I1: one wins): drop\n/** Ends (contract S2, S7). */")],
      ["I1", "S2", "S7"]
    )
    assert.deepStrictEqual([...clausesMarkedIn(`const text = "(I1)"`)], [])
  })

  it("reports what is missing", () => {
    const clauses = clausesOf(page)
    assert.deepStrictEqual(problemsOf({ clauses, marks: files("a.ts"), tests: files("a.test.ts") }), [])
    assert.deepStrictEqual(problemsOf({ clauses: [...clauses, ...clauses], marks: new Map(), tests: new Map() }), [
      "clause S1 is there twice",
      "clause M1 is there twice",
      "clause S1: no source is marked with it",
      "clause S1: no test shows it",
      "clause S1: no source is marked with it",
      "clause S1: no test shows it"
    ])
    assert.deepStrictEqual(
      problemsOf({ clauses, marks: files("a.ts"), tests: new Map([...files("a.test.ts"), ["X9", ["b.test.ts"]]]) }),
      ["b.test.ts: a test shows X9, which is no clause"]
    )
  })
})

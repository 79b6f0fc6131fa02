/** The markers of mutants in the sources, the tables of the tests, and the operators. */
import { assert, describe, it } from "@effect/vitest"
import { inject } from "vitest"
import { markersOf, type Mutant, mutantsOf, mutate, problemsOf, sourcesOfWorkspace } from "./mutantMarkers.ts"

describe("the markers of the sources", () => {
  it("have a row each, and every row has a marker", () => assert.deepStrictEqual(inject("mutantProblems"), []))

  it("give a reason", () => {
    const silent = Object.entries(inject("mutants")).filter(([, { reason }]) => reason === "")
    assert.deepStrictEqual(silent, [])
  })

  it("can be applied", () => {
    for (const [file, source] of sourcesOfWorkspace()) {
      for (const { name } of markersOf(file, source)) assert.notStrictEqual(mutate(name, file, source), source, name)
    }
  })
})

describe("problems of the tables", () => {
  const marked: Mutant = { clause: "S1", reason: "", edits: {} }
  const row = { by: "trees", breaks: /S1/ }

  it("are a marker without a row, a row without a marker, and two rows of one name", () => {
    assert.deepStrictEqual(problemsOf({ a: marked, b: marked }, { a: row }, { b: row }), [])
    assert.deepStrictEqual(problemsOf({ a: marked, b: marked }, { a: row }), ["mutant b has no row"])
    assert.deepStrictEqual(problemsOf({ a: marked }, { a: row, b: row }), ["row b has no marker"])
    assert.deepStrictEqual(problemsOf({ a: marked }, { a: row }, { a: row }), ["there are two rows a"])
  })
})

describe("a marker", () => {
  const read = (source: string) => markersOf("a.ts", source).map((marker) => ({ ...marker, end: 0 }))

  it("has a name, a clause, a reason and an operator", () => {
    const marker = { name: "a-b", clause: "S1", reason: "one turn (at most): yes", operator: "drop", code: "", end: 0 }
    assert.deepStrictEqual(read("// mutant a-b (S1: one turn (at most): yes): drop\na()"), [marker])
    assert.deepStrictEqual(read("// mutant a-b (S1): drop\na()"), [{ ...marker, reason: "" }])
  })

  it("continues on comment lines that are indented", () => {
    const source = "{\n  // mutant a (S1: one\n  //   turn): replace: a\n  //   + b\n  // another comment\n  a()\n}"
    assert.deepStrictEqual(read(source), [
      { name: "a", clause: "S1", reason: "one turn", operator: "replace", code: "a + b", end: 0 }
    ])
    assert.strictEqual(mutate("a", "a.ts", source).includes("// another comment\n  a + b\n"), true)
  })

  it("is rejected if it is malformed", () => {
    for (const text of ["a: drop", "a (S1) drop", "a (S): drop", "A (S1): drop", "a (S1): remove", "a (S1): replace"]) {
      assert.throws(() => read(`// mutant ${text}\na()`), /a\.ts: not a marker of a mutant/, text)
    }
  })

  it("is not read from a string", () => assert.deepStrictEqual(read("const a = `\n// mutant a\n`"), []))

  it("shares its name with markers of the same clause only", () => {
    const source = (second: string) =>
      [["a.ts", `// mutant a (S1: one): drop\na()\n// mutant a ${second}: drop\nb()`]] as const
    const mutant = { clause: "S1", reason: "one" }
    const first = [28, 55].map((start) => ({ start, end: start + 3, text: ";" }))
    assert.deepStrictEqual(mutantsOf(source("(S1)")), { a: { ...mutant, edits: { "a.ts": first } } })
    assert.throws(() => mutantsOf(source("(S2)")), /two mutants are called a/)
    assert.throws(() => mutantsOf(source("(S1: two)")), /two mutants are called a/)
    const files = [...source("(S1)"), ["b.ts", "// mutant a (S1): drop\na()"] as const]
    const second = [{ start: 23, end: 26, text: ";" }]
    assert.deepStrictEqual(mutantsOf(files), { a: { ...mutant, edits: { "a.ts": first, "b.ts": second } } })
  })
})

describe("an operator", () => {
  /** The mutant of a source in which `@` marks a place; without the comments, and in one line. */
  const mutant = (source: string, ...operators: ReadonlyArray<string>): string => {
    let index = 0
    const marked = source.replaceAll("@", () => `\n// mutant a (S1): ${operators[index++]}\n`)
    return mutate("a", "a.ts", marked)
      .replaceAll(/\/\/.*\n/g, "")
      .replaceAll(/\s+/g, " ")
      .trim()
  }

  it("drops statements, members, properties, arguments and elements", () => {
    assert.strictEqual(mutant("a(); { @ if (b) { c() } d() }", "drop"), "a(); { ; d() }")
    assert.strictEqual(mutant("if (a) @ b()\nelse c()", "drop"), "if (a) ; else c()")
    assert.strictEqual(mutant("class A { @ b = 1\nc() {} }", "drop"), "class A { c() {} }")
    assert.strictEqual(mutant("f({ @ a: 1, b })", "drop"), "f({ b })")
    assert.strictEqual(mutant("f(a, @ b(), c)", "drop"), "f(a, c)")
    assert.strictEqual(mutant("f([a, @ b])", "drop"), "f([a, ])")
    assert.throws(() => mutant("f(() => @ a)", "drop"), /nothing below the marker that can be dropped/)
  })

  it("replaces conditions", () => {
    assert.strictEqual(mutant("@ if (a || b) c()", "false"), "if (false) c()")
    assert.strictEqual(mutant("@ while (a) b()", "false"), "while (false) b()")
    assert.strictEqual(
      mutant("const f = () => { @ return a ? b : c }", "true"),
      "const f = () => { return true ? b : c }"
    )
    assert.strictEqual(mutant("const f = () => { @ return a && b }", "true"), "const f = () => { return true }")
    assert.strictEqual(mutant("@ const a = b > 0", "false"), "const a = false")
    assert.strictEqual(mutant("@ a.b = c > 0", "false"), "a.b = false")
    assert.strictEqual(mutant("class A { @ b = () => this.c }", "false"), "class A { b = () => false }")
    assert.strictEqual(mutant("f({ @ a: b ? c : d })", "true"), "f({ a: true ? c : d })")
    assert.strictEqual(mutant("f(@ (a) => (b ? c : d), e)", "true"), "f( (a) => (true ? c : d), e)")
    assert.strictEqual(mutant("f(@ a === b, c)", "true"), "f( true, c)")
  })

  it("swaps a node with the next one", () => {
    assert.strictEqual(mutant("@ a()\nb()\nc()", "swap-next"), "b() a() c()")
    assert.strictEqual(mutant("f(@ a, b, c)", "swap-next"), "f( b, a, c)")
    assert.throws(() => mutant("{ @ a() }", "swap-next"), /nothing to swap with/)
  })

  it("inserts a statement", () => assert.strictEqual(mutant("a()\n@ b()", "insert: c()"), "a() c(); b()"))

  it("replaces a node, or code that occurs once in it", () => {
    assert.strictEqual(mutant("const f = () => { @ return a(b) }", "replace: return b"), "const f = () => { return b }")
    assert.strictEqual(mutant("f(@ a(b), c)", "replace: d"), "f( d, c)")
    assert.strictEqual(mutant("@ f(a(\n  b,\n  c\n), d)", "replace: `a(b, c)` => `e`"), "f(e, d)")
    assert.strictEqual(mutant("@ f(() => a)", "replace: `() => a` => `() => b`"), "f(() => b)")
    assert.throws(() => mutant("@ f(a, a)", "replace: `a` => `b`"), /not once below the marker: a/)
    assert.throws(() => mutant("@ f(a)\nb", "replace: `b` => `c`"), /not once below the marker: b/)
  })

  it("takes the largest node that starts at the first token below", () => {
    assert.strictEqual(mutant("@ a.b(c).d()\ne()", "drop"), "; e()")
    assert.strictEqual(mutant("@ export const a = 1\ne()", "drop"), "; e()")
    assert.strictEqual(mutant("@ /* more */ a()\ne()", "drop"), "/* more */ ; e()")
  })

  it("changes the places of one mutant together", () => {
    const source = "const f = () => { @ return a(() => { @ b() }) }"
    const operators = ["replace: `a(() => {` => `c(() => {`", "replace: return b()"]
    assert.strictEqual(mutant(source, ...operators), "const f = () => { return c(() => { return b() }) }")
    assert.throws(() => mutant("{ @ a(@ b) }", "drop", "replace: c"), /two markers change the same code/)
    assert.throws(() => mutant("@ a()", "replace: )"), /mutant a in a\.ts: /)
    assert.throws(() => mutant("a() @", "drop"), /nothing below the marker/)
    assert.strictEqual(mutate("b", "a.ts", "// mutant a (S1): drop\na()"), "// mutant a (S1): drop\na()")
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as LineSearch from "../src/internal/patch/lineSearch.ts"
import { Patch } from "../src/index.ts"

const lines = (...all: ReadonlyArray<string>) => all.join("\n")

const parsed = (...all: ReadonlyArray<string>) => Result.getOrThrow(Patch.parse(lines(...all)))

const errorOf = (...all: ReadonlyArray<string>) =>
  Result.match(Patch.parse(lines(...all)), { onFailure: (error) => error.message, onSuccess: () => "parsed" })

/** Plans an update of the file `f`. */
const update = (content: string, ...hunk: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const patch = yield* Effect.fromResult(
      Patch.parse(lines("*** Begin Patch", "*** Update File: f", ...hunk, "*** End Patch"))
    )
    return yield* Patch.plan(patch, { read: () => Effect.succeed(content) })
  })

const after = (content: string, ...hunk: ReadonlyArray<string>) =>
  Effect.map(update(content, ...hunk), (plan) => (plan.files.length === 0 ? content : plan.files[0]!.after))

describe("parse", () => {
  it("reads every kind of change", () => {
    const patch = parsed(
      "*** Begin Patch",
      "*** Add File: new.txt",
      "+one",
      "+",
      "*** Delete File: old.txt",
      "*** Update File: a.txt",
      "*** Move to: b.txt",
      "@@ class A",
      "@@ method",
      " context",
      "-old",
      "+new",
      "*** End of File",
      "*** End Patch"
    )
    assert.deepStrictEqual(patch.files, [
      { _tag: "Add", path: "new.txt", content: "one\n\n", line: 2 },
      { _tag: "Delete", path: "old.txt", line: 5 },
      {
        _tag: "Update",
        path: "a.txt",
        moveTo: "b.txt",
        line: 6,
        hunks: [
          {
            headers: ["class A", "method"],
            lines: [
              { kind: "context", text: "context" },
              { kind: "remove", text: "old" },
              { kind: "add", text: "new" }
            ],
            isAtEnd: true,
            line: 8
          }
        ]
      }
    ])
  })

  it("tolerates a here-document, a code fence, carriage returns, spaces after markers and blank lines", () => {
    const wanted = parsed("*** Begin Patch", "*** Update File: a", "@@", " x", "-y", "*** End Patch").files
    const strip = (files: typeof wanted) => JSON.stringify(files).replaceAll(/"line":\d+/g, "")
    for (const text of [
      lines("apply_patch <<'EOF'", "*** Begin Patch", "*** Update File: a", "@@", " x", "-y", "*** End Patch", "EOF"),
      lines("```", "*** Begin Patch  ", "*** Update File: a  ", "@@ ", " x", "-y", "*** End Patch  ", "```", ""),
      lines("*** Begin Patch", "*** Update File: a", "@@", " x", "-y", "*** End Patch", "").replaceAll("\n", "\r\n"),
      lines("", "*** Begin Patch", "", "*** Update File: a", " x", "-y", "", "*** End Patch"),
      lines("    *** Begin Patch", "    *** Update File: a", "    @@", "     x", "    -y", "    *** End Patch"),
      lines("  *** Begin Patch", "  *** Update File: a", "  @@", " x", "-y", "  *** End Patch")
    ]) {
      assert.strictEqual(strip(Result.getOrThrow(Patch.parse(text)).files), strip(wanted))
    }
  })

  it("says what is wrong, and in which line", () => {
    assert.strictEqual(errorOf("hello"), 'line 1 of the patch: a patch begins with "*** Begin Patch"')
    assert.strictEqual(
      errorOf("*** Begin Patch", "*** Delete File: a"),
      'line 2 of the patch: a patch ends with "*** End Patch"'
    )
    assert.strictEqual(errorOf("*** Begin Patch", "*** End Patch"), "line 2 of the patch: the patch names no file")
    assert.strictEqual(
      errorOf("*** Begin Patch", "*** Add File: a", "text", "*** End Patch"),
      'line 3 of the patch: each line of an added file begins with "+"'
    )
    assert.strictEqual(
      errorOf("*** Begin Patch", "*** Update File: a", "@@", "text", "*** End Patch"),
      'line 4 of the patch: a line of an update begins with " ", "-", "+" or "@@"'
    )
    assert.strictEqual(
      errorOf("*** Begin Patch", "*** Update File: a", "*** End Patch"),
      "line 2 of the patch: an update without a change"
    )
    assert.strictEqual(
      errorOf("*** Begin Patch", "*** Update File:", "@@", "-a", "*** End Patch"),
      "line 2 of the patch: the path is missing"
    )
    assert.strictEqual(
      errorOf("*** Begin Patch", "*** Update File: a", "@@", "*** End Patch"),
      "line 3 of the patch: a hunk without lines"
    )
    assert.strictEqual(
      errorOf("*** Begin Patch", "*** Delete File: a", "*** End Patch", "and more text"),
      'line 4 of the patch: text after "*** End Patch"'
    )
  })
})

/** So long that time which is not linear in it would not end. */
const long = 1_000_000

describe("a patch with very long lines", () => {
  const spaces = " ".repeat(long)
  const wrapped = (...body: ReadonlyArray<string>) => lines("*** Begin Patch", ...body, "*** End Patch")
  const update = (header: string) => wrapped("*** Update File: a", header, "-1", "+2")
  const texts: { readonly [what: string]: string } = {
    "spaces in a header": update(`@@${spaces}x`),
    "spaces in a header with an end": update(`@@ x${spaces}@@${spaces}`),
    "digits in a header": update(`@@ -${"1".repeat(long)}x`),
    "spaces around a path": wrapped(`*** Delete File:${spaces}a${spaces}`),
    "blank lines in a file to add": wrapped("*** Add File: a", ...Array(10_000).fill(" "), "+x"),
    "spaces after its end": `${wrapped("*** Delete File: a")}\n${spaces}!`,
    "letters after its end": `${wrapped("*** Delete File: a")}\n${"a".repeat(long)}!`,
    "spaces before its begin": `${spaces}x\n${wrapped("*** Delete File: a")}`,
    "signs before its begin": `${"<".repeat(long)}x\n${wrapped("*** Delete File: a")}`
  }
  for (const [what, text] of Object.entries(texts)) {
    it(`is read in time that is linear in ${what}`, () => {
      assert.isDefined(Patch.parse(text))
    })
  }

  it("has the header without the spaces around it", () => {
    const headersOf = (header: string) =>
      Result.getOrThrow(Patch.parse(update(header))).files.flatMap((file) =>
        file._tag === "Update" ? file.hunks.flatMap(({ headers }) => headers) : []
      )
    const headers = [
      "@@",
      "@@ @@",
      "@@ f()",
      "@@  f() @@ ",
      "@@f()@@",
      "@@ -1,2 +3 @@ f()",
      "@@ -1 +3,4 @@",
      "@@ a @@ b"
    ]
    assert.deepStrictEqual(headers.map(headersOf), [[], [], ["f()"], [" f()"], ["f()"], ["f()"], [], ["a @@ b"]])
  })
})

describe("changes", () => {
  it("shows what a patch wants, without reading a file", () => {
    const patch = parsed(
      "*** Begin Patch",
      "*** Add File: new.txt",
      "+one",
      "*** Delete File: old.txt",
      "*** Update File: a.txt",
      "@@ f()",
      " x",
      "-y",
      "+z",
      "*** Update File: c.txt",
      "*** Move to: d.txt",
      "*** End Patch"
    )
    assert.deepStrictEqual(Patch.changes(patch), [
      { path: "new.txt", kind: "add", diff: ["+one"] },
      { path: "old.txt", kind: "delete", diff: [] },
      { path: "a.txt", kind: "update", diff: ["@@ f()", " x", "-y", "+z"] },
      { path: "c.txt", kind: "move", movePath: "d.txt", diff: [] }
    ])
  })
})

describe("plan", () => {
  it.effect("a change comes with the numbers of its lines", () =>
    Effect.gen(function* () {
      const plan = yield* update("a\nb\nc\nd\ne\n", "@@", " a", "-b", "+B", "+B2", "@@", " d", "-e")
      assert.strictEqual(plan.files[0]!.after, "a\nB\nB2\nc\nd\n")
      assert.deepStrictEqual(plan.changes[0]!.diff, [
        "@@ -1,2 +1,3 @@",
        " a",
        "-b",
        "+B",
        "+B2",
        "@@ -4,2 +5 @@",
        " d",
        "-e"
      ])
    })
  )

  it.effect("an empty side of a change is numbered by the line before it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* update("x\n", "@@", "+y")).changes[0]!.diff, ["@@ -1,0 +2 @@", "+y"])
      assert.deepStrictEqual((yield* update("x\n", "@@", "-x")).changes[0]!.diff, ["@@ -1 +0,0 @@", "-x"])
    })
  )

  it.effect("a header chooses among equal lines, and headers nest", () =>
    Effect.gen(function* () {
      const file = "class A\n  f()\n    x\nclass B\n  f()\n    x\n"
      assert.strictEqual(
        yield* after(file, "@@ class B", "@@ f()", "-    x", "+    y"),
        "class A\n  f()\n    x\nclass B\n  f()\n    y\n"
      )
    })
  )

  it.effect(
    "lines match exactly, else without trailing spaces, else without spaces around, else without typography",
    () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* after("x  \nx\n", "@@", "-x"), "x  \n")
        assert.strictEqual(yield* after("a  \nx\n", "@@", " a", "-x", "+y"), "a  \ny\n")
        assert.strictEqual(yield* after("\t a\nx\n", "@@", "   a", "-x", "+y"), "\t a\ny\n")
        assert.strictEqual(
          yield* after("it\u2019s \u2014 \u201cok\u201d\nx\n", "@@", ' it\'s - "ok"', "-x"),
          "it\u2019s \u2014 \u201cok\u201d\n"
        )
      })
  )

  it.effect("the end of a file is a place, and lines without context are added there", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* after("x\ny\nx\n", "@@", "-x", "+z", "*** End of File"), "x\ny\nz\n")
      assert.strictEqual(yield* after("x\n", "@@", "+y"), "x\ny\n")
      assert.strictEqual(yield* after("f\nx\n", "@@ f", "+y"), "f\ny\nx\n")
      assert.strictEqual(yield* after("", "@@", "+y"), "y\n")
      assert.strictEqual(yield* after("x\n", "@@", "-x"), "")
    })
  )

  it.effect("a file keeps its carriage returns and its open end", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* after("a\r\nb\r\n", "@@", " a", "-b", "+c", "+d"), "a\r\nc\r\nd\r\n")
      assert.strictEqual(yield* after("a\nb", "@@", " a", "-b", "+c"), "a\nc")
    })
  )

  it.effect("every line that the patch does not touch keeps its bytes, and an added one ends like its neighbour", () =>
    Effect.gen(function* () {
      for (const [content, hunk, wanted] of [
        ["one\r\ntwo", [" one", "-two", "+TWO"], "one\r\nTWO"],
        ["one\r\ntwo", [" one", "-two", "+TWO", "+three"], "one\r\nTWO\r\nthree"],
        ["one\r\ntwo", [" two", "+three"], "one\r\ntwo\r\nthree"],
        ["one\r\ntwo\r\nthree\r\nfour\n", [" one", "-two", "+TWO", "+2"], "one\r\nTWO\r\n2\r\nthree\r\nfour\n"],
        ["one\ntwo\nthree\r\n", ["-one", "+ONE"], "ONE\ntwo\nthree\r\n"],
        ["one\ntwo\nthree\r\nfour\r\n", ["+zero", " one"], "zero\none\ntwo\nthree\r\nfour\r\n"],
        ["one\rtwo\rthree\r", [" one", "-two", "+TWO", "+2"], "one\rTWO\r2\rthree\r"],
        ["one\rtwo", [" one", "-two", "+TWO"], "one\rTWO"],
        ["10%\r20%\ntwo\n", ["-two", "+TWO"], "10%\r20%\nTWO\n"],
        ["\ufeffone\r\ntwo\r\n", ["-one", "+ONE"], "\ufeffONE\r\ntwo\r\n"],
        ["\ufeffone\ntwo\n", ["-\ufeffone", "+\ufeffONE"], "\ufeffONE\ntwo\n"],
        ["\ufeffone\ntwo\n", [" one", "-two", "+TWO"], "\ufeffone\nTWO\n"],
        ["only", ["-only", "+a", "+b"], "a\nb"]
      ] as const) {
        assert.strictEqual(yield* after(content, "@@", ...hunk), wanted, JSON.stringify(content))
      }
    })
  )

  it.effect("a thousand hunks in a hundred thousand lines apply, however they match", () =>
    Effect.gen(function* () {
      const file = Array.from({ length: 100_000 }, (_, index) => `line ${index}\n`).join("")
      for (const indent of ["", "  "]) {
        const hunks = Array.from({ length: 1_000 }, (_, index) => [
          "@@",
          ` ${indent}line ${index * 100}`,
          `-${indent}line ${index * 100 + 1}`,
          "+changed"
        ])
        const result = yield* after(file, ...hunks.flat())
        assert.strictEqual(result!.split("changed\n").length, 1_001)
      }
    })
  )

  it("reads each line of a file once for each way to compare it, however many hunks there are", () => {
    let reads = 0
    const texts = new Proxy(
      Array.from({ length: 1_000 }, (_, index) => `line ${index}`),
      {
        get: (target, name) => {
          if (typeof name === "string" && /^\d+$/.test(name)) reads++
          return Reflect.get(target, name)
        }
      }
    )
    const search = LineSearch.make(texts)
    for (let at = 0; at < 1_000; at++) {
      assert.strictEqual(search.seek([`line ${at}`], 0, false), at)
      assert.strictEqual(search.seek([`  line ${at} `], 0, false), at)
      assert.strictEqual(search.seek([`no line ${at}`], 0, false), -1)
      assert.strictEqual(search.findNearest([`line ${at}`]), at)
    }
    assert.strictEqual(reads, 4 * texts.length)
  })

  it.effect("a hunk of many equal lines, and one of very many lines, apply", () =>
    Effect.gen(function* () {
      const same = "x\n".repeat(200_000)
      const many = (line: string, count: number) => Array.from({ length: count }, () => line).join("\n")
      const error = yield* Effect.flip(update(same, "@@", many(" x", 50_000), "-y"))
      assert.include(error.message, "does not apply")
      assert.strictEqual(yield* after(same, "@@", many("-x", 200_000)), "")
      assert.strictEqual((yield* after("", "@@", many("+x", 200_000)))!.length, 400_000)
      const blank = Patch.parse(lines("*** Begin Patch", "*** Update File: a", "-a", many("", 50_000), "b"))
      assert.isTrue(Result.isFailure(blank))
    })
  )

  it.effect("later parts see what earlier ones did", () =>
    Effect.gen(function* () {
      const patch = parsed(
        "*** Begin Patch",
        "*** Delete File: a",
        "*** Add File: a",
        "+new",
        "*** Update File: a",
        "*** Move to: b",
        "@@",
        "-new",
        "+newer",
        "*** End Patch"
      )
      const plan = yield* Patch.plan(patch, { read: (path) => Effect.succeed(path === "a" ? "old\n" : undefined) })
      assert.deepStrictEqual(plan.files, [
        { path: "a", before: "old\n", after: undefined, movedFrom: undefined },
        { path: "b", before: undefined, after: "newer\n", movedFrom: "a" }
      ])
    })
  )

  it.effect("a patch that does not apply says where, what it expected, and what is there", () =>
    Effect.gen(function* () {
      const errorOfUpdate = (content: string, ...hunk: ReadonlyArray<string>) =>
        Effect.map(Effect.flip(update(content, ...hunk)), (error) => error.message)
      const file = "one\ntwo\nthree\nfour\n"
      assert.strictEqual(
        yield* errorOfUpdate(file, "@@", "-one", "@@", " two", "-thre", "+3"),
        lines(
          "f, line 5 of the patch: hunk 2 does not apply: these lines are not in the file below line 1",
          "  two",
          "  thre",
          "The closest place is line 2 to 3:",
          "  two",
          "  three"
        )
      )
      assert.strictEqual(
        yield* errorOfUpdate(file, "@@", "-three", "@@", "-one"),
        lines(
          "f, line 5 of the patch: hunk 2 does not apply: these lines are not in the file below line 3",
          "  one",
          "They are at line 1; hunks must be in the order of the file."
        )
      )
      assert.strictEqual(
        yield* errorOfUpdate(file, "@@", "-none"),
        lines(
          "f, line 3 of the patch: hunk 1 does not apply: these lines are not in the file",
          "  none",
          "No line of the file is like one of them; read the file again."
        )
      )
      assert.strictEqual(
        yield* errorOfUpdate(file, "@@ five", "-one"),
        'f, line 3 of the patch: hunk 1: there is no line "five"'
      )
    })
  )

  it.effect("files that are there or missing against the patch are refused", () =>
    Effect.gen(function* () {
      const refusal = (content: string | undefined, ...all: ReadonlyArray<string>) =>
        Patch.plan(parsed("*** Begin Patch", ...all, "*** End Patch"), { read: () => Effect.succeed(content) }).pipe(
          Effect.flip,
          Effect.map((error) => error.detail)
        )
      assert.include(yield* refusal("x\n", "*** Add File: f", "+y"), "exists already")
      assert.include(yield* refusal(undefined, "*** Delete File: f"), "no such file to delete")
      assert.include(yield* refusal(undefined, "*** Update File: f", "@@", "-x"), "no such file to update")
      assert.include(yield* refusal("x\n", "*** Update File: f", "*** Move to: g"), "to move to exists already")
    })
  )
})

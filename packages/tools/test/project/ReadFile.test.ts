import { execFileSync } from "node:child_process"
import { mkdirSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { ProjectTools } from "../../src/index.ts"
import * as ReadFile from "../../src/project/ReadFile.ts"
import { directory } from "../host.ts"

type Wanted = Omit<ReadFile.Parameters, "file_path">

/** Reads a file `f` with this content. */
const read = (content: string | Uint8Array, wanted: Wanted = {}) =>
  Effect.flatMap(directory, (cwd) => {
    writeFileSync(join(cwd, "f"), content)
    return Effect.provide(ReadFile.run({ file_path: "f", ...wanted }, { cwd }), NodeServices.layer)
  })
const refusal = (...args: Parameters<typeof read>) => Effect.map(Effect.flip(read(...args)), ({ message }) => message)

describe("read_file", () => {
  it.effect("returns numbered lines, from an offset and up to a limit", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* read("a\nb\n"), "L1: a\nL2: b")
      assert.strictEqual(yield* read("a\r\n\r\nc"), "L1: a\nL2: \nL3: c")
      assert.strictEqual(yield* read("a\nb\nc\nd\n", { offset: 2, limit: 2 }), "L2: b\nL3: c")
      assert.strictEqual(yield* read(""), "The file is empty.")
    })
  )

  it.effect("refuses numbers and offsets that make no sense", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* refusal("a\nb\n", { offset: 3 }), "cannot read f: it has 2 lines, and offset is 3")
      for (const offset of [0, -1, 1.5]) {
        assert.strictEqual(yield* refusal("a", { offset }), "cannot read f: offset must be a whole number from 1")
      }
      assert.strictEqual(yield* refusal("a", { limit: 0 }), "cannot read f: limit must be a whole number from 1")
      assert.strictEqual(
        yield* refusal("a", { mode: "indentation", indentation: { anchor_line: 2 } }),
        "cannot read f: it has 1 lines, and anchor_line is 2"
      )
    })
  )

  it.effect("cuts long lines between characters, and long results with the offset to continue from", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* read(`${"x".repeat(500)}\n${"x".repeat(501)}`),
        `L1: ${"x".repeat(500)}\nL2: ${"x".repeat(500)}…`
      )
      assert.isTrue((yield* read(`${"x".repeat(499)}𝄞𝄞𝄞`)).isWellFormed())
      const many = yield* read(Array.from({ length: 2_000 }, () => "x".repeat(400)).join("\n"))
      assert.isAtMost(many.length, ReadFile.maxCharacters + 100)
      const next = /\nThe rest is not shown. Continue with offset (\d+)\.$/.exec(many)?.[1]
      assert.strictEqual(many.split("\n").at(-2)?.slice(0, 5), `L${Number(next) - 1}: `.slice(0, 5))
    })
  )

  it.effect("replaces what is not UTF-8, even if pieces meet inside a character, and refuses binary files", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* read(Uint8Array.of(97, 0xff, 98)), "L1: a\ufffdb")
      assert.strictEqual(yield* read(`${"\n".repeat(65_535)}ä`, { offset: 65_536 }), "L65536: ä")
      assert.strictEqual(yield* refusal(Uint8Array.of(97, 0, 98)), "cannot read f: it is a binary file")
    })
  )

  it.effect("reads a slice of a huge file, and stops looking for a line at some point", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      writeFileSync(join(cwd, "huge"), "first\nsecond\n")
      truncateSync(join(cwd, "huge"), 8_589_934_592)
      const at = (wanted: Wanted) =>
        Effect.provide(ReadFile.run({ file_path: "huge", ...wanted }, { cwd }), NodeServices.layer)
      assert.strictEqual(
        (yield* Effect.flip(at({ mode: "indentation" }))).message,
        `cannot read huge: it has 8589934592 bytes, and the limit is ${ReadFile.maxIndentedBytes}`
      )
      assert.strictEqual((yield* Effect.flip(at({ limit: 1 }))).message, "cannot read huge: it is a binary file")
    })
  )

  it.effect("opens nothing but regular files", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "folder"))
      execFileSync("mkfifo", [join(cwd, "fifo")])
      const why = (file_path: string) =>
        Effect.map(
          Effect.flip(Effect.provide(ReadFile.run({ file_path }, { cwd }), NodeServices.layer)),
          ({ message }) => message
        )
      assert.strictEqual(yield* why("missing"), "cannot read missing: it does not exist")
      assert.strictEqual(yield* why("folder"), "cannot read folder: it is a directory")
      assert.strictEqual(yield* why("fifo"), "cannot read fifo: it is a named pipe, not a regular file")
      assert.strictEqual(yield* why("/dev/zero"), "cannot read /dev/zero: it is a device, not a regular file")
    })
  )

  const code = `import a

// what it does
class A {
  one() {
    if (x) {
      call()
    }
  }

  two() {
    other()
  }
}

const b = 1
`
  const numbers = (text: string) => text.split("\n").map((line) => Number(/^L(\d+)/.exec(line)?.[1]))
  const blockAt = (anchor_line: number, wanted: Wanted["indentation"] = {}) =>
    Effect.map(read(code, { mode: "indentation", indentation: { anchor_line, ...wanted } }), numbers)
  const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index)

  it.effect("returns the block around a line, with its comment and its end", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* blockAt(7), range(3, 14))
      assert.deepStrictEqual(yield* blockAt(7, { include_header: false }), range(4, 14))
      assert.deepStrictEqual(yield* blockAt(7, { max_levels: 1 }), range(6, 8))
      assert.deepStrictEqual(yield* blockAt(7, { max_levels: 2 }), range(5, 9))
      assert.deepStrictEqual(yield* blockAt(7, { max_levels: 2, include_siblings: true }), range(5, 13))
      assert.deepStrictEqual(yield* blockAt(7, { max_lines: 3 }), range(6, 8))
      assert.deepStrictEqual(yield* blockAt(16), [16])
    })
  )

  it("needs no approval, and counts as a file that was read", () => {
    const { approval, concurrency, display, mutates } = ProjectTools.policies.read_file
    assert.deepStrictEqual([approval, concurrency, mutates], ["allow", "parallel", false])
    assert.deepStrictEqual(display?.({ file_path: "a" }, {}), { _tag: "Read", path: "a" })
  })
})

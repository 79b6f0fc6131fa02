import { spawnSync } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Turn } from "@spindle/core"
import { CodingTools, ExecCommand } from "../src/index.ts"
import { host, makeTurn } from "./turn.ts"

const { exec_command } = CodingTools.policies({ approval: "ask", cwd: "/work" })

const inputOf = (cmd: string, more: Partial<ExecCommand.Parameters> = {}): unknown => {
  const redirection = exec_command.redirect!({ cmd, ...more })
  if (redirection === undefined) return undefined
  assert.strictEqual(redirection.name, "apply_patch")
  return (redirection.params as { readonly input: unknown }).input
}

const patch = (path: string) => `*** Begin Patch\n*** Add File: ${path}\n+it's "$HOME"\n*** End Patch`
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
const doubled = (text: string) => `"${text.replace(/["\\$`]/g, "\\$&")}"`
const document = (text: string, tag = "EOF") => `<<'${tag}'\n${text}\n${tag}`

describe("a command that applies a patch", () => {
  it.each([
    ["a here-document", `apply_patch ${document(patch("a"))}`],
    ["a here-document and a line end", `apply_patch ${document(patch("a"))}\n`],
    ["another tag in double quotes", `apply_patch <<"PATCH"\n${patch("a")}\nPATCH\n`],
    ["the other name", `applypatch ${document(patch("a"))}`],
    ["single quotes", `apply_patch ${quoted(patch("a"))}`],
    ["double quotes", `apply_patch ${doubled(patch("a"))}`],
    ["ANSI-C quotes", `apply_patch $'${patch("a").replaceAll("\n", "\\n").replaceAll("'", "\\'")}'`],
    ["a shell", `bash -lc ${quoted(`apply_patch ${document(patch("a"))}`)}`],
    ["a shell and double quotes", `/bin/sh -c ${doubled(`apply_patch ${doubled(patch("a"))}`)}`],
    ["spaces around it", `\n  apply_patch   ${quoted(patch("a"))} \n`]
  ])("is recognised: %s", (_, cmd) => {
    assert.strictEqual(inputOf(cmd), patch("a"))
  })

  it("without quotes at its tag is recognised if the shell expands nothing in it", () => {
    const plain = "*** Begin Patch\n*** Delete File: a\n*** End Patch"
    assert.strictEqual(inputOf(`apply_patch <<EOF\n${plain}\nEOF`), plain)
    assert.isUndefined(inputOf(`apply_patch <<EOF\n${patch("a")}\nEOF`))
  })

  it("has the paths of its directory", () => {
    assert.strictEqual(inputOf(`cd sub && apply_patch ${document(patch("a"))}`), patch("sub/a"))
    assert.strictEqual(inputOf(`cd 'a b' && apply_patch ${quoted(patch("c"))}`), patch("a b/c"))
    assert.strictEqual(inputOf(`cd "a b" &&\napply_patch ${quoted(patch("c"))}`), patch("a b/c"))
    assert.strictEqual(inputOf(`cd sub && apply_patch ${document(patch("a"))}`, { workdir: "top" }), patch("top/sub/a"))
    assert.strictEqual(
      inputOf(`cd /work/sub && apply_patch ${document(patch("a"))}`, { workdir: "top" }),
      patch("/work/sub/a")
    )
    assert.strictEqual(inputOf(`apply_patch ${document(patch("/work/a"))}`, { workdir: "top" }), patch("/work/a"))
    const moved = (a: string, b: string) =>
      `*** Begin Patch\n*** Update File: ${a}\n*** Move to: ${b}\n@@\n-*** Move to: c\n+d\n*** End Patch`
    assert.strictEqual(inputOf(`apply_patch ${document(moved("a", "b"))}`, { workdir: "top" }), moved("top/a", "top/b"))
    assert.strictEqual(inputOf(`apply_patch ${document(moved("a", "a"))}`, { workdir: "top" }), moved("top/a", "top/a"))
  })

  it("that is not a patch in itself reaches the tool, which says what is wrong with it", () => {
    const bad = "*** Begin Patch\n*** Add: a\n*** End Patch"
    assert.strictEqual(inputOf(`cd sub && apply_patch ${document(bad)}`), bad)
  })

  it.each([
    ["another command", "cat <<'EOF'\nx\nEOF"],
    ["another argument", "apply_patch --help"],
    ["two arguments", `apply_patch ${quoted(patch("a"))} b`],
    ["an argument and a document", `apply_patch b ${document(patch("a"))}`],
    ["a command after it", `apply_patch ${document(patch("a"))}\necho done`],
    ["a command after it on the same line", `apply_patch <<'EOF' && echo done\n${patch("a")}\nEOF`],
    ["a pipe", `cat ${document(patch("a"))} | apply_patch`],
    ["a command before it", `echo x && apply_patch ${document(patch("a"))}`],
    ["cd with ;", `cd sub; apply_patch ${document(patch("a"))}`],
    ["cd with |", `cd sub | apply_patch ${document(patch("a"))}`],
    ["cd with ||", `cd sub || apply_patch ${document(patch("a"))}`],
    ["cd of two directories", `cd a b && apply_patch ${document(patch("a"))}`],
    ["two cd", `cd a && cd b && apply_patch ${document(patch("a"))}`],
    ["cd -", `cd - && apply_patch ${document(patch("a"))}`],
    ["cd to a variable", `cd "$X" && apply_patch ${document(patch("a"))}`],
    ["cd to a home", `cd ~/x && apply_patch ${document(patch("a"))}`],
    ["a path above its directory", `cd sub && apply_patch ${document(patch("../a"))}`],
    ["an expansion", `apply_patch "${patch("a")}"`],
    ["a substitution", `apply_patch "$(cat p)"`],
    ["a variable", "apply_patch $PATCH"],
    ["a document without end", `apply_patch <<'EOF'\n${patch("a")}`],
    ["a document with another tag", `apply_patch <<'EOF'\n${patch("a")}\n EOF`],
    ["a redirection", `apply_patch < ${quoted(patch("a"))}`],
    ["an assignment", `A=1 apply_patch ${document(patch("a"))}`],
    ["a shell within a shell", `bash -c ${quoted(`bash -c ${quoted(`apply_patch ${quoted(patch("a"))}`)}`)}`],
    ["a shell with another option", `bash -x ${quoted(`apply_patch ${quoted(patch("a"))}`)}`]
  ])("stays a command: %s", (_, cmd) => {
    assert.isUndefined(inputOf(cmd))
  })

  it("stays a command with a program that is no shell", () => {
    assert.isUndefined(inputOf(`apply_patch ${quoted(patch("a"))}`, { shell: "python3" }))
    assert.strictEqual(inputOf(`apply_patch ${quoted(patch("a"))}`, { shell: "/bin/bash" }), patch("a"))
  })

  it.effect("that is only a patch is refused, before a person is asked", () =>
    Effect.gen(function* () {
      const detail = "The command was not run: it is a patch. Call the tool apply_patch with it."
      assert.strictEqual(yield* exec_command.check!({ cmd: patch("a") }), detail)
      assert.isUndefined(yield* exec_command.check!({ cmd: "ls" }))
      const { turn } = yield* makeTurn
      const failure = yield* ExecCommand.run({ cmd: patch("a") }, "call", { cwd: "/", shell: "/bin/sh" }).pipe(
        Effect.provideService(Turn.Turn, turn),
        Effect.flip
      )
      assert.strictEqual(failure.detail, detail)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it("of a megabyte is read", () => {
    const large = `*** Begin Patch\n*** Add File: a\n${`+${"x".repeat(99)}\n`.repeat(10_000)}*** End Patch`
    assert.strictEqual(inputOf(`apply_patch ${doubled(large)}`), large)
    assert.strictEqual(inputOf(`apply_patch ${document(large)}`), large)
  })
})

describe("what is recognised", () => {
  it("is what bash passes on", () => {
    const pieces = ["'", '"', "\\", "$", "`", "\n", " ", "a", "EOF", "!", "*", "\\n", "'\\''", "&&", "$'"]
    const endings = pieces.flatMap((one) => pieces.flatMap((two) => pieces.map((three) => one + two + three)))
    const lines = ["'", '"', "$'"].flatMap((quote) =>
      endings.flatMap((ending) => {
        const cmd = `apply_patch ${quote}*** Begin Patch ${ending}${quote.slice(-1)}`
        const input = inputOf(cmd)
        return input === undefined ? [] : [{ cmd, input }]
      })
    )
    assert.isAbove(lines.length, 200)
    // one shell for all lines: the function prints its only argument, and a line that is no such call prints something
    // else
    const script = lines.map(({ cmd }) => `eval ${quoted(cmd)}`).join("\n")
    const shown = spawnSync("bash", [], {
      input: `PATH=/nonexistent\napply_patch() { printf '%s:%s\\0' $# "$1"; }\n${script}\n`,
      encoding: "utf8",
      maxBuffer: 1 << 26
    })
    assert.deepStrictEqual(
      shown.stdout.split("\0").slice(0, -1),
      lines.map(({ input }) => `1:${String(input)}`)
    )
  })
})

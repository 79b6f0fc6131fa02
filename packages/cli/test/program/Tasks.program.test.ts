// The program in a git repository: it undoes what a turn has changed, and reviews changes. And commands of the person.
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Attended from "../fixtures/attended.ts"
import { allowed, command, events, run, type World, world } from "../fixtures/program.ts"

const identity = ["-c", "user.name=a", "-c", "user.email=a@b"]

const git = ({ cwd }: Pick<World, "cwd">, ...args: ReadonlyArray<string>) =>
  execFileSync("git", [...identity, ...args], { cwd, encoding: "utf8", stdio: "pipe" })

const read = ({ cwd }: Pick<World, "cwd">, name: string) => Fs.readFileSync(Path.join(cwd, name), "utf8")

const write = ({ cwd }: Pick<World, "cwd">, name: string, text: string) => Fs.writeFileSync(Path.join(cwd, name), text)

/** A world whose working directory is a repository with one file. */
const repository = Effect.fnUntraced(function* (script: Parameters<typeof world>[0]) {
  const at = yield* world(script)
  git(at, "init", "-q", "-b", "main")
  write(at, "a.txt", "one\n")
  git(at, "add", "-A")
  git(at, "commit", "-qm", "first")
  return at
})

describe("spindle undo", () => {
  it.live("takes back what the last turn changed, and tells the model", () =>
    Effect.gen(function* () {
      const at = yield* repository({
        turns: [
          { events: [command("echo two > a.txt; echo new > b.txt")] },
          { events: [{ text: "done" }] },
          { events: [{ text: "I see." }] }
        ]
      })
      yield* run(at, ["exec", ...allowed, "change it"])
      assert.strictEqual(read(at, "a.txt"), "two\n")

      const dry = yield* run(at, ["undo", "--dry-run"])
      assert.deepStrictEqual([dry.code, dry.stdout], [0, "nothing was changed\n"])
      assert.include(dry.stderr, "an undo would change 2 files\n    M a.txt\n    D b.txt\n")
      assert.strictEqual(read(at, "a.txt"), "two\n")

      const undone = yield* run(at, ["undo"])
      assert.deepStrictEqual([undone.code, undone.stdout], [0, "undid the last changes: 2 files\n"])
      assert.strictEqual(read(at, "a.txt"), "one\n")
      assert.isFalse(Fs.existsSync(Path.join(at.cwd, "b.txt")))

      const nothing = yield* run(at, ["undo"])
      assert.strictEqual(nothing.code, 1)
      assert.include(nothing.stderr, "there is no change of a turn to undo")

      assert.strictEqual((yield* run(at, ["undo", "--redo"])).code, 0)
      assert.strictEqual(read(at, "b.txt"), "new\n")

      write(at, "a.txt", "by the user\n")
      const refused = yield* run(at, ["undo"])
      assert.strictEqual(refused.code, 1)
      assert.include(refused.stderr, "a.txt was changed since")
      assert.strictEqual(read(at, "a.txt"), "by the user\n")
      assert.strictEqual((yield* run(at, ["undo", "--force"])).code, 0)
      assert.strictEqual(read(at, "a.txt"), "one\n")

      yield* run(at, ["exec", ...allowed, "resume", "--last", "what happened?"])
      assert.include(
        JSON.stringify(at.server.requests.at(-1)!.body.input),
        "The user undid the file changes of your last turn"
      )
      assert.strictEqual(git(at, "status", "--porcelain"), "")
      assert.strictEqual(git(at, "count-objects").split(" ")[0], "3")
    })
  )

  it.live("outside a repository says that nothing can be undone", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [command("echo one > a.txt")] }, { events: [{ text: "done" }] }] })
      const none = yield* run(at, ["undo", "--dry-run"])
      assert.include(none.stderr, `there is no session of ${at.cwd} with a change to undo`)
      const first = yield* run(at, ["exec", ...allowed, "change it"])
      assert.deepStrictEqual([first.code, first.stdout], [0, "done\n"])
      const { code, stderr } = yield* run(at, ["undo"])
      assert.strictEqual(code, 1)
      assert.include(stderr, "there is no change of a turn to undo")
    })
  )
})

describe("spindle review", () => {
  const found = JSON.stringify({
    findings: [
      {
        title: "Two is wrong",
        body: "It was one.",
        priority: 1,
        code_location: { path: "a.txt", line_range: { start: 1, end: 1 } }
      }
    ],
    overall_explanation: "One bug.",
    overall_correctness: "incorrect"
  })

  it.live("writes the findings to stdout, and fails for one that is urgent enough", () =>
    Effect.gen(function* () {
      const at = yield* repository({
        turns: [
          { events: [{ call: "read_file", args: { path: "a.txt" }, callId: "r1" }] },
          { events: [{ text: found }] },
          { events: [{ text: found }] },
          { events: [{ text: found }] }
        ]
      })
      write(at, "a.txt", "two\n")
      const text = yield* run(at, ["review"])
      assert.deepStrictEqual(
        [text.code, text.stdout],
        [0, "One bug.\n\nVerdict: incorrect\n\n[P1] Two is wrong — a.txt:1\n  It was one.\n"]
      )
      const [first, second] = at.server.requests.map(({ body }) => JSON.stringify(body.input))
      assert.include(first, "+two")
      assert.include(second, "1\\ttwo")

      assert.include((yield* run(at, ["sessions", "list"])).stdout, "reviewing changes that are not committed")
      assert.include(text.stderr, "✓ review is done")
      assert.notInclude(text.stderr, '"findings"')

      const strict = yield* run(at, ["review", "--fail-on", "1", "--json"])
      assert.strictEqual(strict.code, 4)
      const exited = events(strict).find((line) => line.type === "task.note" && line.name === "review.exited")
      assert.strictEqual(exited.data.output.findings[0].title, "Two is wrong")
      assert.strictEqual((yield* run(at, ["review", "--fail-on", "0"])).code, 0)
    })
  )

  it.live("says what is wrong with its target", () =>
    Effect.gen(function* () {
      const at = yield* repository({ turns: [] })
      for (const [args, message] of [
        [["review"], "there is nothing to review: every change is committed"],
        [["review", "--base", "nope"], 'git knows no revision "nope"'],
        [["review", "--commit", "--upload-pack"], "--commit needs a value"],
        [["review", "--base", "main", "a text"], "instructions and --base cannot be used together"]
      ] as const) {
        const { code, stderr } = yield* run(at, args)
        assert.include([1, 2], code)
        assert.include(stderr, message)
      }
      Fs.rmSync(Path.join(at.cwd, ".git"), { recursive: true })
      const outside = yield* run(at, ["review"])
      assert.strictEqual(outside.code, 1)
      assert.include(outside.stderr, "is not in a git repository")
    })
  )
})

describe("a prompt that begins with !", () => {
  it.live.runIf(process.platform === "linux")(
    "runs the command in the shell of the person at the terminal, and the model reads it in the next turn",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const at = yield* world({ turns: [{ events: [{ text: "I see." }] }] })
          const terminal = yield* Attended.start(at, ["exec", "!touch made; echo one; exit 3"])
          assert.strictEqual((yield* terminal.ended).code, 3)
          assert.match(terminal.text(), /\$ touch made; echo one; exit 3\r\n[^]*one\r\n[^]*exit code 3/)
          assert.isTrue(Fs.existsSync(Path.join(at.cwd, "made")))
          assert.lengthOf(at.server.requests, 0)
          yield* run(at, ["exec", ...allowed, "resume", "--last", "what happened?"])
          const { input } = at.server.requests[0]!.body
          assert.include(
            JSON.stringify(input),
            "<command>\\ntouch made; echo one; exit 3\\n</command>\\n<result>\\nexit code 3\\none"
          )
        })
      )
  )

  it.live("is for the model where no person is at the terminal: a script may pass on what somebody else wrote", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "No." }] }] })
      const { code, stdout } = yield* run(at, ["exec", ...allowed, "!touch made"])
      assert.deepStrictEqual([code, stdout], [0, "No.\n"])
      assert.isFalse(Fs.existsSync(Path.join(at.cwd, "made")))
      assert.include(JSON.stringify(at.server.requests[0]!.body.input), "!touch made")
    })
  )
})

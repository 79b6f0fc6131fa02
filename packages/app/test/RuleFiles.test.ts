import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as CommandRules from "@spindle/tools/CommandRules"
import { Effect, Logger } from "effect"
import * as RuleFiles from "../src/RuleFiles.ts"
import { sessionId, settledBy } from "./fixtures/events.ts"

let root: string
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "spindle-rules-")))
})
afterEach(() => rmSync(root, { recursive: true }))

const home = () => join(root, "home")
const cwd = () => join(root, "project")
const read = () => RuleFiles.read({ home: home(), cwd: cwd() })
const decisionOf = (line: string) => CommandRules.ruleFor(read().rules, line.split(" "))?.decision

const write = (file: string, text: string): string => {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}
const ofHome = (text: string, name = "a.rules") => write(join(home(), "rules", name), text)
const ofProject = (text: string) => write(join(cwd(), ".spindle", "rules", "b.rules"), text)

describe("read", () => {
  it("finds no rules where there are no files", () => {
    assert.deepStrictEqual(read(), { rules: [], problems: [], untrusted: [] })
  })

  it("reads every file of the home, each time", () => {
    ofHome('prefix_rule(pattern=["make"])')
    ofHome('prefix_rule(pattern=["make", "clean"], decision="forbid")', "b.rules")
    ofHome('prefix_rule(pattern=["ls"])', "notes.txt")
    assert.deepStrictEqual(["make a", "make clean", "ls"].map(decisionOf), ["allow", "forbid", undefined])
    ofHome("", "b.rules")
    assert.strictEqual(decisionOf("make clean"), "allow")
  })

  it("reads a file of the project only while its content is trusted", () => {
    const file = ofProject('prefix_rule(pattern=["make"])')
    assert.deepStrictEqual(read(), { rules: [], problems: [], untrusted: [file] })
    const [warning = ""] = RuleFiles.warningsOf(home(), read())
    ofHome("")
    execFileSync("sh", ["-c", warning.slice(warning.indexOf("sha256sum"))])
    assert.strictEqual(decisionOf("make"), "allow")
    assert.deepStrictEqual(RuleFiles.warningsOf(home(), read()), [])
    ofProject('prefix_rule(pattern=["make"]) ')
    assert.isUndefined(decisionOf("make"))
    assert.deepStrictEqual(read().untrusted, [file])
  })

  it("names file, line and column of an error, and asks where a file cannot be read", () => {
    const file = ofHome('prefix_rule(pattern=["make"])\nprefix_rule(pattern=["rm" "x"])')
    assert.deepStrictEqual(RuleFiles.warningsOf(home(), read()), [`${file}:2:27: expected ",", found the text "x"`])
    assert.deepStrictEqual(["make", "rm x"].map(decisionOf), ["allow", "prompt"])
    mkdirSync(join(home(), "rules", "c.rules"))
    assert.deepStrictEqual(["make", "ls"].map(decisionOf), ["prompt", "prompt"])
    assert.include(RuleFiles.warningsOf(home(), read())[1], "c.rules:1:1: cannot read it: EISDIR")
  })

  it("asks about every command if the directory cannot be listed", () => {
    write(join(home(), "rules"), "a file")
    assert.strictEqual(decisionOf("ls"), "prompt")
  })
})

describe("allowUnsafe", () => {
  const amended = () => readFileSync(join(home(), "rules", "default.rules"), "utf8")

  it("adds each rule once, to what is there", () => {
    RuleFiles.allowUnsafe(home(), [
      ["make", "a"],
      ["make", "b c"],
      ["make", "a"]
    ])
    RuleFiles.allowUnsafe(home(), [["make", "b c"]])
    assert.lengthOf(amended().split("\n"), 3)
    assert.deepStrictEqual(["make a x", "make b", "make"].map(decisionOf), ["allow", undefined, undefined])
    assert.strictEqual(CommandRules.ruleFor(read().rules, ["make", "b c"])?.decision, "allow")
  })

  it("begins a line after a file without a last line end", () => {
    ofHome("# mine", "default.rules")
    RuleFiles.allowUnsafe(home(), [["make"]])
    assert.strictEqual(amended(), '# mine\nprefix_rule(pattern = ["make"], decision = "allow")\n')
  })

  it("fails if the file cannot be read", () => {
    mkdirSync(join(home(), "rules", "default.rules"), { recursive: true })
    assert.throws(() => RuleFiles.allowUnsafe(home(), [["make"]]), /default\.rules: EISDIR/)
  })
})

describe("amendments", () => {
  const answer = (amendment: unknown) => settledBy({ _tag: "Approved", scope: "once", amendment: amendment as null })
  /** What an observer logs about an answer. */
  const logged = (amendment: unknown) =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      yield* Effect.gen(function* () {
        const observer = yield* RuleFiles.amendments(home())
        observer.onEvent(sessionId, answer(amendment))
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
      return lines
    })

  it.effect("writes the rules that an answer allows, and nothing for an answer without rules", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* logged("no rule"), [])
      assert.isUndefined(decisionOf("make a"))
      assert.deepStrictEqual(yield* logged([["make"]]), [])
      assert.strictEqual(decisionOf("make a"), "allow")
    })
  )

  it.effect("logs why a rule cannot be written", () =>
    Effect.gen(function* () {
      mkdirSync(join(home(), "rules", "default.rules"), { recursive: true })
      const [line, ...more] = yield* logged([["make"]])
      assert.match(line!, /^cannot write the rule: .*default\.rules: EISDIR$/)
      assert.deepStrictEqual(more, [])
    })
  )
})

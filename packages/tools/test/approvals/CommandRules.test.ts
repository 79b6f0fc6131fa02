import { assert, describe, it } from "@effect/vitest"
import * as Rules from "../../src/CommandRules.ts"

const file = "/home/x/rules/default.rules"
const decisionOf = (text: string, command: string) =>
  Rules.ruleFor(Rules.parse(file, text).rules, command.split(" "))?.decision

const problemsOf = (text: string) =>
  Rules.parse(file, text).problems.map((problem) => `${Rules.textOf(problem)}: ${problem.message}`)

const complete = `# what this project needs
prefix_rule(pattern = ["npm", ["test", "ci"]], decision = "allow")
prefix_rule(
    pattern = ["git", "push"],   # to the server
    decision = 'prompt',
    justification = "it changes the \\"server\\"",
    match = ["git push origin", ["git", "push"]],
    not_match = ["git pull"],
)
prefix_rule(pattern=["rm"], decision="forbidden")
prefix_rule(pattern=["r\\u006ddir"], decision="forbid")
prefix_rule(pattern=["git"])
`

describe("parse", () => {
  it("reads rules", () => {
    const { problems, rules } = Rules.parse(file, complete)
    assert.deepStrictEqual(problems, [])
    assert.deepStrictEqual(rules[1], {
      pattern: [["git"], ["push"]],
      decision: "prompt",
      justification: 'it changes the "server"',
      place: { file, line: 3, column: 1 }
    })
    assert.deepStrictEqual(
      rules.map(({ decision, pattern }) => [decision, ...pattern]),
      [
        ["allow", ["npm"], ["test", "ci"]],
        ["prompt", ["git"], ["push"]],
        ["forbid", ["rm"]],
        ["forbid", ["rmdir"]],
        ["allow", ["git"]]
      ]
    )
  })

  it("reads what is written for an amendment", () => {
    for (const words of [
      ["npm", "test"],
      ["git", "commit", "-m", 'a "b" \\ü', ""]
    ]) {
      const { problems, rules } = Rules.parse(file, Rules.allowLine(words))
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(
        rules.map(({ decision, pattern }) => [decision, pattern]),
        [["allow", words.map((word) => [word])]]
      )
    }
  })

  const errors: { readonly [text: string]: string } = {
    'prefix_rule(pattern=["rm" "x"])': '1:27: expected ",", found the text "x"',
    'prefix_rule(pattern=["rm])': "1:22: expected a text or a list, found a text that is not closed",
    "prefix_rule(pattern=[": "1:22: expected a text or a list, found the end of the file",
    'prefix_rule(pattern=[[["rm"]]])': '1:23: expected a text, found "["',
    'prefix_rule["rm"]': '1:12: expected "(", found "["',
    "\n  ?": '2:3: expected the name of a function, found "?"',
    'prefix_rule(pattern=["rm"], decision="deny")': "1:38: the decision must be allow, prompt or forbid",
    'prefix_rule(pattern=["rm"], decision=["prompt"])': "1:38: the decision must be allow, prompt or forbid",
    'prefix_rule(patern=["rm"])': "1:13: prefix_rule has no argument patern",
    'prefix_rule(pattern=["rm"], pattern=["ls"])': "1:29: the argument pattern is given twice",
    'prefix_rule(pattern="rm")': '1:21: the pattern must be a list of words, such as ["git", "status"]',
    "prefix_rule(pattern=[])": '1:21: the pattern must be a list of words, such as ["git", "status"]',
    'prefix_rule(pattern=["rm", []])': "1:28: a word of the pattern must be a text or a list of texts",
    "prefix_rule()": "1:1: the rule has no pattern",
    'prefix_rule(pattern=["rm"], justification=["x"])': "1:43: the justification must be a text",
    'suffix_rule(pattern=["rm"])': "1:1: there is no function suffix_rule",
    'prefix_rule(pattern=["rm"], match=["rmdir x"])': "1:36: the rule does not match this example",
    'prefix_rule(pattern=["rm"], not_match=["rm x"])': "1:40: the rule matches this example",
    'prefix_rule(pattern=["rm"], match=["rm $x"])': "1:36: an example must be one plain command",
    'prefix_rule(pattern=["rm"], match="rm")': "1:35: the examples must be a list of commands"
  }
  for (const [text, problem] of Object.entries(errors)) {
    it(`names file, line and column: ${problem}`, () => {
      assert.include(problemsOf(text), `${file}:${problem}`)
    })
  }

  it("keeps the other rules of a file with an error", () => {
    const text = `${complete}prefix_rule(pattern = ["docker" "rm"])\nprefix_rule(pattern = ["ls"])`
    assert.lengthOf(problemsOf(text), 1)
    assert.strictEqual(decisionOf(text, "npm test"), "allow")
    assert.strictEqual(decisionOf(text, "rm x"), "forbid")
    assert.strictEqual(decisionOf(text, "ls"), "allow")
    assert.strictEqual(decisionOf(text, "docker ps"), "prompt")
  })

  it("keeps the restriction of a rule with an error", () => {
    const allowed = 'prefix_rule(pattern=["git"])\n'
    const broken: { readonly [text: string]: Rules.RuleDecision } = {
      'prefix_rule(pattern=["git", "push"], decision="forbiden")': "forbid",
      'prefix_rule(pattern=["git", "push"], decision="forbid", match=["git pull"])': "forbid",
      'prefix_rule(pattern=["git", "push"], decision="prompt", reason="x")': "prompt",
      'prefix_rule(pattern=["git", "push"], reason="x")': "prompt",
      'prefix_rule(pattern=["git" "push"], decision="forbid")': "forbid",
      'prefix_rule(pattern=["git, "push"], decision="forbid")': "forbid",
      'prefix_rule(pattern=["g\\u0069t" "push"], decision="prompt")': "prompt",
      'prefix_rule(decision="forbid", pattern=["git", "push")': "forbid",
      'prefix_rul(pattern=["git", "push"], decision="forbid")': "forbid",
      'prefix_rule(pattern=["a" "b"]) prefix_rule(pattern=["git", "push"], decision="forbid")': "forbid",
      'prefix_rule(pattern=["a]) prefix_rule(pattern=["git", "push"], decision="forbid")': "forbid"
    }
    for (const [text, decision] of Object.entries(broken)) {
      assert.strictEqual(decisionOf(allowed + text, "git push origin"), decision, text)
      assert.strictEqual(decisionOf(text + allowed, "git push origin"), decision, text)
    }
  })

  it("never makes a file with an error more permissive, wherever a character is lost or inserted", () => {
    const commands = ["git push origin", "rm -rf x", "rmdir x", "/bin/rm x"]
    // a change inside this name makes it another one
    const inName = complete.indexOf('"rm"') + 2
    let broken = 0
    for (let at = 0; at < complete.length; at++) {
      for (const inserted of at === inName ? [] : ["", '"', "'", ")", "]", "?"]) {
        const text = complete.slice(0, at) + inserted + complete.slice(inserted === "" ? at + 1 : at)
        const { problems, rules } = Rules.parse(file, text)
        if (problems.length === 0) continue
        broken++
        for (const command of commands) {
          const decision = Rules.ruleFor(rules, command.split(" "))?.decision
          assert.isTrue(decision === "prompt" || decision === "forbid", `${command}: ${decision}\n${text}`)
        }
      }
    }
    assert.isAbove(broken, 1_000)
  })

  it("reads many brackets without a deep recursion", () => {
    assert.lengthOf(problemsOf("[".repeat(200_000)), 1)
    assert.lengthOf(problemsOf(`prefix_rule(pattern=${"[".repeat(200_000)}`), 1)
  })
})

describe("ruleFor", () => {
  it("returns the strictest of the rules that match", () => {
    assert.strictEqual(decisionOf(complete, "git push origin"), "prompt")
    assert.strictEqual(decisionOf(complete, "git status"), "allow")
    assert.strictEqual(decisionOf(complete, "npm ci --force"), "allow")
    assert.isUndefined(decisionOf(complete, "npm install"))
    assert.isUndefined(decisionOf(complete, "np"))
  })

  it("restricts a program by its path, and does not allow it", () => {
    assert.strictEqual(decisionOf(complete, "/bin/rm x"), "forbid")
    assert.strictEqual(decisionOf(complete, "./git push"), "prompt")
    assert.isUndefined(decisionOf(complete, "./npm test"))
  })

  it("asks about every command if a file cannot be read", () => {
    const { problems, rules } = Rules.concat([
      Rules.parse(file, complete),
      Rules.makeUnreadable("/x", "permission denied")
    ])
    assert.deepStrictEqual(problems, [{ file: "/x", line: 1, column: 1, message: "permission denied" }])
    assert.strictEqual(Rules.ruleFor(rules, ["npm", "test"])?.decision, "prompt")
    assert.strictEqual(Rules.ruleFor(rules, ["rm"])?.decision, "forbid")
  })
})

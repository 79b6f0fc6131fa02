import { assert, describe, it } from "@effect/vitest"
import * as CodingTools from "../../src/CodingTools.ts"
import * as CommandApproval from "../../src/CommandApproval.ts"
import * as CommandRules from "../../src/CommandRules.ts"

const { problems, rules } = CommandRules.parse(
  "/rules",
  `prefix_rule(pattern=["npm", "test"])
prefix_rule(pattern=["git", "push"], decision="prompt", justification="it changes the server")
prefix_rule(pattern=["rm"], decision="forbid")`
)

const options: CommandApproval.Options = {
  policy: "untrusted",
  containment: "sandbox",
  sandbox: "writes nothing",
  rules: () => rules
}

const cwd = "/work"
const decided = (line: string, more: Partial<CommandApproval.CommandLine> = {}) => {
  const { permission, source } = CommandApproval.ruling(options, { line, cwd, ...more })
  return `${permission} ${source}`
}

describe("ruling", () => {
  it("lets rules decide about plain lines", () => {
    assert.deepStrictEqual(problems, [])
    assert.strictEqual(decided("npm test"), "allow rule")
    assert.strictEqual(decided("bash -lc 'npm test -- -x'"), "allow rule")
    assert.strictEqual(decided("npm test | grep -c ok"), "allow rule")
    assert.strictEqual(decided("cat a && rm a"), "deny rule")
    assert.strictEqual(decided("git push; rm a"), "deny rule")
    assert.strictEqual(decided("npm test && git push"), "ask rule")
    assert.strictEqual(decided("ls -la"), "allow policy")
  })

  it("A4 lets nothing out of a sandbox that bounds the agent, whatever the policy and the rules say", () => {
    for (const policy of ["on-request", "on-failure", "untrusted", "never"] as const) {
      const bound = { ...options, policy, isBound: true }
      const escalated = CommandApproval.ruling(bound, { line: "npm test", cwd, isEscalated: true })
      assert.strictEqual(escalated.permission, "deny")
      assert.strictEqual(CommandApproval.ruling(bound, { line: "npm test", cwd }).permission, "allow")
    }
  })

  it("allows a line only if each of its commands is allowed or only reads", () => {
    assert.strictEqual(decided("npm test; npm publish"), "ask policy")
    assert.strictEqual(decided("npm test && cd /x && git status"), "ask policy")
    assert.strictEqual(decided("npm test && git status"), "allow rule")
    assert.strictEqual(decided("npm test && git status", { isElsewhere: true }), "ask policy")
  })

  it("does not take a line for safe after a command that changes what git is, even if a rule allows that one", () => {
    const rule = CommandRules.parse("/rules", 'prefix_rule(pattern=["export"])\nprefix_rule(pattern=["pushd"])')
    const permissionOf = (line: string) =>
      CommandApproval.ruling({ ...options, rules: () => rule.rules }, { line, cwd }).permission
    const lines = ["export GIT_DIR=/x && git status", "pushd /x && git log", "git status", "pushd /x"]
    assert.deepStrictEqual(lines.map(permissionOf), ["ask", "ask", "allow", "allow"])
  })

  it("does not judge a line that is not plain, nor one for another shell", () => {
    for (const line of ["npm test > f", "npm test $x", "ls *", "npm test & npm test"]) {
      assert.strictEqual(decided(line), "ask policy", line)
    }
    assert.strictEqual(decided("npm test", { shell: "/usr/bin/fish" }), "ask policy")
    assert.strictEqual(decided("npm test", { shell: "/bin/bash" }), "allow rule")
  })

  it("asks about a line that is not plain and mentions what a rule restricts", () => {
    const onRequest: CommandApproval.Options = { ...options, policy: "on-request" }
    const of = (line: string) => CommandApproval.ruling(onRequest, { line, cwd })
    assert.strictEqual(of("rm $x").permission, "ask")
    assert.strictEqual(of("rm $x").source, "rule")
    assert.strictEqual(of("ls $x").permission, "allow")
  })
})

describe("keys", () => {
  const keys = (line: string, more: Partial<CommandApproval.CommandLine> = {}) =>
    CommandApproval.keys({ line, cwd, ...more })

  it("are those of the commands of a line", () => {
    assert.lengthOf(keys("make a && make b && make a"), 2)
    assert.includeMembers([...keys("make a; make b")], [...keys("make b"), ...keys("bash -c 'make a'")])
  })

  it("differ by words, directory, shell and escalation", () => {
    const all = [
      keys("make a"),
      keys("make 'a b'"),
      keys("make a b"),
      keys("make a", { cwd: "/other" }),
      keys("make a", { shell: "fish" }),
      keys("make a", { isEscalated: true }),
      keys("make $a")
    ].flat()
    assert.lengthOf(new Set(all), all.length)
  })

  it("are that of the line if one command changes what the next one does", () => {
    for (const line of ["cd /x && make a", "export A=b; make a", "make a > f"]) {
      assert.lengthOf(keys(line), 1)
      assert.notInclude(keys(line), keys("make a")[0])
    }
  })
})

describe("explain", () => {
  const of = (line: string) => CommandApproval.explain(options, { line, cwd })

  it("gives the reason, what the sandbox allows, and the commands to allow from now on", () => {
    assert.deepStrictEqual(of("make a && npm test | make b; ls"), {
      reason: "it may do more than read",
      sandbox: "writes nothing",
      amendment: [
        ["make", "a"],
        ["make", "b"]
      ]
    })
  })

  it("offers no rule that would not help or would allow too much", () => {
    for (const line of [
      "git push",
      "make $a",
      "cd x && make a",
      "python3 -c 'x'",
      "sudo make a",
      "make a; node x",
      "sh x"
    ]) {
      assert.isUndefined(of(line).amendment, line)
    }
  })

  it("reads an amendment, and nothing else", () => {
    assert.deepStrictEqual(CommandApproval.amendmentOf([["make", "a"]]), [["make", "a"]])
    for (const other of [undefined, null, [], [[]], [[""]], [["a", 1]], "a", [["a"], "b"], { 0: ["a"] }]) {
      assert.isUndefined(CommandApproval.amendmentOf(other))
    }
  })
})

describe("the policies of the coding tools", () => {
  const policies = (approval: CodingTools.ApprovalMode) => CodingTools.policies({ approval, cwd })
  const permissionOf = (approval: unknown, params: unknown) =>
    typeof approval === "function" ? approval(params, {}).permission : approval

  it("decide about commands by rules, and ask about patches without full access", () => {
    const { apply_patch, exec_command } = policies(options)
    assert.strictEqual(permissionOf(exec_command.approval, { cmd: "npm test" }), "allow")
    assert.strictEqual(permissionOf(exec_command.approval, { cmd: "rm x" }), "deny")
    assert.strictEqual(permissionOf(apply_patch.approval, { input: "" }), "ask")
    const free = policies({ policy: "never", containment: "full-access" })
    assert.strictEqual(permissionOf(free.apply_patch.approval, { input: "" }), "allow")
    const contained = policies({ policy: "never", containment: "sandbox" })
    assert.strictEqual(permissionOf(contained.apply_patch.approval, { input: "" }), "deny")
  })

  it("show the command, its directory, both reasons and what the sandbox allows", () => {
    const { payload } = policies(options).exec_command
    assert.deepStrictEqual(payload?.({ cmd: "make $a", workdir: "sub", justification: "to build" }, {}), {
      command: "make $a",
      cwd: "/work/sub",
      justification: "to build",
      reason: "it may do more than read",
      sandbox: "writes nothing"
    })
  })

  it("ask about git in another directory, whose configuration may name programs", () => {
    const { approval } = policies(options).exec_command
    const of = (workdir: string | undefined) =>
      permissionOf(approval, { cmd: "git status", ...(workdir === undefined ? {} : { workdir }) })
    assert.deepStrictEqual([undefined, ".", "./", "/work", "/work/"].map(of), Array(5).fill("allow"))
    assert.deepStrictEqual(["sub", "..", "/work/sub", "/tmp/x", "/work/../x"].map(of), Array(5).fill("ask"))
    assert.strictEqual(permissionOf(approval, { cmd: "ls", workdir: "sub" }), "allow")
    // so long that time which is not linear in it would not end
    assert.strictEqual(of(`/work${"/.".repeat(1_000_000)}x`), "ask")
  })

  it("see an escalation", () => {
    const { approval } = policies({ ...options, policy: "on-request" }).exec_command
    assert.strictEqual(permissionOf(approval, { cmd: "make a" }), "allow")
    assert.strictEqual(permissionOf(approval, { cmd: "make a", sandbox_permissions: "require_escalated" }), "ask")
  })
})

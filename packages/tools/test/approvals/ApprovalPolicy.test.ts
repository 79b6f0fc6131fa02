import { assert, describe, it } from "@effect/vitest"
import { type ApprovalPolicy, type Circumstances, decide, nameOf } from "../../src/ApprovalPolicy.ts"

const granular = (sandboxApproval: boolean, rules: boolean): ApprovalPolicy => ({ sandboxApproval, rules })

/** The policies of the columns below. */
const policies: ReadonlyArray<ApprovalPolicy> = [
  "never",
  "on-request",
  "on-failure",
  "untrusted",
  granular(true, true),
  granular(false, true),
  granular(true, false)
]

const forbid = { decision: "forbid" } as const
const prompt = { decision: "prompt" } as const
const allow = { decision: "allow" } as const

// a: allow, q: ask, d: deny; never, on-request, on-failure, untrusted, granular with both, without sandbox, without
// rules
const table: ReadonlyArray<readonly [permissions: string, what: string, call: Partial<Circumstances>]> = [
  ["a a a q a a a", "a command in a sandbox", { containment: "sandbox" }],
  ["a a a a a a a", "a command that only reads, in a sandbox", { containment: "sandbox", isSafe: true }],
  ["a a a q a a a", "a command with full access", { containment: "full-access" }],
  ["a a a q a a a", "an escalation of full access", { containment: "full-access", isEscalated: true }],
  ["d q q q q d q", "a command without a sandbox", { containment: "missing" }],
  ["a a a a a a a", "a command that only reads, without a sandbox", { containment: "missing", isSafe: true }],
  ["d q d d q d q", "an escalation", { containment: "sandbox", isEscalated: true }],
  [
    "d q d d q d q",
    "an escalation of a command that only reads",
    { containment: "sandbox", isEscalated: true, isSafe: true }
  ],
  ["d q q q q d q", "an escalation without a sandbox", { containment: "missing", isEscalated: true }],
  ["d d q q q d q", "a command that the sandbox blocked", { containment: "sandbox", wasBlocked: true }],
  [
    "d d q q q d q",
    "a command that only reads and was blocked",
    { containment: "sandbox", wasBlocked: true, isSafe: true }
  ],
  ["a a a a a a a", "a command that a rule allows", { containment: "missing", rule: allow }],
  ["a a a a a a a", "an escalation that a rule allows", { containment: "sandbox", isEscalated: true, rule: allow }],
  ["d q q q q q d", "a command that a rule asks about", { containment: "full-access", rule: prompt }],
  ["d q q q q q d", "a reading command that a rule asks about", { containment: "sandbox", rule: prompt, isSafe: true }],
  ["d d d d d d d", "a command that a rule forbids", { containment: "full-access", rule: forbid }],
  ["d d d d d d d", "a reading command that a rule forbids", { containment: "sandbox", rule: forbid, isSafe: true }],
  ["a a a a a a a", "a tool that is allowed", { containment: "missing", annotation: "allow" }],
  [
    "d q q q q q d",
    "a tool that is allowed and a rule asks about",
    { containment: "missing", annotation: "allow", rule: prompt }
  ],
  ["d d d d d d d", "a tool that is denied", { containment: "full-access", annotation: "deny", rule: allow }]
]

const letters = { allow: "a", ask: "q", deny: "d" } as const

describe("decide", () => {
  for (const [permissions, what, call] of table) {
    it(`returns for each policy what happens to ${what}`, () => {
      const decided = policies.map(
        (policy) => letters[decide({ policy, containment: "missing", annotation: "ask", ...call }).permission]
      )
      assert.strictEqual(decided.join(" "), permissions)
    })
  }

  it("names the source, and the reason for the model or the person", () => {
    const call: Circumstances = { policy: "never", containment: "missing", annotation: "ask" }
    assert.deepStrictEqual(decide(call), {
      permission: "deny",
      source: "policy",
      reason: "the approval policy is never, and there is no sandbox"
    })
    assert.deepStrictEqual(decide({ ...call, rule: { ...forbid, justification: "it is slow" } }), {
      permission: "deny",
      source: "rule",
      reason: "a rule forbids this command: it is slow"
    })
    assert.deepStrictEqual(decide({ ...call, policy: "on-failure", rule: { ...prompt, justification: "why" } }), {
      permission: "ask",
      source: "rule",
      reason: "a rule asks about this command: why"
    })
    assert.deepStrictEqual(decide({ ...call, rule: prompt }), {
      permission: "deny",
      source: "policy",
      reason: "a rule asks about this command, and the approval policy is never"
    })
    const escalated = decide({ ...call, policy: "on-failure", containment: "sandbox", isEscalated: true })
    assert.include(escalated.reason, "the approval policy is on-failure")
    assert.include(escalated.reason, "without sandbox_permissions")
    assert.strictEqual(
      decide({ ...call, policy: "on-failure", containment: "sandbox", wasBlocked: true }).reason,
      "the sandbox blocked it"
    )
  })

  it("never lets a policy that asks less allow what a rule restricts", () => {
    for (const policy of policies) {
      for (const containment of ["sandbox", "full-access", "missing"] as const) {
        for (const isSafe of [true, false]) {
          const call: Circumstances = { policy, containment, annotation: "ask", isSafe }
          assert.notStrictEqual(decide({ ...call, rule: prompt }).permission, "allow", nameOf(policy))
          assert.strictEqual(decide({ ...call, rule: forbid }).permission, "deny", nameOf(policy))
        }
      }
    }
  })
})

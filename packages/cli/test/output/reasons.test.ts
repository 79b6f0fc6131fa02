import { assert, describe, it } from "@effect/vitest"
import type * as Settings from "@spindle/app/Settings"
import { refuseUnattended } from "../../src/output/reasons.ts"

describe("refuseUnattended", () => {
  type Row = readonly [
    approvalPolicy: Settings.ApprovalPolicy,
    sandboxMode: Settings.SandboxMode,
    isSandboxed: boolean,
    notice: string
  ]
  const rows: ReadonlyArray<Row> = [
    [
      "on-request",
      "read-only",
      true,
      "no terminal to ask at: patches are refused (--sandbox workspace-write runs them)"
    ],
    [
      "on-request",
      "read-only",
      false,
      "no terminal to ask at: commands and patches are refused (--sandbox danger-full-access runs them)"
    ],
    ["never", "read-only", true, "approval_policy is never: patches are refused (--sandbox workspace-write runs them)"],
    [
      "never",
      "workspace-write",
      false,
      "approval_policy is never, and there is no sandbox: commands and patches are refused (--sandbox danger-full-access runs them)"
    ],
    [
      "untrusted",
      "workspace-write",
      true,
      "no terminal to ask at: commands and patches are refused (--dangerously-bypass-approvals-and-sandbox runs them)"
    ]
  ]
  for (const [approvalPolicy, sandboxMode, isSandboxed, notice] of rows) {
    it(`names what is refused with ${approvalPolicy} and ${sandboxMode} ${isSandboxed ? "in" : "without"} a sandbox`, () => {
      const settings = { approvalPolicy, sandboxMode } as Settings.Settings
      assert.strictEqual(refuseUnattended(settings, isSandboxed).notice, notice)
    })
  }
})

import { assert, describe, it } from "@effect/vitest"
import { type HookEnd, type HookResult, read } from "../../src/hooks/hookOutput.ts"
import { events, type HookEvent } from "../../src/hooks/HookSettings.ts"

const end = (stdout: string | object, more: Partial<HookEnd> = {}): HookEnd => ({
  exitCode: 0,
  stdout: typeof stdout === "string" ? stdout : JSON.stringify(stdout),
  stderr: "",
  ...more
})
const withContext = { hookSpecificOutput: { additionalContext: "ctx" } }

type Case = readonly [name: string, HookEvent, HookEnd, HookResult]

const cases: ReadonlyArray<Case> = [
  ["no output", "UserPromptSubmit", end(""), { status: "completed" }],
  ["text is a context", "UserPromptSubmit", end("hello\n"), { status: "completed", context: "hello" }],
  ["context", "SessionStart", end(withContext), { status: "completed", context: "ctx" }],
  [
    "block with a reason keeps its context",
    "UserPromptSubmit",
    end({ decision: "block", reason: "no", ...withContext }),
    { status: "blocked", reason: "no", context: "ctx" }
  ],
  [
    "block without a reason fails and drops its context",
    "UserPromptSubmit",
    end({ decision: "block", reason: " ", ...withContext }),
    { status: "failed", reason: "it blocks without a reason" }
  ],
  [
    "stop keeps its context",
    "UserPromptSubmit",
    end({ continue: false, stopReason: "enough", systemMessage: "hey", ...withContext }),
    { status: "stopped", reason: "enough", context: "ctx", warning: "hey" }
  ],
  [
    "code 2 blocks with standard error",
    "UserPromptSubmit",
    end("ignored", { exitCode: 2, stderr: "no\n" }),
    { status: "blocked", reason: "no" }
  ],
  [
    "code 2 without a reason fails",
    "UserPromptSubmit",
    end("", { exitCode: 2, stderr: " " }),
    { status: "failed", reason: "it exited with code 2 without a reason on standard error" }
  ],
  ["another code fails", "Stop", end("", { exitCode: 3 }), { status: "failed", reason: "it exited with code 3" }],
  ["a signal fails", "Stop", end("", { exitCode: null }), { status: "failed", reason: "a signal ended it" }],
  [
    "what looks like JSON and is none fails",
    "UserPromptSubmit",
    end("{ nope"),
    { status: "failed", reason: "its output is not valid JSON of a hook" }
  ],
  [
    "a field of a wrong type fails",
    "UserPromptSubmit",
    end({ continue: "no" }),
    { status: "failed", reason: "its output is not valid JSON of a hook" }
  ],
  ["text at a stop fails", "Stop", end("hello"), { status: "failed", reason: "its output is not JSON" }],
  [
    "stop wins over a block",
    "Stop",
    end({ continue: false, decision: "block", reason: "more" }),
    { status: "stopped", reason: "a hook stopped this" }
  ],
  ["a block at a stop", "Stop", end({ decision: "block", reason: "more" }), { status: "blocked", reason: "more" }],
  ["text after a tool is ignored", "PostToolUse", end("fine"), { status: "completed" }],
  [
    "denial of a tool",
    "PreToolUse",
    end({ hookSpecificOutput: { permissionDecision: "deny", permissionDecisionReason: "no" } }),
    { status: "blocked", reason: "no" }
  ],
  ["denial of a compaction", "PreCompact", end("", { exitCode: 2, stderr: "no" }), { status: "blocked", reason: "no" }],
  [
    "permission",
    "PermissionRequest",
    end({ hookSpecificOutput: { decision: { behavior: "allow" } } }),
    { status: "completed", allows: true }
  ],
  [
    "denial of permission",
    "PermissionRequest",
    end({ hookSpecificOutput: { decision: { behavior: "deny", message: "no" } } }),
    { status: "blocked", reason: "no" }
  ]
]

describe("read", () => {
  it.each(cases)("%s", (_, event, ended, result) => {
    assert.deepStrictEqual(read(event, ended), result)
  })

  it("never blocks the start of a session, and allows nothing but what was asked", () => {
    const denial = end({ decision: "block", reason: "no" })
    assert.deepStrictEqual(read("SessionStart", denial), { status: "completed" })
    assert.strictEqual(read("SessionStart", end("", { exitCode: 2, stderr: "no" })).status, "failed")
    const allowing = end({ hookSpecificOutput: { decision: { behavior: "allow" } } })
    for (const event of events) assert.strictEqual("allows" in read(event, allowing), event === "PermissionRequest")
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { NetworkPolicy, SandboxPolicy } from "../../src/index.ts"

const { fullAccess, meet, readOnly, refusalOf, confine } = SandboxPolicy

const write = (part: Partial<typeof SandboxPolicy.WorkspaceWrite.Type>): SandboxPolicy.SandboxPolicy => ({
  _tag: "WorkspaceWrite",
  roots: [],
  scratch: [],
  protectedPaths: [],
  network: false,
  ...part
})

const policies: ReadonlyArray<SandboxPolicy.SandboxPolicy> = [
  fullAccess,
  readOnly,
  { _tag: "ReadOnly", network: true },
  { _tag: "ReadOnly", network: true, processes: 10 },
  { _tag: "ReadOnly", network: { _tag: "Hosts", allowed: ["a.example"], denied: [] } },
  write({ roots: ["/w"] }),
  write({ roots: ["/w"], network: true }),
  write({ roots: ["/w"], processes: 20 }),
  write({ roots: ["/w"], network: { _tag: "Hosts", allowed: ["*.example"], denied: ["b.example"] } }),
  write({ roots: ["/w/a", "/x"], scratch: ["/tmp"] }),
  write({ roots: ["/w/.git/a"], network: true }),
  write({ roots: ["/"], protectedPaths: ["/w/a/home"] }),
  write({ roots: ["/tmp/w"], scratch: ["/w", "/tmp"] })
]

const paths = [
  "/",
  "/w",
  "/w/f",
  "/w/a/f",
  "/w/a/home/f",
  "/w/.git",
  "/w/.git/a/f",
  "/x",
  "/tmp/f",
  "/tmp/w/.codex",
  "/ww"
]

const reaches = (policy: SandboxPolicy.SandboxPolicy, host: string): boolean => {
  if (policy._tag === "FullAccess") return true
  const { network } = policy
  return typeof network === "boolean" ? network : NetworkPolicy.refusalOfHost(network, host) === undefined
}

const allows = (policy: SandboxPolicy.SandboxPolicy) => [
  ...paths.filter((path) => refusalOf(policy, path) === undefined),
  ...[10, 15, 20, 30].filter((count) => policy._tag === "FullAccess" || count <= (policy.processes ?? Infinity)),
  ...["a.example", "b.example", "other"].filter((host) => reaches(policy, host))
]

describe("meet", () => {
  it("A4 allows nothing that one of both refuses", () => {
    for (const one of policies) {
      for (const other of policies) {
        const [ofOne, ofOther] = [allows(one), allows(other)]
        for (const allowed of allows(meet(one, other))) {
          assert.include(ofOne, allowed, JSON.stringify([one, other]))
          assert.include(ofOther, allowed, JSON.stringify([one, other]))
        }
      }
    }
  })

  it("is commutative and associative, and has full access as its unit", () => {
    for (const one of policies) {
      assert.deepStrictEqual(meet(one, fullAccess), one)
      for (const other of policies) {
        assert.deepStrictEqual(meet(one, other), meet(other, one))
        for (const third of policies) {
          assert.deepStrictEqual(allows(meet(meet(one, other), third)), allows(meet(one, meet(other, third))))
        }
      }
    }
  })

  it("allows what a policy allows when it meets itself", () => {
    for (const one of policies) assert.deepStrictEqual(allows(meet(one, one)), allows(one))
  })
})

describe("refusalOf", () => {
  const policy = write({ roots: ["/w"], scratch: ["/tmp"], protectedPaths: ["/w/home"] })
  const rows: ReadonlyArray<readonly [path: string, refusal: string | undefined]> = [
    ["/w/f", undefined],
    ["/tmp/f", undefined],
    ["/tmp/.codex/f", undefined],
    ["/www", "outside"],
    ["/w/.git/hooks/x", "protects"],
    ["/w/sub/.git/config", "protects"],
    ["/tmp/repository/.git/config", "protects"],
    ["/w/.GIT/hooks/x", "protects"],
    ["/w/.gitignore", undefined],
    ["/w/.codex/config.toml", "protects"],
    ["/w/sub/.codex/config.toml", undefined],
    ["/w/home/config.toml", "protects"]
  ]
  for (const [path, refusal] of rows) {
    it(`${refusal === undefined ? "allows" : "refuses"} ${path}`, () => {
      const reason = refusalOf(policy, path)
      if (refusal === undefined) assert.isUndefined(reason)
      else assert.include(reason, refusal)
    })
  }

  it("refuses everything in read-only mode, and nothing with full access", () => {
    assert.include(refusalOf(readOnly, "/w/f"), "read-only")
    assert.isUndefined(refusalOf(fullAccess, "/w/.git/config"))
  })
})

describe("within", () => {
  it.effect("narrows the policy in force, and never widens it", () =>
    Effect.gen(function* () {
      const current = Effect.service(SandboxPolicy.Current)
      assert.deepStrictEqual(yield* current, fullAccess)
      assert.deepStrictEqual(yield* confine(current, readOnly), readOnly)
      assert.deepStrictEqual(yield* confine(confine(current, write({ roots: ["/w"] })), readOnly), readOnly)
      assert.deepStrictEqual(yield* confine(confine(current, fullAccess), readOnly), readOnly)
    })
  )
})

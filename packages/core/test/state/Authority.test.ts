import { assert, describe, it } from "@effect/vitest"
import * as Authority from "@spindle/core/Authority"
import { pipe, Schema } from "effect"

const Permission = Schema.Literals(["allow", "ask", "deny"])
const Key = Schema.Literals(["a", "b", "c"])
const Grants = Schema.Array(Schema.Struct({ scope: Schema.Literals(["turn", "session"]), key: Key }))
const { meet } = Authority
const granted = (added: typeof Grants.Type) =>
  added.reduce<ReadonlyArray<Authority.Grant>>((all, one) => Authority.grant(all, one), [])

describe("A4 meet", () => {
  it.prop("is commutative", [Permission, Permission], ([a, b]) => {
    assert.strictEqual(meet(a, b), meet(b, a))
  })
  it.prop("is associative", [Permission, Permission, Permission], ([a, b, c]) => {
    assert.strictEqual(meet(meet(a, b), c), meet(a, meet(b, c)))
  })
  it.prop("is idempotent, with allow as its unit and deny as its zero", [Permission], ([a]) => {
    assert.strictEqual(meet(a, a), a)
    assert.strictEqual(meet(a, "allow"), a)
    assert.strictEqual(meet(a, "deny"), "deny")
  })
  it("is the narrower of the two", () => {
    assert.deepStrictEqual([meet("allow", "ask"), meet("ask", "deny"), meet("deny", "allow")], ["ask", "deny", "deny"])
  })
  it("takes its second argument first in a pipe, as atMost does", () => {
    assert.strictEqual(pipe("allow" as const, meet("ask")), "ask")
    const ruling = { permission: "allow", source: "rule" } as const
    assert.strictEqual(pipe(ruling, Authority.atMost("deny")), "deny")
    assert.strictEqual(pipe(ruling, Authority.atMost("allow")), ruling)
  })
})

describe("grants", () => {
  it.prop("A4 are kept once each, and found by key", [Grants, Key], ([added, key]) => {
    const grants = granted(added)
    assert.strictEqual(new Set(grants.map((one) => `${one.scope} ${one.key}`)).size, grants.length)
    assert.strictEqual(
      Authority.isGranted(grants, [key]),
      added.some((one) => one.key === key)
    )
    for (const one of added) assert.strictEqual(Authority.grant(grants, one), grants)
  })

  it.prop("A4 of a turn end with it; those of the session stay", [Grants], ([added]) => {
    const left = Authority.endTurn(granted(added))
    assert.isFalse(left.some((one) => one.scope === "turn"))
    for (const one of added) assert.strictEqual(Authority.isGranted(left, [one.key]), sessionWide(added, one.key))
    assert.strictEqual(Authority.endTurn(left), left)
  })
})

const sessionWide = (added: typeof Grants.Type, key: string) =>
  added.some((one) => one.scope === "session" && one.key === key)

describe("keyOf", () => {
  it("A4 equal questions have equal keys, whatever the order of their fields", () => {
    assert.strictEqual(
      Authority.keyOf("shell", { a: 1, b: { c: [1, 2], d: null } }),
      Authority.keyOf("shell", { b: { d: null, c: [1, 2] }, a: 1 })
    )
  })

  it("A4 another tool, value, order of a list or missing payload is another question", () => {
    const keys = [
      Authority.keyOf("shell", { a: 1 }),
      Authority.keyOf("patch", { a: 1 }),
      Authority.keyOf(undefined, { a: 1 }),
      Authority.keyOf("shell", { a: "1" }),
      Authority.keyOf("shell", { a: [1, 2] }),
      Authority.keyOf("shell", { a: [2, 1] }),
      Authority.keyOf("shell", {}),
      Authority.keyOf("shell", undefined)
    ]
    assert.strictEqual(new Set(keys).size, keys.length)
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import { keyOf } from "../src/Accounts.ts"

describe("keyOf", () => {
  it("returns the first variable that is set and not blank, without the white space around it", () => {
    const key = keyOf({ ONE: " ", TWO: " two\n", THREE: "three" }, ["ZERO", "ONE", "TWO", "THREE"])
    assert.strictEqual(Redacted.value(key!), "two")
  })

  it("returns nothing if no variable is set, and shows no key", () => {
    assert.isUndefined(keyOf({}, ["ONE"]))
    assert.notInclude(String(keyOf({ ONE: "secret" }, ["ONE"])), "secret")
  })
})

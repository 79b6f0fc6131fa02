import { assert, describe, it } from "@effect/vitest"
import * as Features from "../src/Features.ts"
import * as Table from "../src/settings/table.ts"

const wrong = (_: string, key: string, expected: string): never => {
  throw new Error(`${key} must be ${expected}`)
}

const read = (...layers: ReadonlyArray<{ readonly [name: string]: unknown }>) =>
  Features.read(
    Table.make(
      layers.map((features, index) => ({ source: `layer ${index}`, table: { features } })),
      wrong
    )
  )

describe("features", () => {
  it("have their standard unless they are switched", () => {
    const { all, isEnabled, unknown, warnings } = read()
    assert.deepStrictEqual([unknown, warnings], [[], []])
    assert.isTrue(isEnabled("undo"))
    assert.isFalse(isEnabled("js_repl"))
    for (const feature of all) assert.strictEqual(feature.isEnabled, feature.isDefault, feature.name)
  })

  it("are switched by the strongest layer that names them", () => {
    const { isEnabled } = read({ js_repl: true }, { js_repl: false, undo: false })
    assert.deepStrictEqual([isEnabled("js_repl"), isEnabled("undo")], [true, false])
    assert.throws(() => read({ undo: "no" }), "features.undo must be true or false")
  })

  it("that are unknown are named once", () => {
    assert.deepStrictEqual(read({ nope: true }, { nope: false, undo: true, constructor: true }).unknown, [
      "nope",
      "constructor"
    ])
  })

  it("that are deprecated switch what replaces them, which wins, with a warning", () => {
    const old = read({ collab: true })
    assert.isTrue(old.isEnabled("multi_agent"))
    assert.deepStrictEqual(old.warnings, ["the feature collab is deprecated: use multi_agent"])
    assert.isFalse(read({ collab: true, multi_agent: false }).isEnabled("multi_agent"))
    assert.isFalse(read({ collab: false }).isEnabled("multi_agent"))
  })

  it("that were removed cannot be switched, with a warning", () => {
    const removed = read({ steer: false })
    assert.isTrue(removed.isEnabled("steer"))
    assert.deepStrictEqual(removed.warnings, ["the feature steer was removed: input always reaches the running turn"])
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as ThreadItem from "@spindle/app/ThreadItem"
import { Schema } from "effect"

const identifierOf = (schema: Schema.Top) => Schema.resolveAnnotations(schema)?.["identifier"]

describe("the items of a thread", () => {
  it("have an identifier each, and so have their unions; no two are the same", () => {
    const { CallItem, Change, Notice, ThreadItem: Item } = ThreadItem
    const identifiers = [Item, CallItem, Notice, Change, ...Item.members].map(identifierOf)
    for (const identifier of identifiers) assert.isString(identifier)
    assert.strictEqual(new Set(identifiers).size, identifiers.length)
  })
})

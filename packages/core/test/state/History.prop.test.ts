import { assert, describe, it } from "@effect/vitest"
import type { Item } from "@spindle/core/Item"
import * as History from "@spindle/core/History"
import { Schema } from "effect"
import { call, developer, result, said, user } from "../fixtures/records.ts"

const Steps = Schema.Array(
  Schema.Struct({
    kind: Schema.Literals(["user", "developer", "said", "superseded", "aborted", "call", "result"]),
    id: Schema.Literals(["1", "2", "3"])
  })
).check(Schema.isMaxLength(24))

const itemOf = ({ id, kind }: (typeof Steps.Type)[number], index: number): Item => {
  switch (kind) {
    case "user":
      return user(`${index}`)
    case "developer":
      return developer(`${index}`)
    case "said":
      return said(`${index}`)
    case "superseded":
    case "aborted":
      return said(`${index}`, kind)
    case "call":
      return call(id)
    case "result":
      return result(id)
  }
}

describe("repair", () => {
  it.prop(
    "I6 any list of items becomes one without a defect, in which calls and results pair up in order",
    [Steps],
    ([steps]) => {
      const items = steps.map(itemOf)
      const repaired = History.repair(items)
      assert.isUndefined(History.defect(repaired))
      const open: Array<string> = []
      for (const item of repaired) {
        if (item._tag === "ToolCall") open.push(item.callId)
        else if (item._tag === "ToolResult") {
          assert.include(open, item.callId)
          open.splice(open.indexOf(item.callId), 1)
        } else if (item._tag === "UserMessage" || item._tag === "DeveloperMessage") assert.deepStrictEqual(open, [])
      }
      assert.deepStrictEqual(open, [])
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "I6 is idempotent, and returns a valid history as it is, the same array",
    [Steps],
    ([steps]) => {
      const items = steps.map(itemOf)
      const once = History.repair(items)
      assert.strictEqual(History.repair(once), once)
      assert.strictEqual(once === items, History.defect(items) === undefined)
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "I6 keeps every message and every text that was not superseded, in order, and adds nothing but results",
    [Steps],
    ([steps]) => {
      const items = steps.map(itemOf)
      const repaired = History.repair(items)
      const texts = (list: ReadonlyArray<Item>) =>
        list.filter(
          (item) =>
            item._tag !== "ToolCall" &&
            item._tag !== "ToolResult" &&
            !(item._tag === "AssistantMessage" && item.partial === "superseded")
        )
      assert.deepStrictEqual(texts(repaired), texts(items))
      const known = new Set(items)
      for (const item of repaired) {
        if (!known.has(item)) assert.strictEqual(item._tag === "ToolResult" && item.status, "unknown")
      }
    },
    { arbitrary: { runs: 500 } }
  )
})

describe("ItemLog", () => {
  it.prop(
    "every version keeps its own items, whichever versions are appended to",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 })))],
    ([picks]) => {
      const versions: Array<{ readonly log: History.ItemLog; readonly items: ReadonlyArray<Item> }> = [
        { log: History.empty, items: [] }
      ]
      for (const [index, pick] of picks.entries()) {
        const from = versions[pick % versions.length]!
        const item = said(`${index}`)
        versions.push({ log: History.append(from.log, item), items: [...from.items, item] })
      }
      for (const { items, log } of versions) {
        assert.strictEqual(log.length, items.length)
        assert.deepStrictEqual(History.toArray(log), items)
        assert.strictEqual(History.estimateLog(log), History.estimateAll(items))
        for (const older of versions) {
          const isOlder = older.items.every((item, index) => items[index] === item)
          assert.deepStrictEqual(
            History.itemsAfter(log, older.log),
            isOlder ? items.slice(older.items.length) : undefined
          )
        }
      }
    },
    { arbitrary: { runs: 200 } }
  )
})

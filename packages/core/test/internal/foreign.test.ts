import { assert, describe, it } from "@effect/vitest"
import { messageOf as thrownMessageOf } from "@spindle/core/AgentError"
import { Effect } from "effect"
import { messageOf, tagOf, textOf } from "../../src/internal/foreign.ts"

const unreadable = () => {
  throw new Error("unreadable")
}
const hostile = new Proxy({}, { get: unreadable, getPrototypeOf: unreadable, ownKeys: unreadable })

describe("an error of foreign code", () => {
  it.effect("is read by tag, name and message", () =>
    Effect.sync(() => {
      const error = new TypeError("no such thing")
      assert.deepStrictEqual(
        [tagOf(error), messageOf(error), textOf(error)],
        ["TypeError", "no such thing", "no such thing"]
      )
      assert.deepStrictEqual([tagOf({ _tag: "Bug" }), tagOf(null), tagOf("text")], ["Bug", "Defect", "Defect"])
      assert.deepStrictEqual([textOf("text"), textOf(7), textOf(undefined)], ["text", "7", "undefined"])
    })
  )

  it.effect("S2 is described even if nothing of it can be read", () =>
    Effect.sync(() => {
      const bare: unknown = Object.create(null)
      for (const thrown of [hostile, bare, { toString: unreadable }, Object.assign(new Error(), { message: 7 })]) {
        assert.isNotEmpty(thrownMessageOf(thrown))
      }
      assert.deepStrictEqual([tagOf(hostile), messageOf(hostile)], ["Defect", undefined])
      assert.isNotEmpty(textOf(hostile))
    })
  )
})

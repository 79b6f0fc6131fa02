import { assert, describe, it } from "@effect/vitest"
import type { CallId, ItemId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import type { AbortReason } from "@spindle/core/Outcome"
import * as History from "@spindle/core/History"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Records from "../fixtures/records.ts"

const { call, developer, result, said, user } = Records
const logOf = (...items: ReadonlyArray<Item>) => History.fromItems(items)
const unknown = (id: string) => History.unknownResult(call(id))

describe("ItemLog", () => {
  it("an older version stays as it was when the latest grows", () => {
    const two = logOf(user("a"), said("b"))
    const three = History.append(two, said("c"))
    const four = History.append(three, said("d"))
    assert.deepStrictEqual(History.toArray(two), [user("a"), said("b")])
    assert.deepStrictEqual(History.toArray(three), [user("a"), said("b"), said("c")])
    assert.deepStrictEqual(History.toArray(four).at(-1), said("d"))
  })

  it("two versions that grow from one keep their own items", () => {
    const base = logOf(user("a"), said("b"))
    const left = History.append(base, said("left"))
    const right = History.append(base, said("right"))
    const further = History.append(left, said("further"))
    assert.deepStrictEqual(History.toArray(left).at(-1), said("left"))
    assert.deepStrictEqual(History.toArray(right).at(-1), said("right"))
    assert.strictEqual(right.length, 3)
    assert.deepStrictEqual(History.toArray(further), [user("a"), said("b"), said("left"), said("further")])
    assert.deepStrictEqual(History.toArray(History.empty), [])
  })

  it.effect.prop(
    "logs that grow, go back and branch keep their items, whichever was read last",
    [Schema.Array(Schema.Tuple([Schema.Int, Schema.Boolean]))],
    ([steps]) =>
      Effect.sync(() => {
        const logs = [{ log: History.empty, items: [] as ReadonlyArray<Item> }]
        for (const [from, isRead] of steps) {
          const { items, log } = logs[Math.abs(from) % logs.length]!
          const item = said(`${logs.length}`)
          logs.push({ log: History.append(log, item), items: [...items, item] })
          if (isRead) for (const one of logs) assert.deepStrictEqual(History.toArray(one.log), one.items)
        }
        for (const one of logs.toReversed()) assert.deepStrictEqual(History.toArray(one.log), one.items)
      })
  )

  it("a change of an array that was returned changes no log", () => {
    const log = logOf(user("a"))
    ;(History.toArray(log) as Array<Item>).push(said("b"))
    assert.deepStrictEqual(History.toArray(log), [user("a")])
    assert.deepStrictEqual(History.toArray(History.append(log, said("c"))), [user("a"), said("c")])
  })

  it("an array that was returned does not grow", () => {
    const log = logOf(user("a"))
    const array = History.toArray(log)
    History.append(log, said("b"))
    assert.deepStrictEqual(array, [user("a")])
  })

  it("J7 appending and going back to an older version copy nothing", () => {
    const log = logOf(user("a"))
    assert.strictEqual(History.append(log, said("b")).before, log)
  })
})

describe("defect and repair", () => {
  const valid: ReadonlyArray<readonly [string, ReadonlyArray<Item>]> = [
    ["nothing", []],
    ["a conversation", [user("a"), said("b"), developer("c"), user("d")]],
    ["concurrent calls", [user("a"), call("1"), call("2"), result("1"), result("2"), said("b")]],
    ["results in another order", [call("1"), call("2"), result("2"), result("1")]],
    ["text between a call and its result", [call("1"), said("b"), result("1")]],
    ["an id that is used again after its result", [call("1"), result("1"), call("1"), result("1")]],
    ["text that was cut by an abort", [user("a"), said("b", "aborted")]]
  ]
  for (const [name, items] of valid) {
    it(`I6 ${name} is a valid history, and repair returns the same array`, () => {
      assert.isUndefined(History.defect(items))
      assert.strictEqual(History.repair(items), items)
    })
  }

  const broken: ReadonlyArray<readonly [string, ReadonlyArray<Item>, RegExp, ReadonlyArray<Item>]> = [
    ["a call without a result", [call("1")], /no result for 1/, [call("1"), unknown("1")]],
    [
      "a user message before the result",
      [call("1"), user("a"), result("1")],
      /UserMessage u-a comes before the result of 1/,
      [call("1"), unknown("1"), user("a")]
    ],
    [
      "a developer message before the result",
      [call("1"), call("2"), result("1"), developer("a"), result("2")],
      /DeveloperMessage d-a comes before the result of 2/,
      [call("1"), call("2"), result("1"), unknown("2"), developer("a")]
    ],
    ["a result without a call", [user("a"), result("1")], /result 1 is for no open call/, [user("a")]],
    ["a second result", [call("1"), result("1"), result("1")], /is for no open call/, [call("1"), result("1")]],
    [
      "a call whose id is still open",
      [call("1"), call("1"), result("1")],
      /call 1 is open twice/,
      [call("1"), result("1")]
    ],
    ["superseded text", [user("a"), said("b", "superseded"), said("c")], /a-b was superseded/, [user("a"), said("c")]],
    [
      "superseded reasoning",
      [{ _tag: "Reasoning", id: "r" as ItemId, text: "hm", partial: "superseded" }, said("c")],
      /Reasoning r was superseded/,
      [said("c")]
    ]
  ]
  for (const [name, items, why, repaired] of broken) {
    it(`I6 ${name} is found and repaired`, () => {
      assert.match(History.defect(items) ?? "", why)
      assert.deepStrictEqual(History.repair(items), repaired)
      assert.isUndefined(History.defect(History.repair(items)))
    })
  }

  it("J8 the result of a call during which the host died says that its effect is unknown", () => {
    const item = unknown("1")
    assert.deepStrictEqual([item.status, item.callId, item.name, item.id], ["unknown", "1", "shell", "c-1r"])
    assert.match(String(item.output), /unknown; check before you repeat/)
  })
})

describe("texts of an aborted turn for the model", () => {
  it("I6 the output of an aborted call gives the reason and the duration, and never says that it was denied", () => {
    assert.strictEqual(History.abortedOutput("Interrupted", 1_234), "Wall time: 1.2 seconds\naborted by user")
    assert.strictEqual(History.abortedOutput("Interrupted", 0), "Wall time: 0.1 seconds\naborted by user")
    const reasons: ReadonlyArray<AbortReason> = ["Interrupted", "Replaced", "Deadline", "Budget", "Parent", "Shutdown"]
    const texts = reasons.map((reason) => History.abortedOutput(reason, 100))
    assert.strictEqual(new Set(texts).size, reasons.length)
    for (const text of texts) assert.notMatch(text, /denied|rejected/)
  })

  it("I5 the marker has exactly these words", () => {
    const marker = (why: string) =>
      `<turn_aborted>\n${why} Tools and commands that were stopped may have done part of their work: look at the current state before you repeat anything.\n</turn_aborted>`
    assert.strictEqual(History.markerText("Interrupted", []), marker("The user stopped the previous turn."))
    assert.strictEqual(
      History.markerText("Crashed", ["sleep 9 (pid 7)"]),
      marker("The program was killed during the previous turn. Still running: sleep 9 (pid 7).")
    )
    const reasons = {
      Replaced: "aborted: another task took over",
      Deadline: "aborted: the deadline passed",
      Budget: "aborted: the budget is spent",
      Parent: "aborted: the parent session stopped",
      Shutdown: "aborted: the session was closed"
    } as const
    for (const [reason, text] of Object.entries(reasons)) {
      const written = History.markerText(reason as keyof typeof reasons, [])
      assert.strictEqual(written, marker(`The previous turn was stopped (${text}).`))
    }
  })

  it("I5 the marker gives the reason and names what is still running", () => {
    const marker = History.markerText("Interrupted", ["npm test (pid 7)", "task regular"])
    assert.match(marker, /^<turn_aborted>\nThe user stopped the previous turn\./)
    assert.include(marker, "Still running: npm test (pid 7), task regular.")
    assert.match(marker, /\n<\/turn_aborted>$/)
    assert.notInclude(History.markerText("Interrupted", []), "Still running")
    assert.include(History.markerText("Deadline", []), "the deadline passed")
    const crashed = History.markerText("Crashed", [], "release-notes {}")
    assert.include(crashed, "turn. It ran the task release-notes {}, which reported no result. Tools")
  })
})

describe("views of a history", () => {
  it("scaffolding is not input of the user; a rollback counts only a notice of version 1", () => {
    const fragment = (name: string): Item => ({ ...Records.notice("a"), fragment: name })
    const all = [
      user("a"),
      fragment(History.markerFragment),
      fragment(History.noticeFragment),
      fragment(History.countedNoticeFragment),
      developer("a")
    ]
    assert.deepStrictEqual(all.map(History.isUserInput), [true, false, false, false, false])
    assert.deepStrictEqual(all.map(History.isCountedByRollback), [true, false, false, true, false])
  })

  it("estimates one token for four characters, and 1,000 for an image", () => {
    const callOf = (params: unknown, invalid?: string): Item => ({
      _tag: "ToolCall",
      id: "c" as ItemId,
      callId: "1" as CallId,
      name: "four",
      params,
      ...(invalid === undefined ? {} : { invalid })
    })
    const image = { _tag: "Image" as const, url: "https://example.org/a.png" }
    assert.strictEqual(History.estimate(said("12345")), 2)
    assert.strictEqual(History.estimate(developer("1234")), 1)
    assert.strictEqual(
      History.estimate({ _tag: "UserMessage", id: "u" as ItemId, content: [{ _tag: "Text", text: "1234" }, image] }),
      1_001
    )
    assert.strictEqual(History.estimate({ _tag: "Reasoning", id: "r" as ItemId, text: "", encrypted: "12345678" }), 2)
    assert.strictEqual(History.estimate(callOf({ a: 1 })), 3)
    assert.strictEqual(History.estimate(callOf(undefined, "12345678")), 3)
    assert.strictEqual(History.estimate(callOf(undefined)), 1)
    assert.strictEqual(History.estimate(result("1")), 1)
    assert.deepStrictEqual(History.estimateUsage([said("12345"), developer("1234")], 8), {
      input: 3,
      cachedInput: 0,
      output: 2,
      reasoning: 0,
      total: 5
    })
  })
})

import { assert, describe, it } from "@effect/vitest"
import type { ItemId } from "@spindle/core/Ids"
import type { Item, UserMessage } from "@spindle/core/Item"
import { textOf } from "@spindle/core/Input"
import * as Compaction from "@spindle/core/Compaction"
import * as History from "@spindle/core/History"
import { Schema } from "effect"
import { call, developer, result, said } from "../fixtures/records.ts"

const ask = (text: string, options: { readonly fragment?: string; readonly image?: true } = {}): UserMessage => ({
  _tag: "UserMessage",
  id: `u-${text.slice(0, 8)}` as ItemId,
  content: [{ _tag: "Text", text }, ...(options.image ? [{ _tag: "Image", url: "https://host/a.png" } as const] : [])],
  ...(options.fragment === undefined ? {} : { fragment: options.fragment })
})
const textsOf = (items: ReadonlyArray<UserMessage>) => items.map((item) => textOf(item.content))

const fragmentsOf = (items: ReadonlyArray<Item>) =>
  items.flatMap((item) => (item._tag === "UserMessage" && item.fragment !== undefined ? [item.fragment] : []))
/** The history after a compaction, with ids. */
const compacted = (plan: Compaction.Plan, summary: string): ReadonlyArray<Item> =>
  Compaction.historyAfter(plan, { text: summary }).map(
    (item, index) => ({ id: `n${index}` as ItemId, ...item }) as Item
  )

describe("plan", () => {
  it("keeps the newest messages of the user that fit, oldest first, and the beginning of the one before", () => {
    const items = [ask("a".repeat(400)), said("x"), ask("b".repeat(400)), call("1"), result("1"), ask("c".repeat(40))]
    const { kept } = Compaction.plan(items, { keepTokens: 60, minimumGain: 0 })
    assert.deepStrictEqual(
      textsOf(kept).map((text) => [text[0], text.length]),
      [
        ["b", 198],
        ["c", 40]
      ]
    )
  })

  it("keeps no scaffolding: markers, notices and earlier summaries go into the next summary", () => {
    const items = [
      ask("the first summary", { fragment: Compaction.summaryFragment }),
      ask("stopped", { fragment: History.markerFragment }),
      ask("a child ended", { fragment: History.noticeFragment }),
      ask("a child ended long ago", { fragment: History.countedNoticeFragment }),
      developer("context"),
      ask("go on")
    ]
    const { kept, material } = Compaction.plan(items)
    assert.deepStrictEqual(textsOf(kept), ["go on"])
    assert.deepStrictEqual(
      material,
      items.filter(({ _tag }) => _tag !== "DeveloperMessage")
    )
  })

  it("keeps the messages that began the history, word for word and once, whatever follows", () => {
    const items = [developer("the rules"), ask("do it"), developer("a hook"), said("done")]
    const plan = Compaction.plan(items)
    assert.deepStrictEqual<ReadonlyArray<Item>>(plan.context, items.slice(0, 1))
    assert.deepStrictEqual(plan.material, items.slice(1))
    const again = Compaction.plan(compacted(plan, "what happened"))
    assert.deepStrictEqual(again.context, plan.context)
    assert.notInclude(JSON.stringify(again.material), "the rules")
  })

  it("finds them after a fragment: a command of the user may be the first thing in a session", () => {
    const items = [ask("ls", { fragment: "command" }), developer("the rules"), ask("do it"), developer("a hook")]
    const { context, material } = Compaction.plan(items)
    assert.deepStrictEqual<ReadonlyArray<Item>>(context, [items[1]!])
    assert.deepStrictEqual<ReadonlyArray<Item>>(material, [items[0]!, items[2]!, items[3]!])
  })

  it("keeps an image only where it fits", () => {
    const { kept } = Compaction.plan([ask("what is this?", { image: true })], { keepTokens: 500, minimumGain: 0 })
    assert.deepStrictEqual(kept[0]?.content, [{ _tag: "Text", text: "what is this?" }])
    const whole = [ask("what is this?", { image: true })]
    assert.deepStrictEqual(Compaction.plan(whole).kept, whole)
  })

  it("does not cut a character in two", () => {
    const { kept } = Compaction.plan([ask("𝄞".repeat(100))], { keepTokens: 10, minimumGain: 0 })
    assert.isTrue(textOf(kept[0]!.content).isWellFormed())
  })

  it("makes material that a model accepts: an open call has a result", () => {
    assert.isUndefined(History.defect(Compaction.plan([ask("hi"), call("1")]).material))
  })
})

const Steps = Schema.Array(
  Schema.Struct({
    kind: Schema.Literals(["user", "image", "fragment", "developer", "said", "superseded", "call", "result"]),
    id: Schema.Literals(["1", "2", "3"]),
    length: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 }))
  })
).check(Schema.isMaxLength(20))
const Tokens = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_200 }))

const itemOf = ({ id, kind, length }: (typeof Steps.Type)[number], index: number): Item => {
  const text = `${index}é𝄞`.repeat(length).slice(0, length)
  switch (kind) {
    case "user":
      return ask(text)
    case "image":
      return ask(text, { image: true })
    case "fragment":
      return ask(text, { fragment: Compaction.summaryFragment })
    case "developer":
      return developer(text)
    case "said":
      return said(text)
    case "superseded":
      return said(text, "superseded")
    case "call":
      return call(id)
    case "result":
      return result(id)
  }
}

describe("any history", () => {
  it.prop(
    "keeps at most its limit: the newest messages in order, with only the oldest of them cut",
    [Steps, Tokens],
    ([steps, keepTokens]) => {
      const items = steps.map(itemOf)
      const { kept } = Compaction.plan(items, { keepTokens, minimumGain: 0 })
      assert.isAtMost(History.estimateAll(kept), keepTokens)
      const userMessages = items.filter(
        (item): item is UserMessage => item._tag === "UserMessage" && History.isUserInput(item)
      )
      const [first, ...others] = kept
      assert.deepStrictEqual(
        others.filter((item) => userMessages.includes(item)),
        others
      )
      if (first !== undefined) {
        const source = userMessages.find(
          (item) => item.id === first.id && textOf(item.content).startsWith(textOf(first.content))
        )
        assert.isDefined(source)
      }
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "becomes one that a model accepts, with one summary at its end; a second compaction keeps the same messages",
    [Steps, Tokens],
    ([steps, keepTokens]) => {
      const limits = { keepTokens, minimumGain: 0 }
      const first = Compaction.plan(steps.map(itemOf), limits)
      const once = compacted(first, "what happened")
      assert.isUndefined(History.defect(once))
      assert.deepStrictEqual(fragmentsOf(once), [Compaction.summaryFragment])
      assert.strictEqual(once.at(-1)?.id, once.find((item) => fragmentsOf([item]).length > 0)?.id)
      const again = Compaction.plan(once, limits)
      assert.deepStrictEqual(again.kept, first.kept)
      assert.deepStrictEqual(again.context, first.context)
      assert.lengthOf(compacted(again, "again"), once.length)
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop("can lose its oldest item again and again, stays acceptable, and becomes empty", [Steps], ([steps]) => {
    let { material } = Compaction.plan(steps.map(itemOf))
    while (material.length > 0) {
      const less = Compaction.withoutOldest(material)
      assert.isBelow(less.length, material.length)
      assert.isUndefined(History.defect(less))
      material = less
    }
  })

  it.prop("loses its oldest items until they cost so many tokens", [Steps, Tokens], ([steps, tokens]) => {
    const { material } = Compaction.plan(steps.map(itemOf))
    const less = Compaction.withoutOldest(material, tokens)
    assert.isUndefined(History.defect(less))
    if (less.length > 0) assert.isAtMost(History.estimateAll(less), Math.max(0, History.estimateAll(material) - tokens))
    assert.isAtMost(less.length, Math.max(0, material.length - 1))
  })
})

describe("gain", () => {
  const long = [ask("hi"), said("x".repeat(4_000)), call("1"), result("1")]

  it("is the share of tokens that is freed", () => {
    const after = Compaction.historyAfter(Compaction.plan(long), { text: "y".repeat(400) })
    assert.closeTo(Compaction.gain(long, after), 0.86, 0.01)
    assert.isTrue(Compaction.isEnough(long, after))
    assert.isFalse(Compaction.isEnough(long, after, { ...Compaction.defaults, minimumGain: 0.95 }))
  })

  it("is negative when the summary is longer than what it replaces, and 0 for an empty history", () => {
    assert.isBelow(
      Compaction.gain([ask("hi")], Compaction.historyAfter(Compaction.plan([ask("hi")]), { text: "more" })),
      0
    )
    assert.strictEqual(Compaction.gain([], []), 0)
    assert.isFalse(Compaction.isEnough([], []))
  })

  it("can be too small before a model is asked, when the kept messages are already too long", () => {
    const items = [ask("a".repeat(4_000)), said("short")]
    assert.isFalse(Compaction.isEnough(items, Compaction.plan(items).kept))
  })
})

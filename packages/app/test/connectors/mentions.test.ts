import { assert, describe, it } from "@effect/vitest"
import { CallId, ItemId } from "@spindle/core/Ids"
import type { Item, ToolStatus } from "@spindle/core/Item"
import * as Links from "../../src/connectors/links.ts"
import { type Connector, mentionedConnectors, selectionOf, slugOf } from "../../src/connectors/mentions.ts"

const connector = (id: string, name: string): Connector => ({ id, name, slug: slugOf(name) })
const calendar = connector("app_1", "Google Calendar")
const mail = connector("app_2", "Mail")
const all = [calendar, mail, connector("app_3", "Notes"), connector("app_4", "notes")]

const user = (text: string, fragment?: string): Item => ({
  _tag: "UserMessage",
  id: ItemId.make("1.0"),
  content: [{ _tag: "Text", text }],
  ...(fragment === undefined ? {} : { fragment })
})
const developer = (text: string): Item => ({ _tag: "DeveloperMessage", id: ItemId.make("1.1"), text })
const found = (output: unknown, status: ToolStatus = "completed", name = "tool_search"): Item => ({
  _tag: "ToolResult",
  id: ItemId.make("1.2"),
  callId: CallId.make("c"),
  name,
  status,
  output
})

const skill = (name: string, body: string) =>
  developer(`<skill>\n<name>${name}</name>\n<path>p</path>\n${body}\n</skill>`)

describe("mentioned", () => {
  const cases: ReadonlyArray<readonly [text: string, ids: ReadonlyArray<string>]> = [
    ["nothing", []],
    ["use $mail.", ["app_2"]],
    ["use $Google-Calendar and $mail", ["app_1", "app_2"]],
    ["use [$anything](app://app_1) please", ["app_1"]],
    ["app://app_2, or apps://app_1.", ["app_1", "app_2"]],
    // a link counts by its id alone
    ["[$mail](app://unknown)", []],
    ["[$mail](https://example.org)", ["app_2"]],
    // two apps of one name
    ["$notes", []],
    ["app://app_3", ["app_3"]],
    ["costs $5, $mailing and mail", []]
  ]
  for (const [text, ids] of cases) {
    it(`reads ${JSON.stringify(text)}`, () => {
      assert.deepStrictEqual(
        mentionedConnectors(all, text).map(({ id }) => id),
        ids
      )
    })
  }

  it("leaves a name to the skill that has it", () => {
    assert.deepStrictEqual(mentionedConnectors(all, "$mail", new Set(["mail"])), [])
  })
})

describe("the link of a skill", () => {
  it("names no app, and the link of an app names no skill", () => {
    assert.deepStrictEqual(mentionedConnectors(all, "[$mail](/skills/mail/SKILL.md) [$mail](skill://mail)"), [])
    const links = Links.read("[$mail](app://app_2), [$plan](skills/plan/SKILL.md), [$notes](notes.md)")
    assert.deepStrictEqual([[...links.apps], [...links.skills]], [["app_2"], ["skills/plan/SKILL.md"]])
    assert.strictEqual(links.rest, " ,  , [$notes](notes.md)")
  })
})

describe("selectionOf", () => {
  const of = (...items: ReadonlyArray<Item>) => {
    const { connectors, tools } = selectionOf(all, items)
    return [[...connectors], [...tools]]
  }
  const result = { tools: [{ name: "mcp__a__b", description: "", app: "A" }] }

  it("takes mentions of the user, and not of fragments or hooks", () => {
    assert.deepStrictEqual(of(user("$mail")), [["app_2"], []])
    assert.deepStrictEqual(of(user("$mail", "notice"), developer("$mail app://app_1")), [[], []])
  })

  it("takes structured mentions, by their path alone", () => {
    const mention = (name: string, path: string): Item => ({
      _tag: "UserMessage",
      id: ItemId.make("1.0"),
      content: [{ _tag: "Mention", name, path }]
    })
    assert.deepStrictEqual(of(mention("any name", "app://app_1")), [["app_1"], []])
    assert.deepStrictEqual(of(mention("mail", "app://unknown")), [[], []])
    assert.deepStrictEqual(of(mention("mail", "/skills/mail/SKILL.md")), [[], []])
    const odd = [connector("an app (1)", "Odd")]
    assert.deepStrictEqual([...selectionOf(odd, [mention("odd", "app://an app (1)")]).connectors], ["an app (1)"])
  })

  it("takes the links of a skill, and not its words", () => {
    assert.deepStrictEqual(of(user("$plan"), skill("plan", "use app://app_1 and $mail")), [["app_1"], []])
    assert.deepStrictEqual(of(user("$mail"), skill("mail", "a skill")), [[], []])
  })

  it("takes what a completed search has found", () => {
    assert.deepStrictEqual(of(found(result)), [[], ["mcp__a__b"]])
    assert.deepStrictEqual(of(found(result, "failed"), found("text"), found(result, "completed", "other")), [[], []])
  })
})

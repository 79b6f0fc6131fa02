import { assert, describe, it } from "@effect/vitest"
import { rank } from "../../src/connectors/ranking.ts"

const documents = [
  { name: "create", text: "calendar_createEvent Creates an event in a calendar" },
  { name: "list", text: "calendar_list Lists the calendars" },
  { name: "send", text: "mail_send Sends a message to somebody" },
  { name: "calendar", text: "calendar calendar" }
]
const names = (query: string, limit = 10) => rank(documents, query, limit).map(({ name }) => name)

describe("rank", () => {
  it("returns what has a word of the query, the best first", () => {
    assert.deepStrictEqual(names("create an event")[0], "create")
    assert.deepStrictEqual(names("send mail"), ["send"])
    assert.deepStrictEqual(names("nothing of it"), [])
    assert.deepStrictEqual(names(""), [])
  })

  it("counts a repeated word more", () => {
    assert.deepStrictEqual(names("calendar"), ["calendar", "create", "list"])
  })

  it("returns as many as it may", () => assert.deepStrictEqual(names("calendar", 1), ["calendar"]))

  it("reads the parts of a name", () => assert.deepStrictEqual(names("EVENT"), ["create"]))

  it("ranks no documents", () => assert.deepStrictEqual(rank([], "a", 3), []))
})

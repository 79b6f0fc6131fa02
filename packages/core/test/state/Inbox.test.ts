import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import * as Inbox from "@spindle/core/Inbox"
import { Schema } from "effect"
import { submission, turn } from "../fixtures/records.ts"

const entry = (id: string, turnId?: string): Inbox.Entry => ({
  submissionId: submission(id),
  input: Input.text(id),
  turnId: turnId === undefined ? undefined : turn(turnId)
})
const ids = (entries: ReadonlyArray<Inbox.Entry>) => entries.map((one) => one.submissionId as string)
const inboxOf = (...entries: ReadonlyArray<Inbox.Entry>) => entries.reduce(Inbox.accept, Inbox.empty)

const Entries = Schema.Array(Schema.Literals(["queue", "a", "b"]))
/** Entries of distinct ids, queued or bound to one of two turns. */
const randomly = (places: typeof Entries.Type) =>
  inboxOf(...places.map((place, index) => entry(`${index}`, place === "queue" ? undefined : place)))

describe("Inbox", () => {
  it("P2 a task that runs alongside a turn is no input of the turn until it has reported its result", () => {
    const task = { kind: "watch", params: {}, mode: "alongside" } as const
    const running = { ...entry("task", "t"), waits: true, task } as const
    const inbox = inboxOf(running, entry("s1", "t"), { ...entry("queued"), task })
    assert.deepStrictEqual(ids(Inbox.forTurn(inbox, turn("t"), undefined)), ["s1"])
    assert.deepStrictEqual(ids(Inbox.runningTasks(inbox, turn("t"))), ["task"])
    const result = { submissionId: submission("task"), fragment: "watched", input: Input.text("seen") }
    const reported = Inbox.report(inbox, result)
    assert.deepStrictEqual(Inbox.runningTasks(reported, turn("t")), [])
    assert.deepInclude(Inbox.forTurn(reported, turn("t"), undefined)[0], result)
    const left = Inbox.release(reported, turn("t"))
    assert.deepStrictEqual(ids(Inbox.queuedEntries(left)), ["s1", "queued"])
    assert.deepStrictEqual(ids(Inbox.forTurn(Inbox.join(left, turn("u")), turn("u"), undefined)), ["task"])
  })

  it("P3 keeps the order of acceptance, and leaves the older value as it was", () => {
    const two = inboxOf(entry("1"), entry("2"))
    const three = Inbox.accept(two, entry("3"))
    assert.deepStrictEqual(ids(three), ["1", "2", "3"])
    assert.deepStrictEqual(ids(two), ["1", "2"])
  })

  it("removes entries by id, and ignores ids that it does not have", () => {
    const inbox = inboxOf(entry("1"), entry("2"), entry("3"))
    assert.deepStrictEqual(ids(Inbox.remove(inbox, [submission("2"), submission("9")])), ["1", "3"])
    assert.strictEqual(Inbox.remove(inbox, []), inbox)
    assert.deepStrictEqual(Inbox.remove(Inbox.empty, [submission("1")]), [])
  })

  it("P4 a turn gets its own input first, then the input that steers it, in order, and nothing else", () => {
    const inbox = inboxOf(entry("s1", "t"), entry("own"), entry("other"), entry("s2", "t"), entry("u1", "u"))
    assert.deepStrictEqual(ids(Inbox.forTurn(inbox, turn("t"), submission("own"))), ["own", "s1", "s2"])
    assert.deepStrictEqual(ids(Inbox.forTurn(inbox, turn("t"), undefined)), ["s1", "s2"])
    assert.deepStrictEqual(ids(Inbox.forTurn(inbox, turn("v"), submission("gone"))), [])
  })

  it("P3 entries that are released keep their place, ahead of everything newer", () => {
    const inbox = inboxOf(entry("old"), entry("s1", "t"), entry("s2", "t"), entry("new"), entry("u1", "u"))
    const released = Inbox.release(inbox, turn("t"))
    assert.deepStrictEqual(ids(released), ids(inbox))
    assert.deepStrictEqual(ids(Inbox.queuedEntries(released)), ["old", "s1", "s2", "new"])
    assert.deepStrictEqual(ids(Inbox.queuedEntries(Inbox.accept(released, entry("newest")))).at(-1), "newest")
    assert.strictEqual(Inbox.release(released, turn("t")), released)
  })

  it.prop("P2 each entry is in the queue or steers one turn, and never both", [Entries], ([places]) => {
    const inbox = randomly(places)
    const parts = [
      Inbox.queuedEntries(inbox),
      Inbox.forTurn(inbox, turn("a"), undefined),
      Inbox.forTurn(inbox, turn("b"), undefined)
    ]
    assert.deepStrictEqual(parts.flatMap(ids).sort(), ids(inbox).sort())
    for (const part of parts)
      assert.deepStrictEqual(
        ids(part),
        ids(inbox).filter((id) => ids(part).includes(id))
      )
  })

  it.prop("P3 releasing loses nothing and changes no order", [Entries], ([places]) => {
    const inbox = randomly(places)
    const released = Inbox.release(inbox, turn("a"))
    assert.deepStrictEqual(ids(released), ids(inbox))
    assert.deepStrictEqual(Inbox.forTurn(released, turn("a"), undefined), [])
    assert.deepStrictEqual(Inbox.release(released, turn("a")), released)
  })
})

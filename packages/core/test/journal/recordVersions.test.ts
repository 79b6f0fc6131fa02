import { assert, describe, it } from "@effect/vitest"
import * as RecordCodec from "@spindle/core/RecordCodec"

const decoded = (record: object) => RecordCodec.decodeLine(JSON.stringify({ v: 1, seq: 3, at: 4, ...record }))

describe("a record of version 1", () => {
  it("J6 has the status of a delegate as one of today's words; another word becomes its message", () => {
    const statusOf = (status: unknown) => decoded({ _tag: "DelegateEnded", delegateId: "d", status })
    const words = ["pending_init", "running", "interrupted", "completed", "errored", "shutdown", "not_found"]
    const today = ["pendingInit", "running", "interrupted", "completed", "errored", "shutdown", "notFound"]
    for (const [index, word] of words.entries()) {
      const record = { _tag: "DelegateEnded", delegateId: "d", status: today[index], seq: 3, at: 4 }
      assert.deepStrictEqual({ ...statusOf(word) } as unknown, record)
    }
    for (const word of ["gone", "constructor"]) assert.deepInclude(statusOf(word), { status: "errored", message: word })
    assert.isUndefined(statusOf(7))
  })

  it("J1 whose retries had no limit, which version 1 could not read back, can be read", () => {
    const retrying = { turnId: "t", requestId: "r", attempt: 1, delayMillis: 0, kind: "ServerError", detail: "" }
    const record = decoded({ _tag: "ModelRetrying", ...retrying, maxAttempts: null })
    assert.strictEqual(record?._tag, "ModelRetrying")
    assert.notProperty(record, "maxAttempts")
    assert.deepInclude(decoded({ _tag: "ModelRetrying", ...retrying, maxAttempts: 4 }), { maxAttempts: 4 })
  })

  it("P5 is a notice only if all of its input is one", () => {
    const notice = `<subagent_notification>\n{"agent_id":"a","status":"shutdown"}\n</subagent_notification>`
    const fragmentOf = (...texts: ReadonlyArray<string>) => {
      const input = texts.map((text) => ({ _tag: "Text", text }))
      const record = decoded({ _tag: "InputAccepted", submissionId: "s", input, delivery: "wait" })
      return record?._tag === "InputAccepted" ? record.fragment : record
    }
    assert.strictEqual(fragmentOf(notice), "subagent_notification")
    for (const texts of [[`what is ${notice}?`], [notice, "more"], [`${notice} `], ["<subagent_notification>"], []]) {
      assert.isUndefined(fragmentOf(...texts), texts.join())
    }
  })

  it("J6 of an unknown tag is kept as it is", () => {
    const line = `{"v":1,"_tag":"Dreamed","seq":3,"at":4,"requestId":"r"}`
    const record = RecordCodec.decodeLine(line)
    assert.strictEqual(record?._tag, "Unknown")
    assert.strictEqual(RecordCodec.encode(record!), line)
  })

  it("with wrong fields is not a record", () => {
    for (const record of [
      { _tag: "RequestOpened", kind: "command", payload: {}, path: [] },
      { _tag: "RequestSettled", requestId: 1, decision: { _tag: "Abort" } },
      { _tag: "ItemRecorded", turnId: "t", item: null },
      { _tag: "InputAccepted", submissionId: "s", input: "text", delivery: "wait" }
    ]) {
      assert.isUndefined(decoded(record), record._tag)
    }
  })
})

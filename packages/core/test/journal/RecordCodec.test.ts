import { assert, describe, it } from "@effect/vitest"
import type { CallId, ItemId } from "@spindle/core/Ids"
import * as RecordCodec from "@spindle/core/RecordCodec"
import { KnownRecord, type NewRecord } from "@spindle/core/SessionEvent"
import * as Records from "../fixtures/records.ts"

const decoded = (line: string) => RecordCodec.decodeLine(line)
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe("encode and decodeLine", () => {
  it.prop("J1 J5 every record is one line that is read back as the same record", [KnownRecord], ([record]) => {
    const line = RecordCodec.encode(record)
    assert.isFalse(line.includes("\n"))
    assert.strictEqual((JSON.parse(line) as { v: number }).v, 2)
    assert.strictEqual(decoded(line)?._tag, record._tag)
    // compared as JSON, for what JSON cannot represent in `payload`, `params` and `output`
    assert.deepStrictEqual(asJson(decoded(line)), asJson(record))
  })

  it("writes the version first, and the fields under their own names", () => {
    const [record] = Records.numbered([Records.warning("careful")], 7)
    assert.strictEqual(RecordCodec.encode(record!), `{"v":2,"_tag":"Warning","message":"careful","seq":7,"at":7000}`)
  })

  it("J6 a record of an unknown tag or version is kept, and written back with the same content, byte for byte", () => {
    const lines = [
      `{"v":2,"_tag":"Novelty","seq":3,"at":5,"deep":{"list":[1,null,"é\\n"],"flag":true}}`,
      `{"at":5,"seq":4,"_tag":"Warning","v":3,"message":{"now":"an object"}}`,
      `{"v":99,"_tag":"TurnStarted","seq":5,"at":6}`
    ]
    for (const line of lines) {
      const record = decoded(line)
      assert.strictEqual(record?._tag, "Unknown")
      assert.deepStrictEqual([record?.seq, record?.at], [JSON.parse(line).seq, JSON.parse(line).at])
      assert.strictEqual(RecordCodec.encode(record!), line)
    }
  })

  it("a known tag with wrong fields is not a record", () => {
    const wrong = [
      `{"v":2,"_tag":"Warning","seq":0,"at":0}`,
      `{"v":2,"_tag":"Warning","seq":0,"at":0,"message":1}`,
      `{"v":2,"_tag":"TurnStarted","seq":0,"at":0,"turnId":"t"}`,
      `{"v":2,"_tag":"TurnAborted","seq":0,"at":0,"turnId":"t","reason":"Bored"}`,
      `{"v":2,"_tag":"ItemRecorded","seq":0,"at":0,"turnId":"t","item":{"_tag":"Poem","id":"0.0"}}`
    ]
    for (const line of wrong) assert.isUndefined(decoded(line), line)
  })

  it("a line that is not an object, or lacks its number, time, tag or version, is not a record", () => {
    const none = [
      ``,
      `{`,
      `null`,
      `7`,
      `[]`,
      `"Warning"`,
      `{}`,
      `{"v":2,"_tag":"Novelty","at":0}`,
      `{"v":2,"_tag":"Novelty","seq":"0","at":0}`,
      `{"v":2,"_tag":"Novelty","seq":0}`,
      `{"v":2,"seq":0,"at":0}`,
      `{"_tag":"Novelty","seq":0,"at":0}`
    ]
    for (const line of none) assert.isUndefined(decoded(line), line)
  })

  it("J1 a line that is nested too deep to be written again is not a record, whatever its texts contain", () => {
    const line = (value: string) => `{"v":2,"_tag":"Unheard","seq":0,"at":0,"x":${value}}`
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth)
    assert.isUndefined(decoded(line(nested(100_000))))
    assert.isUndefined(decoded(line(`["\\\\",${'{"a":'.repeat(2_000)}0${"}".repeat(2_000)}]`)))
    for (const value of [nested(900), JSON.stringify(nested(100_000)), JSON.stringify(`\\"${"[".repeat(5_000)}`)]) {
      const record = decoded(line(value))
      assert.strictEqual(record?._tag, "Unknown")
      assert.strictEqual(RecordCodec.encode(record!), line(value))
    }
    assert.isDefined(
      decoded(
        line(
          Array.from({ length: 5_000 }, () => "[]")
            .join()
            .replace(/^|$/g, (_, at) => (at === 0 ? "[" : "]"))
        )
      )
    )
  })

  it("J1 a call without arguments, a result without output and a question without payload can be read again, as they were", () => {
    const bare: ReadonlyArray<NewRecord> = [
      Records.recorded("t", {
        _tag: "ToolCall",
        id: "1.0" as ItemId,
        callId: "a" as CallId,
        name: "shell",
        params: undefined,
        invalid: "{"
      }),
      Records.recorded("t", {
        _tag: "ToolResult",
        id: "1.1" as ItemId,
        callId: "a" as CallId,
        name: "shell",
        status: "completed",
        output: undefined
      }),
      { ...(Records.asked("t", "q") as Extract<NewRecord, { readonly _tag: "QuestionOpened" }>), payload: undefined }
    ]
    for (const record of Records.numbered(bare)) {
      assert.deepStrictEqual(decoded(RecordCodec.encode(record)), record)
    }
  })
})

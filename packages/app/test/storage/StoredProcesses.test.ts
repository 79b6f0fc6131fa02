import { assert, describe, it } from "@effect/vitest"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as StoredProcesses from "../../src/storage/StoredProcesses.ts"

const numbered = (records: ReadonlyArray<object>) =>
  records.map((record, seq) => ({ ...record, seq, at: 1_000 * seq })) as unknown as ReadonlyArray<JournalRecord>

const started = (processId: string) => ({
  _tag: "ProcessStarted",
  processId,
  command: ["make"],
  cwd: "/w",
  keep: false
})
const result = (detail: object) => ({
  _tag: "ItemRecorded",
  item: { _tag: "ToolResult", id: "i", callId: "c", name: "exec_command", status: "ok", output: "", detail }
})
const read = (output: string, processId?: string) =>
  result({ _tag: "Command", exitCode: null, durationMillis: 1, output, ...(processId && { processId }) })

describe("StoredProcesses", () => {
  it("has the processes that have not ended, with the output that calls have read", () => {
    const records = numbered([
      started("one"),
      started("two"),
      read("a", "one"),
      read("of a command that ended in its call"),
      read("of another", "gone"),
      read("b", "one"),
      { _tag: "ProcessEnded", processId: "two", exitCode: 0 }
    ])
    assert.deepStrictEqual(StoredProcesses.of(records), [
      { processId: "one" as never, command: ["make"], title: "make", cwd: "/w", startedAt: 0, output: "ab" }
    ])
  })

  it("have the command line of their call as their title", () => {
    const display = { _tag: "Command", command: "make", cwd: "/w" }
    const records = numbered([
      {
        _tag: "ItemRecorded",
        item: { _tag: "ToolCall", id: "i", callId: "c", name: "exec_command", params: {}, display }
      },
      { ...started("one"), command: ["bash", "-c", "export PATH; make"], callId: "c" }
    ])
    assert.deepStrictEqual(
      StoredProcesses.of(records).map(({ title }) => title),
      ["make"]
    )
  })
})

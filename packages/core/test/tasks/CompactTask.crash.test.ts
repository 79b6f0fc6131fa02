/** A compaction whose host dies at any record (contract S11, J3, J8, P2). */
import { assert, describe, it } from "@effect/vitest"
import * as CompactTask from "@spindle/core/CompactTask"
import * as History from "@spindle/core/History"
import { textOf } from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as Op from "@spindle/core/Op"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as SessionState from "@spindle/core/SessionState"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"
import { summarizing } from "../fixtures/compactions.ts"

const options = {
  script: summarizing,
  tasks: [CompactTask.kind],
  config: { compactFromTokens: 2_500 }
}
/** Two turns, a compaction that is asked for, and turns of which one compacts by itself. */
const records = Effect.scoped(
  Effect.gen(function* () {
    const harness = yield* Harness.make(options)
    yield* harness.run("one")
    yield* harness.run("two")
    yield* harness.session.submit(Op.startTask("compact"))
    yield* harness.session.awaitIdle
    for (const text of ["three", "four", "five", "six"]) yield* harness.run(text)
    return [harness.session.sessionId, harness.records()] as const
  })
)

const wordsOf = (items: ReadonlyArray<Item>) =>
  items.flatMap((item) => (item._tag === "UserMessage" && item.fragment === undefined ? [textOf(item.content)] : []))

/** The words that a resumed session must know: those that were carried, and those that wait. */
const acknowledged = (prefix: ReadonlyArray<JournalRecord>) =>
  prefix.flatMap((record) =>
    record._tag === "InputAccepted" && record.task === undefined ? [textOf(record.input)] : []
  )

describe("a compaction whose host dies", () => {
  it.effect("S11 J3 P2 at any record leaves the history before or after it, and no input is lost", () =>
    Effect.gen(function* () {
      const [sessionId, all] = yield* records
      assert.strictEqual(all.filter(({ _tag }) => _tag === "HistoryReplaced").length, 2)
      for (let size = 1; size <= all.length; size++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const prefix = all.slice(0, size)
            const position = `cut after record ${size - 1}, ${prefix.at(-1)!._tag}`
            const journal = yield* Harness.memoryJournal
            yield* Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), (writer) => writer.append(prefix)))
            const harness = yield* Harness.make({ ...options, journal, resume: sessionId })
            const { history } = SessionState.fold(prefix)
            const opened = yield* harness.session.snapshot
            assert.deepStrictEqual(opened.items.slice(0, history.length), History.toArray(history), position)
            yield* harness.submit("next")
            yield* harness.session.awaitIdle
            const last = yield* harness.session.snapshot
            assert.deepStrictEqual(wordsOf(last.items), [...acknowledged(prefix), "next"], position)
            assert.strictEqual(last.status, "idle", position)
          })
        )
      }
    })
  )
})

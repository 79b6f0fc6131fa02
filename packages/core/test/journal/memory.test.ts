import { assert, describe, it } from "@effect/vitest"
import * as Journal from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import { Context, Effect, Layer } from "effect"
import { journalOf, numbered, sessionId, warning } from "../fixtures/records.ts"

const memory = (options?: Parameters<typeof Journal.layerMemory>[0]) =>
  Effect.map(Layer.build(Journal.layerMemory(options)), (context) => Context.get(context, Journal.Journal))

const warnings = (from: number, count: number) =>
  numbered(
    Array.from({ length: count }, () => warning("text")),
    from
  )

describe("layerMemory", () => {
  it.effect("a bound keeps the latest records: at least the bound, and at most twice as many", () =>
    Effect.gen(function* () {
      const journal = yield* memory({ retainCount: 10 })
      const writer = yield* journal.open(sessionId, "create")
      for (let seq = 0; seq < 1_000; seq++) {
        yield* writer.append(warnings(seq, 1))
        const kept = (yield* journal.load(sessionId)).records
        assert.strictEqual(kept.at(-1)?.seq, seq)
        assert.isAtMost(kept.length, 20)
        assert.isAtLeast(kept.length, Math.min(seq + 1, 10))
      }
      assert.deepStrictEqual(
        (yield* writer.read(995, 3)).map((record) => record.seq),
        [995, 996, 997]
      )
      const oldest = (yield* journal.load(sessionId)).records[0]!.seq
      assert.strictEqual((yield* writer.read(0, 1))[0]?.seq, oldest)
    })
  )

  it.effect("J2 a journal that is open names this process as its holder", () =>
    Effect.gen(function* () {
      const journal = yield* memory()
      yield* journal.open(sessionId, "create")
      for (const refused of [Effect.scoped(journal.open(sessionId, "existing")), journal.archive(sessionId)]) {
        const { message } = yield* Effect.flip(refused)
        assert.strictEqual(message, `session ${sessionId} is being written by this process`)
      }
    })
  )

  it.effect("a journal that is not retained is gone when its writer closes", () =>
    Effect.gen(function* () {
      const journal = yield* memory({ retainClosed: false })
      yield* Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), (writer) => writer.append(journalOf(2))))
      assert.deepStrictEqual(yield* journal.list, [])
      yield* journal.open(sessionId, "create")
    })
  )

  it.effect("lists the latest first", () =>
    Effect.gen(function* () {
      const journal = yield* memory()
      const [a, b] = ["a" as SessionId, "b" as SessionId]
      for (const [id, count] of [
        [a, 2],
        [b, 4]
      ] as const) {
        yield* Effect.scoped(Effect.flatMap(journal.open(id, "create"), (writer) => writer.append(warnings(0, count))))
      }
      assert.deepStrictEqual(
        (yield* journal.list).map((entry) => [entry.sessionId, entry.updatedAt]),
        [
          [b, 3_000],
          [a, 1_000]
        ]
      )
    })
  )
})

/**
 * The contract of a journal as tests (J1, J2, J6, J7). Every implementation of the port `Journal` must pass them.
 *
 * Needs `vitest`. Tests that need faults, such as a write that fails or a process that dies, cannot be written without
 * knowing the implementation, and are left to its own tests.
 */
import * as Journal from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { assert, describe, it } from "vitest"
import { records, unknown } from "./internal/suiteRecords.ts"

const sessionId = "0190163d-8694-739b-aea5-966c26f8ad91" as SessionId

/** Opens a journal in its own scope, and returns the writer and an effect that closes the scope. */
const openScoped = Effect.fnUntraced(function* (id: SessionId, mode: "create" | "existing") {
  const journal = yield* Journal.Journal
  const scope = yield* Scope.make()
  const writer = yield* journal.open(id, mode).pipe(Effect.provideService(Scope.Scope, scope))
  return { writer, close: Scope.close(scope, Exit.void) }
})

/** Creates a journal with these records, and closes it. */
const store = (id: SessionId, all: ReadonlyArray<JournalRecord>) =>
  Effect.flatMap(openScoped(id, "create"), ({ close, writer }) => Effect.andThen(writer.append(all), close))

const load = (id: SessionId) => Effect.flatMap(Journal.Journal, (journal) => journal.load(id))

/** The tag of the error with which an opening fails. */
const refusalOf = (id: SessionId, mode: "create" | "existing") =>
  Effect.flatMap(Journal.Journal, (journal) =>
    Effect.map(Effect.flip(Effect.scoped(journal.open(id, mode))), ({ _tag }) => _tag)
  )

/**
 * Registers the tests of a journal under this name. The layer is built for each test in the scope of the test, and must
 * start without journals.
 *
 * @example
 * ```ts no-run
 * import * as Journal from "@spindle/core/Journal"
 * import * as JournalSuite from "@spindle/testing/JournalSuite"
 *
 * JournalSuite.suite("Journal.layerMemory", Journal.layerMemory())
 * ```
 */
export const suite = <E>(name: string, layer: Layer.Layer<Journal.Journal, E>): void => {
  const test = (title: string, run: Effect.Effect<void, unknown, Journal.Journal | Scope.Scope>) =>
    it(title, () => Effect.runPromise(Effect.scoped(Effect.provide(run, layer))))
  describe(name, () => {
    testOpening(test)
    testAppending(test)
    testReading(test)
    testArchiving(test)
    testPages(test)
    testTitles(test)
    testDeleting(test)
  })
}

type Test = (title: string, run: Effect.Effect<void, unknown, Journal.Journal | Scope.Scope>) => void

const testOpening = (test: Test): void => {
  test(
    "finds only journals that were created, and creates each once",
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      assert.deepStrictEqual(yield* journal.list, [])
      assert.strictEqual(yield* refusalOf(sessionId, "existing"), "SessionNotFound")
      assert.strictEqual((yield* Effect.flip(journal.load(sessionId)))._tag, "SessionNotFound")
      yield* store(sessionId, records(sessionId, 1))
      assert.strictEqual(yield* refusalOf(sessionId, "create"), "JournalFailed")
      assert.strictEqual((yield* load(sessionId)).records.length, 1)
    })
  )

  test(
    "J2 is busy while another holder writes, for opening and for creating, and free when the holder's scope closes",
    Effect.gen(function* () {
      const first = yield* openScoped(sessionId, "create")
      assert.strictEqual(yield* refusalOf(sessionId, "existing"), "SessionBusy")
      assert.strictEqual(yield* refusalOf(sessionId, "create"), "SessionBusy")
      yield* first.writer.append(records(sessionId, 2))
      yield* first.close
      const second = yield* openScoped(sessionId, "existing")
      assert.deepStrictEqual(second.writer.opened.records, records(sessionId, 2))
      yield* second.close
    })
  )

  test(
    "J2 an opening that fails holds nothing, although its scope is still open",
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      yield* store(sessionId, records(sessionId, 1))
      yield* Effect.flip(journal.open(sessionId, "create"))
      yield* Effect.flip(journal.open("another" as SessionId, "existing"))
      yield* Effect.flatMap(openScoped(sessionId, "existing"), ({ close }) => close)
      yield* Effect.flatMap(openScoped("another" as SessionId, "create"), ({ close }) => close)
    })
  )

  test(
    "J2 an opening that is interrupted at any moment holds nothing",
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      yield* store(sessionId, records(sessionId, 50))
      for (let turns = 0; turns < 40; turns++) {
        const fiber = yield* Effect.forkChild(Effect.scoped(journal.open(sessionId, "existing")))
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        const { close, writer } = yield* openScoped(sessionId, "existing")
        assert.strictEqual(writer.opened.records.length, 50)
        yield* close
      }
    })
  )

  test(
    "J7 keeps sessions apart, whatever their ids look like, and lists each, the latest first",
    Effect.gen(function* () {
      const ids = [sessionId, "a/b c", "..", "ü?.jsonl", "X".repeat(60)].map((id) => id as SessionId)
      for (const [index, id] of ids.entries()) yield* store(id, records(id, index + 1))
      for (const [index, id] of ids.entries()) {
        assert.deepStrictEqual((yield* load(id)).records, records(id, index + 1))
      }
      const list = yield* Effect.flatMap(Journal.Journal, (journal) => journal.list)
      assert.deepStrictEqual(list.map((entry) => entry.sessionId).sort(), ids.toSorted())
      for (const [index, entry] of list.entries()) {
        assert.isAtLeast(list[index - 1]?.updatedAt ?? Infinity, entry.updatedAt)
      }
    })
  )
}

const testAppending = (test: Test): void => {
  test(
    "J1 acknowledged records are read at once, loaded by others, and found unchanged by the next holder",
    Effect.gen(function* () {
      const all = records(sessionId, 60)
      const first = yield* openScoped(sessionId, "create")
      yield* first.writer.append(all.slice(0, 1))
      yield* first.writer.append(all.slice(1))
      assert.deepStrictEqual(yield* first.writer.read(0, 100), all)
      assert.deepStrictEqual(yield* load(sessionId), { records: all, cutBytes: 0, cutFile: undefined })
      assert.deepStrictEqual(first.writer.opened.records, [])
      yield* first.close
      const { close, writer } = yield* openScoped(sessionId, "existing")
      assert.deepStrictEqual(writer.opened, { records: all, cutBytes: 0, cutFile: undefined })
      const more = records(sessionId, 5, 60)
      yield* writer.append(more)
      assert.deepStrictEqual(writer.opened.records, all)
      assert.deepStrictEqual(yield* writer.read(0, 100), [...all, ...more])
      yield* close
      assert.deepStrictEqual((yield* load(sessionId)).records, [...all, ...more])
    })
  )

  test(
    "J6 a record of a later version survives a round trip",
    Effect.gen(function* () {
      const all = [...records(sessionId, 3), unknown(3), ...records(sessionId, 2, 4)]
      yield* store(sessionId, all)
      const { close, writer } = yield* openScoped(sessionId, "existing")
      assert.deepStrictEqual(writer.opened.records, all)
      yield* writer.append([unknown(6)])
      yield* close
      assert.deepStrictEqual((yield* load(sessionId)).records, [...all, unknown(6)])
    })
  )

  test(
    "J1 keeps the order of many batches of many sizes, including empty ones",
    Effect.gen(function* () {
      const all = records(sessionId, 400)
      const { close, writer } = yield* openScoped(sessionId, "create")
      let from = 0
      for (let size = 0; from < all.length; size = (size + 3) % 17) {
        yield* writer.append(all.slice(from, from + size))
        from += size
      }
      yield* close
      assert.deepStrictEqual((yield* load(sessionId)).records, all)
    })
  )

  test(
    "J1 a writer that is interrupted while it appends leaves complete batches, and continues after them",
    Effect.gen(function* () {
      const { close, writer } = yield* openScoped(sessionId, "create")
      let seq = 0
      for (let turns = 0; turns < 40; turns++) {
        const fiber = yield* Effect.forkChild(writer.append(records(sessionId, 3, seq)))
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        const count = (yield* writer.read(seq, 10)).length
        assert.include([0, 3], count)
        seq += count
      }
      yield* close
      assert.deepStrictEqual((yield* load(sessionId)).records, records(sessionId, seq))
    })
  )
}

const testReading = (test: Test): void => {
  const ranges = Effect.fnUntraced(function* (writer: Journal.JournalWriter, all: ReadonlyArray<JournalRecord>) {
    for (const from of [0, 1, 7, 255, 256, 257, 511, 512, 599, 600, 10_000]) {
      for (const limit of [0, 1, 2, 255, 256, 257, 1_000, Infinity]) {
        assert.deepStrictEqual(yield* writer.read(from, limit), all.slice(from, from + limit), `${from} ${limit}`)
      }
    }
  })

  test(
    "J7 reads at most as many records as asked for, from any number onwards",
    Effect.gen(function* () {
      const all = records(sessionId, 600)
      const first = yield* openScoped(sessionId, "create")
      for (let from = 0; from < all.length; from += 77) yield* first.writer.append(all.slice(from, from + 77))
      yield* ranges(first.writer, all)
      yield* first.close
      const second = yield* openScoped(sessionId, "existing")
      yield* ranges(second.writer, all)
      yield* second.close
    })
  )

  test(
    "J1 loading while another fiber writes returns a beginning of the records, and disturbs nothing",
    Effect.gen(function* () {
      const all = records(sessionId, 200)
      const { close, writer } = yield* openScoped(sessionId, "create")
      const writing = yield* Effect.forkChild(
        Effect.forEach(all, (record) => Effect.andThen(writer.append([record]), Effect.yieldNow), { discard: true })
      )
      for (let seen = 0; seen < all.length;) {
        const { records: found } = yield* load(sessionId)
        assert.deepStrictEqual(found, all.slice(0, found.length))
        assert.isAtLeast(found.length, seen)
        seen = found.length
        yield* Effect.yieldNow
      }
      yield* Fiber.join(writing)
      yield* close
    })
  )
}

const testArchiving = (test: Test): void => {
  const idsOf = (entries: ReadonlyArray<Journal.JournalEntry>) => entries.map((entry) => entry.sessionId)

  test(
    "an archived journal is listed separately, loads unchanged, and cannot be opened until it is unarchived",
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const other = "another" as SessionId
      for (const id of [sessionId, other]) yield* store(id, records(id, 3))
      // archiving twice has the same effect as once
      for (const id of [sessionId, sessionId, other]) yield* journal.archive(id)
      yield* journal.unarchive(other)
      yield* journal.unarchive(other)
      assert.deepStrictEqual(idsOf(yield* journal.list), [other])
      assert.deepStrictEqual(idsOf(yield* journal.archived), [sessionId])
      assert.deepStrictEqual((yield* load(sessionId)).records, records(sessionId, 3))
      const refused = yield* Effect.flip(Effect.scoped(journal.open(sessionId, "existing")))
      assert.isTrue(refused._tag === "SessionNotFound" && refused.archived === true)
      assert.strictEqual(yield* refusalOf(sessionId, "create"), "JournalFailed")
      yield* journal.unarchive(sessionId)
      assert.deepStrictEqual(yield* journal.archived, [])
      const { close, writer } = yield* openScoped(sessionId, "existing")
      assert.deepStrictEqual(writer.opened.records, records(sessionId, 3))
      yield* writer.append(records(sessionId, 1, 3))
      yield* close
      assert.deepStrictEqual((yield* load(sessionId)).records, records(sessionId, 4))
    })
  )

  test(
    "J2 a journal that is being written cannot be archived, and one that does not exist is not found",
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      assert.strictEqual((yield* Effect.flip(journal.archive(sessionId)))._tag, "SessionNotFound")
      assert.strictEqual((yield* Effect.flip(journal.unarchive(sessionId)))._tag, "SessionNotFound")
      const { close, writer } = yield* openScoped(sessionId, "create")
      assert.strictEqual((yield* Effect.flip(journal.archive(sessionId)))._tag, "SessionBusy")
      yield* writer.append(records(sessionId, 2))
      yield* close
      yield* journal.archive(sessionId)
      assert.deepStrictEqual((yield* load(sessionId)).records, records(sessionId, 2))
    })
  )
}

const testPages = (test: Test): void => {
  test(
    "J7 pages yield every journal once, in the order of the list, and none that is archived",
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const ids = ["a", "b/c", "c", "d", "e", "f", "g"].map((id) => id as SessionId)
      for (const [index, id] of ids.entries()) yield* store(id, records(id, index + 1))
      yield* journal.archive(ids[2]!)
      yield* journal.archive(ids[3]!)
      for (const archived of [false, true]) {
        const all = yield* archived ? journal.archived : journal.list
        for (const limit of [1, 2, 3, 5, 100]) {
          let page = yield* journal.page({ archived, limit })
          const entries = [...page.entries]
          while (page.next !== undefined) {
            assert.lengthOf(page.entries, limit)
            page = yield* journal.page({ archived, limit, cursor: page.next })
            entries.push(...page.entries)
          }
          assert.deepStrictEqual(entries, all, `${limit}`)
        }
        assert.deepStrictEqual(yield* journal.page({ archived }), { entries: all })
      }
      const malformed = yield* Effect.flip(journal.page({ cursor: "the second page" }))
      assert.strictEqual(malformed.operation, "list")
    })
  )
}

const testTitles = (test: Test): void => {
  const titleRecord = (title: string, seq: number): JournalRecord => ({
    _tag: "SessionRenamed",
    seq,
    at: 1_000 + seq,
    title
  })

  test(
    "a list shows the last title of each journal, and selects by id, title and time",
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const ids = ["a.one", "a.two", "b.one"].map((id) => id as SessionId)
      for (const id of ids) yield* store(id, records(id, 2))
      const titlesOf = (options: Journal.PageOptions) =>
        Effect.map(journal.page(options), ({ entries }) =>
          Object.fromEntries(entries.map(({ sessionId: id, title }) => [id, title]))
        )
      assert.deepStrictEqual(yield* titlesOf({}), { "a.one": undefined, "a.two": undefined, "b.one": undefined })
      for (const [id, title] of [
        [ids[0]!, "Invoices"],
        [ids[2]!, "Old"]
      ] as const) {
        const { close, writer } = yield* openScoped(id, "existing")
        yield* writer.append([titleRecord("Before", 2), titleRecord(title, 3)])
        assert.strictEqual((yield* titlesOf({}))[id], title)
        yield* close
      }
      const { close, writer } = yield* openScoped(ids[2]!, "existing")
      yield* writer.append([titleRecord("", 4)])
      yield* close
      assert.deepStrictEqual(yield* titlesOf({}), { "a.one": "Invoices", "a.two": undefined, "b.one": undefined })
      assert.deepStrictEqual(yield* titlesOf({ title: "voice" }), { "a.one": "Invoices" })
      assert.deepStrictEqual(Object.keys(yield* titlesOf({ prefix: "b." })), ["b.one"])
      const { updatedAt } = (yield* journal.page({ title: "Invoices" })).entries[0]!
      assert.include(yield* titlesOf({ updatedFrom: updatedAt }), { "a.one": "Invoices" })
      assert.notProperty(yield* titlesOf({ updatedBefore: updatedAt }), "a.one")
      assert.notProperty(yield* titlesOf({ updatedFrom: updatedAt + 1 }), "a.one")
      // pages of a filter are as long as they can be
      const first = yield* journal.page({ prefix: "a.", limit: 1 })
      const second = yield* journal.page({ prefix: "a.", limit: 1, cursor: first.next })
      assert.deepStrictEqual([...first.entries, ...second.entries].map((entry) => entry.sessionId).sort(), [
        "a.one",
        "a.two"
      ])
      assert.notProperty(second, "next")
      yield* journal.archive(ids[0]!)
      assert.deepStrictEqual(yield* titlesOf({ archived: true }), { "a.one": "Invoices" })
      yield* journal.delete(ids[0]!)
      yield* store(ids[0]!, records(ids[0]!, 1))
      assert.deepStrictEqual(yield* titlesOf({ prefix: "a.one" }), { "a.one": undefined })
    })
  )
}

const testDeleting = (test: Test): void => {
  test(
    "a journal that is deleted, archived or not, does not exist, and its id can be used again",
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const other = "another" as SessionId
      for (const id of [sessionId, other]) yield* store(id, records(id, 3))
      yield* journal.archive(sessionId)
      yield* journal.delete(sessionId)
      assert.deepStrictEqual(yield* journal.archived, [])
      assert.strictEqual((yield* Effect.flip(journal.load(sessionId)))._tag, "SessionNotFound")
      assert.strictEqual((yield* Effect.flip(journal.delete(sessionId)))._tag, "SessionNotFound")
      assert.strictEqual((yield* load(other)).records.length, 3)
      yield* journal.delete(other)
      assert.deepStrictEqual(yield* journal.list, [])
      for (const id of [sessionId, other]) yield* store(id, records(id, 2))
      assert.strictEqual((yield* load(sessionId)).records.length, 2)
      assert.deepStrictEqual(yield* journal.archived, [])
    })
  )

  test(
    "J2 a journal that is being written cannot be deleted",
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const { close, writer } = yield* openScoped(sessionId, "create")
      assert.strictEqual((yield* Effect.flip(journal.delete(sessionId)))._tag, "SessionBusy")
      yield* writer.append(records(sessionId, 2))
      yield* close
      assert.strictEqual((yield* load(sessionId)).records.length, 2)
      yield* journal.delete(sessionId)
    })
  )
}

import { appendFileSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Journal, type JournalWriter } from "@spindle/core/Journal"
import * as JournalFile from "@spindle/core/JournalFile"
import type { JournalLease } from "@spindle/core/JournalLease"
import type { SessionId } from "@spindle/core/Ids"
import { JournalFailed, SessionBusy } from "@spindle/core/SessionError"
import { recordVersion } from "@spindle/core/SessionEvent"
import { Config, ConfigProvider, Effect, Exit, Layer, Scope } from "effect"
import * as JournalFiles from "../fixtures/journalFiles.ts"
import { journalOf, numbered, sessionId, started, startedAs, warning } from "../fixtures/records.ts"

/** Records of a session from a number onwards; number 0 starts the session. */
const recordsFrom = (from: number, count: number) =>
  numbered(
    Array.from({ length: count }, (_, index) => (from + index === 0 ? started : warning(`text ${from + index}`))),
    from
  )

/** Opens a journal in a separate scope, and returns the writer and an effect that closes the scope. */
const openScoped = Effect.fnUntraced(function* (
  journal: Effect.Success<ReturnType<typeof JournalFiles.make>>["journal"],
  mode: "create" | "existing"
) {
  const scope = yield* Scope.make()
  const writer = yield* journal.open(sessionId, mode).pipe(Effect.provideService(Scope.Scope, scope))
  return { writer, close: Scope.close(scope, Exit.void) }
})

describe("layerConfig", () => {
  it.live("J7 keeps journals in the directory that the configuration names", () =>
    Effect.gen(function* () {
      const { directory, journal: made } = yield* JournalFiles.make()
      yield* Effect.scoped(Effect.flatMap(made.open(sessionId, "create"), ({ append }) => append(journalOf(2))))
      const layer = JournalFile.layerConfig({ directory: Config.String("JOURNALS") })
      const { records } = yield* Effect.flatMap(Journal, ({ load }) => load(sessionId)).pipe(
        Effect.provide(Layer.provide(layer, NodeServices.layer)),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: { JOURNALS: directory } }))
      )
      assert.lengthOf(records, 2)
    }).pipe(Effect.scoped)
  )
})

describe("open", () => {
  it.live("J5 fails for an id that no file name can carry", () =>
    Effect.gen(function* () {
      const { journal } = yield* JournalFiles.make()
      // half of a character, alone and in an id with a time
      for (const id of ["\ud800", "019f0000-0000-7000-8000-\ud800"] as ReadonlyArray<string>) {
        const sessionId = id as SessionId
        const refused = yield* Effect.flip(Effect.scoped(journal.open(sessionId, "create")))
        assert.deepStrictEqual(
          [refused._tag, refused._tag === "JournalFailed" && refused.detail],
          ["JournalFailed", "the id contains half of a character, which no file name can carry"]
        )
        for (const operation of [journal.load, journal.archive, journal.delete]) {
          assert.strictEqual((yield* Effect.flip(operation(sessionId)))._tag, "SessionNotFound")
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("J2 a second opening in the same process is busy, until the first holder closes", () =>
    Effect.gen(function* () {
      const { journal } = yield* JournalFiles.make()
      const first = yield* openScoped(journal, "create")
      yield* first.writer.append(journalOf(2))
      const refused = yield* Effect.flip(Effect.scoped(journal.open(sessionId, "existing")))
      assert.deepStrictEqual(
        [refused._tag, refused._tag === "SessionBusy" && refused.holder],
        ["SessionBusy", "this process"]
      )
      yield* first.writer.append(recordsFrom(2, 1))
      yield* first.close
      const second = yield* openScoped(journal, "existing")
      assert.strictEqual(second.writer.opened.records.length, 3)
      yield* second.close
    }).pipe(Effect.scoped)
  )

  it.live("J2 the lease is taken before the file is touched, and released with the scope", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      let holder: string | undefined
      const lease: JournalLease = {
        acquire: (id) =>
          Effect.acquireRelease(
            Effect.suspend(() => {
              log.push("asked")
              if (holder !== undefined) return Effect.fail(new SessionBusy({ sessionId: id, holder }))
              log.push("taken")
              return Effect.void
            }),
            () => Effect.sync(() => void log.push("released"))
          )
      }
      const faults: JournalFiles.Faults = { seen: (operation) => void log.push(operation) }
      const { directory, journal } = yield* JournalFiles.make({ faults, lease })
      const { close, writer } = yield* openScoped(journal, "create")
      assert.deepStrictEqual(log.splice(0), ["asked", "taken", "open"])
      yield* writer.append(journalOf(2))
      yield* close
      assert.deepStrictEqual(log.splice(0), ["released"])

      holder = "another process"
      // only the holder repairs: a refused opening leaves a torn end where it is
      appendFileSync(JournalFiles.pathOf(directory), "torn")
      const before = readFileSync(JournalFiles.pathOf(directory))
      const refused = yield* Effect.flip(Effect.scoped(journal.open(sessionId, "existing")))
      assert.deepStrictEqual(
        [refused._tag, refused._tag === "SessionBusy" && refused.holder],
        ["SessionBusy", "another process"]
      )
      assert.deepStrictEqual(log.splice(0), ["asked"])
      assert.deepStrictEqual(readFileSync(JournalFiles.pathOf(directory)), before)
      assert.strictEqual(JournalFiles.namesIn(directory).length, 1)

      holder = undefined
      const second = yield* openScoped(journal, "existing")
      assert.strictEqual(second.writer.opened.cutBytes, 4)
      yield* second.close
    }).pipe(Effect.scoped)
  )

  it.live("J2 a writer that lost its journal is refused before its write is acknowledged, and writes no more", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      const old = yield* openScoped(journal, "create")
      yield* old.writer.append(journalOf(3))
      // another process, which no lease excludes
      const other = yield* JournalFiles.make({ directory })
      const fresh = yield* openScoped(other.journal, "existing")
      yield* fresh.writer.append(recordsFrom(3, 1))

      const late = numbered([warning("from a writer of the past")], 3)
      const refused = yield* Effect.flip(old.writer.append(late))
      assert.deepStrictEqual([refused._tag, refused.operation], ["JournalFailed", "fence"])
      const again = yield* Effect.flip(old.writer.append(late))
      assert.strictEqual(again.operation, "fence")

      yield* fresh.writer.append(recordsFrom(4, 1))
      const lines = JournalFiles.linesOf(JournalFiles.pathOf(directory))
      assert.deepStrictEqual(
        lines.map((line) => line["seq"]),
        [0, 1, 2, 3, 4]
      )
      assert.isFalse(readFileSync(JournalFiles.pathOf(directory), "utf8").includes("of the past"))
      yield* Effect.andThen(fresh.close, old.close)
    }).pipe(Effect.scoped)
  )

  it.live("J2 a take-over between a write and its acknowledgement refuses the write", () =>
    Effect.gen(function* () {
      const faults: JournalFiles.Faults = {}
      const { directory, journal } = yield* JournalFiles.make({ faults })
      const old = yield* openScoped(journal, "create")
      yield* old.writer.append(journalOf(2))
      const other = yield* JournalFiles.make({ directory })
      let taken: JournalWriter | undefined
      faults.afterWrite = Effect.map(
        Effect.orDie(openScoped(other.journal, "existing")),
        ({ writer }) => void (taken = writer)
      )
      const refused = yield* Effect.flip(old.writer.append(recordsFrom(2, 1)))
      assert.strictEqual(refused.operation, "fence")
      // it was in the file before the take-over, so the new holder has it: unacknowledged, and not lost
      assert.strictEqual(taken?.opened.records.length, 3)
    }).pipe(Effect.scoped)
  )
})

describe("append", () => {
  it.live("J1 after a short write the file ends with the last acknowledged record, and later writes are refused", () =>
    Effect.gen(function* () {
      for (const kept of [0, 1, 40]) {
        const faults: JournalFiles.Faults = {}
        const { directory, journal } = yield* JournalFiles.make({ faults })
        const { close, writer } = yield* openScoped(journal, "create")
        yield* writer.append(journalOf(3))
        const before = readFileSync(JournalFiles.pathOf(directory))

        faults.write = () => kept
        const error = yield* Effect.flip(writer.append(recordsFrom(3, 2)))
        assert.instanceOf(error, JournalFailed)
        assert.strictEqual(error.operation, "append")
        assert.include(error.message, "failed to append: ENOSPC: no space left on device")
        assert.deepStrictEqual(readFileSync(JournalFiles.pathOf(directory)), before)
        assert.strictEqual((yield* writer.read(0, 10)).length, 3)

        delete faults.write
        assert.strictEqual(yield* Effect.flip(writer.append(recordsFrom(3, 1))), error)
        assert.deepStrictEqual(readFileSync(JournalFiles.pathOf(directory)), before)
        yield* close
        assert.deepStrictEqual((yield* journal.load(sessionId)).records, journalOf(3))
      }
    }).pipe(Effect.scoped)
  )

  it.live("J1 a new journal whose first record cannot be written leaves no file", () =>
    Effect.gen(function* () {
      const faults: JournalFiles.Faults = { write: () => 3 }
      const { directory, journal } = yield* JournalFiles.make({ faults })
      const { close, writer } = yield* openScoped(journal, "create")
      const error = yield* Effect.flip(writer.append(journalOf(1)))
      assert.include(error.message, "ENOSPC")
      yield* close
      assert.deepStrictEqual(JournalFiles.namesIn(directory), [])
      delete faults.write
      const again = yield* openScoped(journal, "create")
      yield* again.writer.append(journalOf(1))
    }).pipe(Effect.scoped)
  )

  it.live("J1 when the short write cannot even be truncated, the next opening cuts it", () =>
    Effect.gen(function* () {
      const faults: JournalFiles.Faults = { truncate: true }
      const { directory, journal } = yield* JournalFiles.make({ faults })
      const { close, writer } = yield* openScoped(journal, "create")
      yield* writer.append(journalOf(3))
      faults.write = () => 10
      yield* Effect.flip(writer.append(recordsFrom(3, 1)))
      delete faults.write
      yield* Effect.flip(writer.append(recordsFrom(3, 1)))
      yield* close
      delete faults.truncate
      const second = yield* openScoped(journal, "existing")
      assert.strictEqual(second.writer.opened.records.length, 3)
      assert.strictEqual(second.writer.opened.cutBytes, 10)
      assert.deepStrictEqual(
        JournalFiles.namesIn(directory).map((name) => /\.(cut|fence|jsonl$)/.exec(name)?.[1]),
        ["jsonl", "cut", "fence"]
      )
      yield* second.close
    }).pipe(Effect.scoped)
  )

  it.live("J5 a failed write is a typed failure, and nothing of its batch can be read", () =>
    Effect.gen(function* () {
      const faults: JournalFiles.Faults = {}
      const { journal } = yield* JournalFiles.make({ faults })
      const { close, writer } = yield* openScoped(journal, "create")
      yield* writer.append(journalOf(1))
      // the first record of the batch reaches the file completely
      faults.write = (bytes) => bytes.indexOf(10) + 1
      const exit = yield* Effect.exit(writer.append(recordsFrom(1, 2)))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(yield* writer.read(0, 10), journalOf(1))
      yield* close
      assert.deepStrictEqual((yield* journal.load(sessionId)).records, journalOf(1))
    }).pipe(Effect.scoped)
  )

  it.live("J1 with durability fsync a batch is on the disk before it is acknowledged, or refused", () =>
    Effect.gen(function* () {
      for (const durability of ["process", "fsync"] as const) {
        let syncs = 0
        const faults: JournalFiles.Faults = { seen: (operation) => void (operation === "sync" && syncs++) }
        const { journal } = yield* JournalFiles.make({ durability, faults })
        const first = yield* openScoped(journal, "create")
        yield* first.writer.append(journalOf(2))
        yield* first.writer.append(recordsFrom(2, 1))
        assert.strictEqual(syncs, durability === "fsync" ? 2 : 0)
        yield* first.close
        const { close, writer } = yield* openScoped(journal, "existing")
        assert.strictEqual(syncs, durability === "fsync" ? 3 : 0, "what an opening found is synced as well")
        assert.strictEqual(writer.opened.records.length, 3)
        if (durability === "fsync") {
          faults.sync = true
          const error = yield* Effect.flip(writer.append(recordsFrom(3, 1)))
          assert.strictEqual(error.operation, "flush")
          assert.strictEqual((yield* journal.load(sessionId)).records.length, 3)
        }
        yield* close
      }
    }).pipe(Effect.scoped)
  )

  it.live("J7 the file holds one JSON object a line, and only grows", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      const path = JournalFiles.pathOf(directory)
      const { close, writer } = yield* openScoped(journal, "create")
      let before = readFileSync(path)
      const inode = statSync(path).ino
      for (let from = 0; from < 12; from += 3) {
        yield* writer.append(recordsFrom(from, 3))
        const after = readFileSync(path)
        assert.isTrue(after.subarray(0, before.length).equals(before))
        before = after
      }
      assert.strictEqual(statSync(path).ino, inode)
      const lines = JournalFiles.linesOf(path)
      assert.deepStrictEqual(
        lines.map((line) => [line["v"], line["seq"], line["_tag"]]),
        Array.from({ length: 12 }, (_, seq) => [recordVersion, seq, seq === 0 ? "SessionStarted" : "Warning"])
      )
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      yield* close

      const other = "0190163d-8694-739b-aea5-000000000000" as SessionId
      yield* Effect.scoped(
        Effect.flatMap(journal.open(other, "create"), (one) => one.append(numbered([startedAs(other)])))
      )
      assert.deepStrictEqual(JournalFiles.namesIn(directory), [`${other}.jsonl`, `${sessionId}.jsonl`])
      assert.strictEqual(JournalFiles.linesOf(path).length, 12)
      assert.deepStrictEqual((yield* journal.list).map((entry) => entry.sessionId).sort(), [other, sessionId])
    }).pipe(Effect.scoped)
  )
})

describe("read", () => {
  it.live("J7 opening reads each byte once, and reading back reads only the pages that are needed", () =>
    Effect.gen(function* () {
      let reads = 0
      const faults: JournalFiles.Faults = { seen: (operation) => void (operation === "read" && reads++) }
      const { directory, journal } = yield* JournalFiles.make({ faults })
      const first = yield* openScoped(journal, "create")
      yield* first.close
      for (const size of [100, 1_000, 20_000]) {
        const { close, writer } = yield* openScoped(journal, "existing")
        yield* writer.append(recordsFrom(writer.opened.records.length, size - writer.opened.records.length))
        yield* close
        reads = 0
        const again = yield* openScoped(journal, "existing")
        assert.strictEqual(again.writer.opened.records.length, size)
        const rest = statSync(JournalFiles.pathOf(directory)).size - 8 * 1024
        const chunks = 1 + Math.ceil(Math.max(0, rest) / (256 * 1024))
        assert.strictEqual(reads, chunks + 2, "its first line, each chunk, and the end")
        reads = 0
        assert.strictEqual((yield* again.writer.read(size - 1, 1)).length, 1)
        assert.strictEqual(reads, 1)
        yield* again.close
      }
    }).pipe(Effect.scoped)
  )

  it.live(
    "returns at most the requested number of records from any number onwards, across the pages of its index",
    () =>
      Effect.gen(function* () {
        const { directory, journal } = yield* JournalFiles.make()
        const first = yield* openScoped(journal, "create")
        const all = recordsFrom(0, 600)
        // in batches that do not fit the pages
        for (let from = 0; from < all.length; from += 77) yield* first.writer.append(all.slice(from, from + 77))
        const check = Effect.fnUntraced(function* (writer: JournalWriter) {
          for (const from of [0, 1, 255, 256, 257, 511, 512, 599]) {
            for (const limit of [1, 2, 255, 256, 257, 1_000, Infinity]) {
              assert.deepStrictEqual(yield* writer.read(from, limit), all.slice(from, from + limit), `${from} ${limit}`)
            }
          }
          assert.deepStrictEqual(yield* writer.read(600, 10), [])
          assert.deepStrictEqual(yield* writer.read(10_000, 10), [])
          assert.deepStrictEqual(yield* writer.read(0, 0), [])
        })
        yield* check(first.writer)
        yield* first.close
        const second = yield* openScoped(journal, "existing")
        yield* check(second.writer)
        // what is in the file and was not acknowledged is not read
        appendFileSync(JournalFiles.pathOf(directory), `{"v":1,"_tag":"Warning","seq":600,"at":0,"message":"no"}\n`)
        assert.deepStrictEqual(yield* second.writer.read(599, 10), all.slice(599))
        yield* second.close
      }).pipe(Effect.scoped)
  )

  it.live("the list names every journal with its size, the latest first, and nothing else", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      const plain = "a/b c" as SessionId
      for (const id of [sessionId, plain]) {
        yield* Effect.scoped(
          Effect.flatMap(journal.open(id, "create"), (writer) => writer.append(numbered([startedAs(id)])))
        )
      }
      writeFileSync(`${JournalFiles.pathOf(directory)}.cut-3-1`, "cut")
      writeFileSync(`${JournalFiles.pathOf(directory)}.new`, "half")
      for (const name of ["100%.jsonl", "notes of mine.jsonl"]) writeFileSync(`${directory}/${name}`, "{}")
      mkdirSync(`${directory}/exports.jsonl`)
      const list = yield* journal.list
      assert.deepStrictEqual(list.map((entry) => entry.sessionId).sort(), [sessionId, plain])
      for (const entry of list) assert.isAbove(entry.sizeBytes, 20)
      assert.isAtLeast(list[0]!.updatedAt, list[1]!.updatedAt)
      assert.strictEqual((yield* journal.load(plain)).records.length, 1)
    }).pipe(Effect.scoped)
  )
})

describe("archive", () => {
  const stored = ({ journal }: Effect.Success<ReturnType<typeof JournalFiles.make>>) =>
    Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), ({ append }) => append(journalOf(2))))

  it.live("J1 J2 leaves an intact journal where it was, and refuses a writer that lost its lease", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      const other = yield* JournalFiles.make({ directory })
      const first = yield* openScoped(journal, "create")
      yield* first.writer.append(journalOf(2))
      appendFileSync(JournalFiles.pathOf(directory), "torn")
      // there is no lease between these two, as on a host that gives none
      yield* other.journal.archive(sessionId)
      const late = yield* Effect.flip(first.writer.append(recordsFrom(2, 1)))
      assert.strictEqual(late.operation, "fence")
      yield* first.close
      const [file, archived, cut, fence] = JournalFiles.namesIn(directory)
      assert.deepStrictEqual([file, archived], [`${sessionId}.jsonl`, `${sessionId}.jsonl.archived`])
      assert.match(cut!, /\.cut-4-/)
      assert.deepStrictEqual((yield* journal.load(sessionId)).records, journalOf(2))
      yield* journal.unarchive(sessionId)
      assert.deepStrictEqual(JournalFiles.namesIn(directory), [file, cut, fence])
    }).pipe(Effect.scoped)
  )

  it.live("J1 an archiving that was cut off by a crash can be repeated", () =>
    Effect.gen(function* () {
      const made = yield* JournalFiles.make()
      yield* stored(made)
      const path = JournalFiles.pathOf(made.directory)
      renameSync(path, `${path}.taken`)
      yield* made.journal.archive(sessionId)
      assert.deepStrictEqual(JournalFiles.namesIn(made.directory), [
        `${sessionId}.jsonl`,
        `${sessionId}.jsonl.archived`,
        `${sessionId}.jsonl.fence`
      ])
      assert.deepStrictEqual((yield* made.journal.load(sessionId)).records, journalOf(2))
    }).pipe(Effect.scoped)
  )

  it.live("J5 one that cannot be marked is a typed failure, and the journal stays in use", () =>
    Effect.gen(function* () {
      const made = yield* JournalFiles.make()
      yield* stored(made)
      const mark = `${JournalFiles.pathOf(made.directory)}.archived`
      // a dangling link does not exist for a reader, and cannot be written
      symlinkSync("/nowhere/at/all", mark)
      const failed = yield* Effect.flip(made.journal.archive(sessionId))
      assert.strictEqual(failed._tag === "JournalFailed" && failed.operation, "archive")
      yield* Effect.scoped(made.journal.open(sessionId, "existing"))
    }).pipe(Effect.scoped)
  )
})

describe("delete", () => {
  it.live("J2 removes every file of the journal and no other, and refuses an earlier writer", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      const other = yield* JournalFiles.make({ directory })
      const first = yield* openScoped(journal, "create")
      yield* first.writer.append(journalOf(2))
      appendFileSync(JournalFiles.pathOf(directory), "torn")
      yield* other.journal.archive(sessionId)
      const foreign = `${JournalFiles.pathOf(directory)}.notes`
      writeFileSync(foreign, "of a person")
      assert.lengthOf(JournalFiles.namesIn(directory), 5)
      // there is no lease between these two, as on a host that gives none
      yield* other.journal.delete(sessionId)
      assert.deepStrictEqual(JournalFiles.namesIn(directory), [`${sessionId}.jsonl.notes`])
      const late = yield* Effect.flip(first.writer.append(recordsFrom(2, 1)))
      assert.strictEqual(late.operation, "fence")
      yield* first.close
    }).pipe(Effect.scoped)
  )

  it.live("J2 refuses a creator whose journal was deleted under it", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      const other = yield* JournalFiles.make({ directory })
      const creator = yield* openScoped(journal, "create")
      yield* creator.writer.append(journalOf(2))
      yield* other.journal.delete(sessionId)
      const late = yield* Effect.flip(creator.writer.append(recordsFrom(2, 1)))
      assert.strictEqual(late.operation, "fence")
      assert.deepStrictEqual(JournalFiles.namesIn(directory), [])
      yield* creator.close
    }).pipe(Effect.scoped)
  )

  it.live("J7 a file that is not the journal of the session stays", () =>
    Effect.gen(function* () {
      const made = yield* JournalFiles.make()
      const { close, writer } = yield* openScoped(made.journal, "create")
      yield* Effect.andThen(writer.append(journalOf(2)), close)
      const path = JournalFiles.pathOf(made.directory)
      writeFileSync(path, "of a person\n")
      const failed = yield* Effect.flip(made.journal.delete(sessionId))
      assert.strictEqual(failed._tag, "JournalFailed")
      assert.strictEqual(readFileSync(path, "utf8"), "of a person\n")
    }).pipe(Effect.scoped)
  )
})

import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { SessionId } from "@spindle/core/Ids"
import * as RecordCodec from "@spindle/core/RecordCodec"
import { Effect } from "effect"
import * as JournalFiles from "../fixtures/journalFiles.ts"
import { journalOf, numbered, sessionId, startedAs, warning } from "../fixtures/records.ts"

const linesOf = (records: ReturnType<typeof journalOf>) =>
  records.map((record) => `${RecordCodec.encode(record)}\n`).join("")

/** What another agent keeps of a session. */
const rollout = [
  `{"timestamp":"2024-06-14T10:00:00.000Z","type":"session_meta","payload":{"id":"${sessionId}","cwd":"/work"}}`,
  `{"timestamp":"2024-06-14T10:00:01.000Z","type":"response_item","payload":{"type":"message","role":"user"}}`,
  `{"timestamp":"2024-06-14T10:00:02.000Z","type":"event_msg","payload":{"type":"task_complete"}}`,
  ""
].join("\n")

const started = linesOf(journalOf(3))

const foreign: Readonly<Record<string, string>> = {
  "a rollout of Codex": rollout,
  "a rollout of Codex before records of Spindle": rollout + started,
  text: "a line of notes\n",
  "text without a newline": "a line of notes",
  "a JSON object": "{}\n",
  "one brace": "{\n",
  "blank lines": "\n\n\n",
  "NUL bytes": "\0".repeat(4_096),
  "a first record of another session": linesOf(numbered([startedAs("another" as SessionId), warning("text")])),
  "another first record": linesOf(numbered([warning("text")])),
  "half a first record before others": `{"v":1,"_tag":"SessionSta\n${started.split("\n")[1]}\n`,
  "a first record with a wrong number": started.replace('"seq":0', '"seq":1')
}

describe("a file that is not the journal of its session", () => {
  for (const [name, content] of Object.entries(foreign)) {
    it.live(`is not listed and never written to: ${name}`, () =>
      Effect.gen(function* () {
        const { directory, journal } = yield* JournalFiles.make()
        const path = JournalFiles.pathOf(directory)
        mkdirSync(dirname(path), { recursive: true })
        writeFileSync(path, content)
        const before = statSync(path, { bigint: true })

        assert.deepStrictEqual(yield* journal.list, [])
        for (const refused of [
          yield* Effect.flip(Effect.scoped(journal.open(sessionId, "existing"))),
          yield* Effect.flip(Effect.scoped(journal.open(sessionId, "create"))),
          yield* Effect.flip(journal.archive(sessionId)),
          yield* Effect.flip(journal.unarchive(sessionId))
        ]) {
          assert.deepStrictEqual(
            [refused._tag, refused._tag === "JournalFailed" && refused.operation],
            ["JournalFailed", "open"]
          )
        }
        const refused = yield* Effect.flip(Effect.scoped(journal.open(sessionId, "existing")))
        assert.include(refused.message, "is not the first record of this session; the file was left as it is")

        assert.strictEqual(readFileSync(path, "utf8"), content)
        const after = statSync(path, { bigint: true })
        assert.deepStrictEqual([after.mtimeNs, after.ino], [before.mtimeNs, before.ino])
        assert.deepStrictEqual(JournalFiles.namesIn(directory), [`${sessionId}.jsonl`])
      }).pipe(Effect.scoped)
    )
  }

  it.live("is not listed under any name, among journals that are", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      yield* Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), ({ append }) => append(journalOf(2))))
      const folder = dirname(JournalFiles.pathOf(directory))
      const names = [
        "notes.jsonl",
        "rollout-2024-06-14T10-00-00-0190163d-8694-739b-aea5-966c26f8ad92.jsonl",
        "copy.jsonl"
      ]
      for (const place of [directory, folder]) {
        for (const name of names) writeFileSync(join(place, name), name === "copy.jsonl" ? started : rollout)
      }
      execFileSync("mkfifo", [join(folder, "pipe.jsonl")])
      writeFileSync(join(folder, "secret.jsonl"), rollout, { mode: 0o000 })
      assert.deepStrictEqual(
        (yield* journal.list).map((entry) => entry.sessionId),
        [sessionId]
      )
      const refused = yield* Effect.flip(journal.load("pipe" as SessionId))
      assert.include(refused.message, "not a regular file")
      for (const name of names) {
        const id = name.slice(0, -".jsonl".length) as SessionId
        const error = yield* Effect.flip(Effect.scoped(journal.open(id, "existing")))
        assert.strictEqual(error._tag, "JournalFailed")
      }
    }).pipe(Effect.scoped)
  )

  it.live("is a typed failure to load, unless it has records", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      const path = JournalFiles.pathOf(directory)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, rollout)
      assert.strictEqual((yield* Effect.flip(journal.load(sessionId)))._tag, "JournalFailed")
      // a journal whose first line was damaged: its other records can still be read
      const torn = started.slice(started.indexOf("\n") - 3)
      writeFileSync(path, torn)
      assert.deepStrictEqual((yield* journal.load(sessionId)).records, journalOf(3).slice(1))
      assert.strictEqual((yield* Effect.flip(Effect.scoped(journal.open(sessionId, "existing"))))._tag, "JournalFailed")
      assert.strictEqual(readFileSync(path, "utf8"), torn)
    }).pipe(Effect.scoped)
  )
})

describe("a first record of any version", () => {
  for (const version of [1, 2, 99]) {
    it.live(`makes a file the journal of its session: version ${version}`, () =>
      Effect.gen(function* () {
        const { directory, journal } = yield* JournalFiles.make()
        const path = JournalFiles.pathOf(directory)
        mkdirSync(dirname(path), { recursive: true })
        writeFileSync(path, started.replace('"v":1', `"v":${version}`))
        assert.strictEqual((yield* journal.list).length, 1)
        const count = yield* Effect.scoped(
          Effect.map(journal.open(sessionId, "existing"), ({ opened }) => opened.records.length)
        )
        assert.strictEqual(count, 3)
      }).pipe(Effect.scoped)
    )
  }
})

/** Each kind of tasks in a process that gets SIGKILL after each record of the task, and is resumed (contract J3, J8, P2, S12). */
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import { Journal } from "@spindle/core/Journal"
import { isTerminal, type JournalRecord } from "@spindle/core/SessionEvent"
import * as Laws from "@spindle/testing/Laws"
import { Snapshots } from "@spindle/tools/Snapshots"
import { Effect, Option } from "effect"
import * as UndoTask from "../../src/tasks/UndoTask.ts"
import { bundle } from "../fixtures/bundle.ts"
import { wordOf } from "../fixtures/words.ts"
import * as Killed from "./killed/sessions.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "spindle-killed-")))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const program = await bundle(new URL("killed/child.ts", import.meta.url))

const changedFile = (directory: string) => join(directory, "repository", Killed.changed.name)

const makeRepository = (directory: string): void => {
  const top = join(directory, "repository")
  mkdirSync(top, { recursive: true })
  execFileSync("git", ["init", "-q", "--template="], { cwd: top })
  writeFileSync(changedFile(directory), Killed.changed.before)
}

/** Runs the child until it kills itself. Returns the scenarios that ended before. */
const runChild = (at: number, directories: ReadonlyArray<string>): ReadonlyArray<string> => {
  const args = [program, String(at), ...directories]
  const { signal, stderr, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" })
  assert.strictEqual(signal, "SIGKILL", stderr)
  return stdout.trim().split("\n")
}

const textsOf = (records: ReadonlyArray<JournalRecord>): ReadonlyArray<string> =>
  records.flatMap((one) => {
    if (one._tag === "TaskReported") return [Input.textOf(one.input)]
    return one._tag === "ItemRecorded" && one.item._tag === "UserMessage" ? [Input.textOf(one.item.content)] : []
  })

const count = (words: ReadonlyArray<string>, word: string) => words.filter((one) => one.startsWith(word)).length

/** What must hold in the journal and the files of a session that was resumed and has not run its next turn. */
const check = (directory: string, name: string, records: ReadonlyArray<JournalRecord>, where: string): void => {
  const words = records.map(wordOf)
  assert.strictEqual(records.filter(isTerminal).length, count(words, "TurnStarted"), where)
  for (const [begun, ended] of [
    ["compaction.started", "compaction.completed"],
    ["review.entered", "review.exited"],
    ["undo.started", "undo.completed"],
    ["user_shell.started", "user_shell.ended"]
  ] as const) {
    const open = count(words, begun) - count(words, ended)
    assert.include([0, 1], open, where)
    // what has no end was cut: its turn says so
    if (open === 1)
      assert.isTrue(
        records.some((one) => one._tag === "TurnAborted" && one.crashed === true),
        where
      )
  }
  if (name.startsWith("user_shell") && words.includes("user_shell.started")) {
    assert.isTrue(
      textsOf(records).some((text) => text.includes(Killed.command)),
      where
    )
  }
  if (name === "undo") {
    const isRestored = records.some((one) =>
      one._tag === "TaskNote"
        ? Option.exists(UndoTask.UndoCompleted.decode(one), ({ result }) => result === "restored")
        : false
    )
    const content = readFileSync(changedFile(directory), "utf8")
    if (isRestored) assert.strictEqual(content, Killed.changed.before, where)
    assert.include([Killed.changed.before, Killed.changed.after], content, where)
    assert.deepStrictEqual(readdirSync(join(directory, "repository")), [".git", Killed.changed.name], where)
  }
}

/** Resumes the session of a directory, and runs the operations of its scenario again. */
const resume = (directory: string, name: string, where: string) =>
  Effect.gen(function* () {
    const scenario = Killed.scenarios[name]!
    const journal = yield* Journal
    const snapshots = yield* Snapshots
    const [entry] = yield* journal.list
    const { sessionId } = entry!
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* snapshots.recover(sessionId)
        const { session } = yield* Killed.open(scenario, { directory, journal, resume: sessionId })
        yield* session.awaitIdle
        check(directory, name, (yield* journal.load(sessionId)).records, where)
        for (const op of [...scenario.before, ...scenario.ops]) {
          yield* session.submit(op)
          yield* session.awaitIdle
        }
      })
    )
    const { records } = yield* journal.load(sessionId)
    assert.strictEqual(records.findLast(isTerminal)?._tag, "TurnCompleted", where)
    assert.isUndefined(Laws.session({ events: records, journal: records }), where)
  }).pipe(Effect.provide([Killed.snapshotsOf(directory), Killed.journalsOf(directory)]))

describe("a task whose process gets SIGKILL", () => {
  it.live(
    "J3 J8 P2 S12 after any of its records is resumed, and runs again: each kind",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const first = join(folder, "first")
        makeRepository(first)
        let names = Object.keys(Killed.scenarios)
        for (let at = 0; names.length > 0; at++) {
          const directoryOf = (name: string) => join(folder, String(at), name)
          for (const name of names) cpSync(first, directoryOf(name), { recursive: true })
          const ended = new Set(runChild(at, names.map(directoryOf)))
          for (const name of names) yield* resume(directoryOf(name), name, `${name}, killed after record ${at}`)
          names = names.filter((name) => !ended.has(name))
          // each kind has more records than these
          if (at < 5) assert.lengthOf(names, Object.keys(Killed.scenarios).length)
        }
      }).pipe(Effect.scoped),
    { timeout: 600_000 }
  )
})

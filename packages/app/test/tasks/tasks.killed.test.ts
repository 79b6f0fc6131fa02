/** Each kind of tasks in a process that gets SIGKILL after each record of the task, and is resumed (contract J3, J8, P2, S12). */
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
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
import { temporaryDirectory } from "../../../core/test/fixtures/directories.ts"

const program = await bundle(new URL("killed/child.ts", import.meta.url))

/** A scenario, and the record of its task after which its process is killed; `Infinity` after the last. */
interface Point {
  readonly name: string
  readonly at: number
}

const changedFile = (directory: string) => join(directory, "repository", Killed.changed.name)

const makeRepository = (directory: string): void => {
  const top = join(directory, "repository")
  mkdirSync(top, { recursive: true })
  execFileSync("git", ["init", "-q", "--template="], { cwd: top })
  writeFileSync(changedFile(directory), Killed.changed.before)
}

/** Runs the child until it kills itself. Returns the directories whose scenario ended before, with the number of records of its task. */
const runChild = (directories: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const { signal, stderr, stdout } = spawnSync(process.execPath, [program, ...directories], { encoding: "utf8" })
  assert.strictEqual(signal, "SIGKILL", stderr)
  const lines = stdout.split("\n").slice(0, -1)
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]))
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
        const folder = yield* temporaryDirectory
        const first = join(folder, "first")
        makeRepository(first)
        const names = Object.keys(Killed.scenarios)
        const directoryOf = ({ at, name }: Point) => join(folder, String(at), name)
        const kill = Effect.fnUntraced(function* (points: ReadonlyArray<Point>) {
          for (const point of points) cpSync(first, directoryOf(point), { recursive: true })
          const ended = runChild(points.map(directoryOf))
          for (const point of points) {
            yield* resume(directoryOf(point), point.name, `${point.name}, killed after record ${point.at}`)
          }
          return ended
        })
        const ends = names.map((name) => ({ name, at: Infinity }))
        const counts = yield* kill(ends)
        const points = ends.flatMap((end) =>
          Array.from({ length: counts.get(directoryOf(end))! }, (_, at) => ({ name: end.name, at }))
        )
        const ended = yield* kill(points)
        // each kind has more records than these
        for (const name of names) {
          for (let at = 0; at < 5; at++) {
            assert.isTrue(points.some((point) => point.name === name && point.at === at))
            assert.isFalse(ended.has(directoryOf({ name, at })))
          }
        }
      }).pipe(Effect.scoped),
    { timeout: 600_000 }
  )
})

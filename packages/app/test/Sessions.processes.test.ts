/** Two processes that host the sessions of one store. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { bundle } from "./fixtures/bundle.ts"
import { type Command, hostOn, reply } from "./fixtures/hostSessions.ts"

const program = await bundle(new URL("fixtures/hostSessions.ts", import.meta.url))

const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "spindle-store-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

/** A process that hosts sessions. `does` runs a command in it. */
const other = Effect.fnUntraced(function* (directory: string) {
  const child: ChildProcess = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [program, directory], {
        stdio: ["pipe", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const replies = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const does = (op: Command["op"], id = "") =>
    Effect.promise(async () => {
      child.stdin!.write(`${JSON.stringify({ op, id })}\n`)
      return JSON.parse((await replies.next()).value as string) as unknown
    })
  const kill = Effect.promise(async () => {
    child.kill("SIGKILL")
    await once(child, "exit")
  })
  return { does, kill, pid: child.pid }
})

const here = (op: Command["op"], id = "") => reply({ op, id })

const names = (directory: string) => readdirSync(directory, { recursive: true, encoding: "utf8" }).join("\n")

describe("two processes on one store", () => {
  it.live("J2 refuse each other a session that the other one has open, and share everything else", () =>
    Effect.gen(function* () {
      const directory = yield* scratch
      const there = yield* other(directory)
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* there.does("create", "a"), { value: 0 })
        assert.deepStrictEqual(yield* there.does("say", "a"), { value: 1 })
        assert.deepStrictEqual(yield* here("create", "b"), { value: 0 })
        for (const op of ["open", "rename", "archive", "unarchive", "delete"] as const) {
          const refused = yield* here(op, "a")
          assert.strictEqual("error" in refused && refused.error, "SessionBusy", op)
          assert.include("message" in refused ? refused.message : "", `process ${there.pid}`)
          assert.deepInclude(yield* there.does(op, "b"), { error: "SessionBusy" })
        }
        // a copy reads the journal of the other process, and leaves it as it is
        assert.deepStrictEqual(yield* here("fork", "a"), { value: 1 })
        assert.deepStrictEqual(yield* there.does("rename", "a"), { value: null })
        assert.deepStrictEqual(yield* here("list", "a"), { value: [["a", "title of a"]] })
        assert.deepStrictEqual(yield* there.does("list", "b"), { value: [["b", ""]] })
        assert.deepStrictEqual(yield* there.does("say", "a"), { value: 2 })
      }).pipe(Effect.provide(hostOn(directory)))
    }).pipe(Effect.scoped)
  )

  it.live("J2 hand a session over when it is closed or its process is killed, with all that was written", () =>
    Effect.gen(function* () {
      const directory = yield* scratch
      const there = yield* other(directory)
      yield* Effect.gen(function* () {
        yield* there.does("create", "a")
        for (let turns = 1; turns < 6; turns += 2) {
          assert.deepStrictEqual(yield* there.does("say", "a"), { value: turns })
          assert.deepStrictEqual(yield* there.does("close", "a"), { value: true })
          assert.deepStrictEqual(yield* here("say", "a"), { value: turns + 1 })
          assert.deepStrictEqual(yield* here("close", "a"), { value: true })
        }
        assert.deepStrictEqual(yield* here("archive", "a"), { value: null })
        assert.deepInclude(yield* there.does("open", "a"), { error: "SessionNotFound" })
        assert.deepStrictEqual(yield* there.does("unarchive", "a"), { value: null })
        assert.deepStrictEqual(yield* there.does("open", "a"), { value: 6 })
        assert.deepInclude(yield* here("delete", "a"), { error: "SessionBusy" })
        yield* there.kill
        assert.deepStrictEqual(yield* here("open", "a"), { value: 6 })
        assert.deepStrictEqual(yield* here("delete", "a"), { value: null })
        assert.notInclude(names(directory), "a.jsonl")
      }).pipe(Effect.provide(hostOn(directory)))
    }).pipe(Effect.scoped)
  )
})

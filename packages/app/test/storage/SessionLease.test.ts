import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Journal } from "@spindle/core/Journal"
import * as JournalFile from "@spindle/core/JournalFile"
import { SessionId } from "@spindle/core/Ids"
import { acquire, layer, place } from "../../src/storage/SessionLease.ts"
import { temporaryDirectory } from "../../../core/test/fixtures/directories.ts"
import { bundle } from "../fixtures/bundle.ts"

const sessionId = SessionId.make("01a1fce4-f39f-7cc2-ad4d-e98a3333c6b5")
const program = await bundle(new URL("../fixtures/holdLease.ts", import.meta.url))

const start = (home: string, platform: string, mode: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [program, home, sessionId, platform, mode], {
        stdio: ["ignore", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
const says = (child: ChildProcess) => Effect.promise(async () => String((await once(child.stdout!, "data"))[0]))
const ends = (child: ChildProcess) =>
  Effect.promise(async () => (child.exitCode === null && child.signalCode === null ? await once(child, "exit") : []))

describe.each(["linux", "darwin"])("acquire (as on %s)", (platform) => {
  const take = (home: string) => Effect.scoped(acquire(sessionId, home, place(sessionId, home, platform)))

  it.live("J2 refuses a second holder in another process, names it, and is free as soon as it is killed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const child = yield* start(home, platform, "hold")
      assert.strictEqual(yield* says(child), "held\n")
      const error = yield* Effect.flip(take(home))
      assert.strictEqual(error._tag, "SessionBusy")
      assert.include(error.message, `by process ${child.pid}`)
      child.kill("SIGKILL")
      yield* ends(child)
      yield* take(home)
    })
  )

  it.live("J2 does not keep its process alive", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const child = yield* start(home, platform, "end")
      assert.strictEqual(yield* says(child), "held\n")
      yield* ends(child)
      assert.strictEqual(child.exitCode, 0)
    })
  )

  it.live("J2 refuses a second holder in the same process, until the scope of the first closes", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* acquire(sessionId, home, place(sessionId, home, platform))
          const error = yield* Effect.flip(take(home))
          assert.strictEqual(error._tag, "SessionBusy")
          const other = SessionId.make("other")
          yield* Effect.scoped(acquire(other, home, place(other, home, platform)))
        })
      )
      yield* take(home)
      const at = place(sessionId, home, platform)
      assert.isFalse(at.file && existsSync(at.path))
    })
  )

  it.live("J2 lets exactly one of several takers have a lease whose holder was killed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const child = yield* start(home, platform, "hold")
      yield* says(child)
      child.kill("SIGKILL")
      yield* ends(child)
      const takers = yield* Effect.forEach([1, 2, 3], () => start(home, platform, "hold"))
      const replies = yield* Effect.forEach(takers, says, { concurrency: "unbounded" })
      assert.strictEqual(replies.filter((reply) => reply === "held\n").length, 1, replies.join(""))
      assert.strictEqual(replies.filter((reply) => reply.includes("SessionBusy")).length, 2, replies.join(""))
    })
  )
})

describe("layer", () => {
  it.live("J2 gives file journals a lease between processes, which they do not have without it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const open = (mode: "create" | "existing", lease: Layer.Layer<never>) =>
        Effect.flatMap(Journal, (journal) => journal.open(sessionId, mode)).pipe(
          Effect.scoped,
          Effect.provide(JournalFile.layer({ directory }).pipe(Layer.provide([NodeFileSystem.layer, lease])))
        )
      yield* open("create", layer(directory))
      const child = yield* start(directory, process.platform, "hold")
      yield* says(child)
      const error = yield* Effect.flip(open("existing", layer(directory)))
      assert.strictEqual(error._tag, "SessionBusy")
      yield* open("existing", Layer.empty)
      child.kill("SIGKILL")
      yield* ends(child)
      yield* open("existing", layer(directory))
    })
  )
})

describe("place", () => {
  it("is the same for each name of a home, and fits the kernel's limit", () => {
    const home = mkdtempSync(join(tmpdir(), "spindle-lease-"))
    assert.deepStrictEqual(place(sessionId, home), place(sessionId, `${home}/../${home.split("/").at(-1)}`))
    rmSync(home, { recursive: true })
    const long = place(sessionId, `/${"x".repeat(200)}`, "darwin").path
    assert.isBelow(Buffer.byteLength(long), 104)
  })

  it.effect("J2 says so when the host gives no socket", () =>
    Effect.gen(function* () {
      const at = { path: `${program}/leases/none.sock`, file: true }
      const error = yield* Effect.flip(Effect.scoped(acquire(sessionId, program, at)))
      assert.strictEqual(error._tag, "JournalFailed")
    })
  )
})

/** What a deletion leaves of a session in the files of a home: nothing. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { SessionId } from "@spindle/core/Ids"
import { Journal } from "@spindle/core/Journal"
import * as Sessions from "@spindle/core/Sessions"
import { Snapshots } from "@spindle/tools/Snapshots"
import { Effect, Layer } from "effect"
import * as StoredSessions from "../../src/storage/StoredSessions.ts"
import { temporaryDirectory } from "../../../core/test/fixtures/directories.ts"

const [deleted, kept] = [SessionId.make("deleted"), SessionId.make("kept")]

/** A home and a repository with one file. */
const places = Effect.map(temporaryDirectory, (directory) => {
  const [home, repository] = [join(directory, "home"), join(directory, "repository")]
  for (const path of [home, repository]) mkdirSync(path)
  execFileSync("git", ["init", "--quiet"], { cwd: repository })
  writeFileSync(join(repository, "secret.txt"), "secret")
  return { home, repository }
})

/** The paths below a home that name a session. */
const pathsOf = (home: string, sessionId: SessionId) =>
  readdirSync(home, { recursive: true, encoding: "utf8" }).filter((path) => path.includes(sessionId))

describe("a session that is deleted", () => {
  it.live("J9 leaves no journal, no snapshot and no page, and those of other sessions stay", () =>
    Effect.gen(function* () {
      const { home, repository } = yield* places
      yield* Effect.gen(function* () {
        const journal = yield* Journal
        const snapshots = yield* Snapshots
        for (const sessionId of [deleted, kept]) {
          yield* Effect.scoped(
            Effect.flatMap(journal.open(sessionId, "create"), ({ append }) =>
              append([{ _tag: "SessionStarted", seq: 0, at: 0, sessionId, meta: {} }])
            )
          )
          yield* snapshots.begin(sessionId, repository)
          const page = StoredSessions.pageOf(home, sessionId)
          mkdirSync(dirname(page), { recursive: true })
          writeFileSync(page, "<html>")
        }
        assert.isTrue(existsSync(join(home, "snapshots", deleted)))
        const before = pathsOf(home, kept)
        yield* Sessions.deleteClosed(deleted)
        assert.deepStrictEqual(pathsOf(home, deleted), [])
        assert.deepStrictEqual(pathsOf(home, kept), before)
        assert.lengthOf(yield* snapshots.list(kept), 1)
      }).pipe(
        Effect.provide(
          StoredSessions.stores(home).pipe(
            Layer.provideMerge(Layer.merge(StoredSessions.journals(home), StoredSessions.snapshots(home))),
            Layer.provide(NodeServices.layer)
          )
        )
      )
    }).pipe(Effect.scoped)
  )
})

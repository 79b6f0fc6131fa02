import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Local from "@spindle/core/Local"
import type { OwnedResource, Turn } from "@spindle/core/Turn"
import * as Git from "@spindle/tools/Git"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TurnMetadata from "../src/TurnMetadata.ts"
import { temporaryDirectory } from "../../core/test/fixtures/directories.ts"

const host = Layer.provide(Git.layer, NodeServices.layer)

const git = (cwd: string, ...args: ReadonlyArray<string>) =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd, encoding: "utf8" }).trim()

/** A turn. `owned` is what it owns; `released`, what has ended by itself. */
const turnOf = (turnId: string) => {
  const owned: Array<OwnedResource> = []
  const released = Deferred.makeUnsafe<void>()
  const turn = {
    sessionId: "session",
    turnId,
    locals: new Local.Locals(),
    own: (resource: OwnedResource) =>
      Effect.sync(() => {
        owned.push(resource)
        return Effect.asVoid(Deferred.succeed(released, undefined))
      })
  } as unknown as Turn
  return { turn, owned, released: Deferred.await(released) }
}

const metadataOf = (headers: { readonly [name: string]: string }) => JSON.parse(headers["x-codex-turn-metadata"]!)

describe("the metadata of a turn", () => {
  it.live("says at once what is known, and what git found in the calls that follow", () =>
    Effect.gen(function* () {
      const root = join(yield* temporaryDirectory, "Ünï")
      mkdirSync(root)
      git(root, "init", "-q")
      git(root, "remote", "add", "origin", "https://me:secret@example.org/a.git")
      writeFileSync(join(root, "a"), "1")
      git(root, "add", "a")
      git(root, "commit", "-q", "-m", "first")
      const commit = git(root, "rev-parse", "HEAD")
      const headersOf = yield* TurnMetadata.make({ cwd: root, sandbox: "read-only" })

      const { owned, released, turn } = turnOf("one")
      const first = yield* headersOf(turn)
      assert.deepInclude(first, { session_id: "session", "x-client-request-id": "session" })
      assert.deepStrictEqual(metadataOf(first), { turn_id: "one", sandbox: "read-only" })
      assert.strictEqual(owned.length, 1)
      yield* released

      const second = yield* headersOf(turn)
      assert.match(second["x-codex-turn-metadata"]!, /^[ -~]+$/)
      assert.deepStrictEqual(metadataOf(second).workspaces, {
        [root]: {
          associated_remote_urls: { origin: "https://example.org/a.git" },
          latest_git_commit_hash: commit,
          has_changes: false
        }
      })

      // the next turn of the session looks again
      writeFileSync(join(root, "a"), "2")
      const next = turnOf("two")
      assert.notProperty(metadataOf(yield* headersOf(next.turn)), "workspaces")
      yield* next.released
      assert.isTrue(metadataOf(yield* headersOf(next.turn)).workspaces[root].has_changes)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("runs no program that the repository names", () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      const mark = join(root, "ran")
      git(root, "init", "-q")
      writeFileSync(join(root, ".gitattributes"), "* filter=own\n")
      writeFileSync(join(root, "a"), "1")
      git(root, "add", ".")
      git(root, "commit", "-q", "-m", "first")
      git(root, "config", "core.fsmonitor", `touch '${mark}';`)
      git(root, "config", "filter.own.clean", `touch '${mark}'; cat`)
      writeFileSync(join(root, "a"), "2")
      const found = yield* TurnMetadata.repositoryOf(root)
      assert.deepStrictEqual([found?.hasChanges, existsSync(mark)], [true, false])
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("says nothing of a directory that is no repository", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* TurnMetadata.repositoryOf(yield* temporaryDirectory))
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.effect("stops looking when its turn ends", () =>
    Effect.gen(function* () {
      const [started, stopped] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const waiting = Git.Git.of({
        run: () =>
          Effect.andThen(
            Deferred.succeed(started, undefined),
            Effect.onInterrupt(Effect.never, () => Deferred.succeed(stopped, undefined))
          )
      })
      const headersOf = yield* Effect.provideService(
        TurnMetadata.make({ cwd: "/", sandbox: "read-only" }),
        Git.Git,
        waiting
      )
      const { owned, released, turn } = turnOf("one")
      yield* headersOf(turn)
      yield* Deferred.await(started)
      yield* owned[0]!.end("Interrupted")
      yield* Deferred.await(stopped)
      yield* released
    })
  )
})

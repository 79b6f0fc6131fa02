/** Patches that commands apply with the program `apply_patch`. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Deferred, Effect, Fiber, Layer, Logger, Stream } from "effect"
import { Turn } from "@spindle/core"
import { Processes } from "@spindle/core/Processes"
import { ApplyPatch, CodingTools, SandboxPolicy, TurnDiff } from "../src/index.ts"
import * as PatchJournal from "../src/internal/patch/patchJournal.ts"
import { contents, dying, endHost, input, isDeath, snapshot, tree } from "./patch/cutPatches.ts"
import { host, makeTurn, sessionId } from "./turn.ts"

type Places = { readonly root: string; readonly journals: string }

/** The mark of a host that has ended. */
const endedHost = "an-earlier-boot/pid:[1]/1/1"

/** Applies the patch as the program does. */
const apply = ({ journals, root }: Places, host = endedHost) =>
  ApplyPatch.applyInCommand(input, { cwd: root }, { SPINDLE_PATCHES: journals, SPINDLE_HOST: host })

const journalsIn = (directory: string) => readdirSync(directory).filter((name) => name.endsWith(".json"))

const policyOf = (root: string): SandboxPolicy.SandboxPolicy => ({
  _tag: "WorkspaceWrite",
  roots: [root],
  scratch: [],
  protectedPaths: [],
  network: false
})

const recover = ({ journals, root }: Places) =>
  PatchJournal.recover(journals).pipe(SandboxPolicy.confine(policyOf(root)), Effect.provide(NodeServices.layer))

describe("a patch of a command", () => {
  it.live("is complete or taken back after the next start, wherever its program dies", () =>
    Effect.gen(function* () {
      const counting = dying(Infinity)
      const places = yield* tree
      yield* Effect.provide(apply(places), counting.layer)
      const done = contents(places.root)
      const results = { none: 0, rolledBack: 0, finished: 0 }
      for (let at = 0; at < counting.count(); at += 3) {
        const places = yield* tree
        const before = snapshot(places.root)
        assert.isTrue(isDeath(yield* Effect.exit(Effect.provide(apply(places), dying(at).layer))), `no death at ${at}`)
        const [recovered] = yield* recover(places)
        const result = recovered?.result ?? "none"
        results[result]++
        const after = result === "rolledBack" ? before : result === "finished" ? done : undefined
        if (result === "rolledBack") assert.deepStrictEqual(snapshot(places.root), after, `at ${at}`)
        else if (result === "finished") assert.deepStrictEqual(contents(places.root), after, `at ${at}`)
        else
          assert.oneOf(JSON.stringify(contents(places.root)), [
            JSON.stringify(done),
            JSON.stringify(contentsOf(before))
          ])
        assert.deepStrictEqual(journalsIn(places.journals), [])
      }
      assert.isAbove(results.rolledBack, 6)
      assert.isAbove(results.finished, 0)
    })
  )

  it.live("is not touched while the program that runs its command lives", () =>
    Effect.gen(function* () {
      const places = yield* tree
      const counting = dying(Infinity)
      yield* Effect.provide(apply(yield* tree), counting.layer)
      // of this program
      const cut = ApplyPatch.applyInCommand(input, { cwd: places.root }, { SPINDLE_PATCHES: places.journals })
      yield* Effect.exit(Effect.provide(cut, dying(Math.floor(counting.count() * 0.7)).layer))
      assert.deepStrictEqual(yield* recover(places), [])
      assert.lengthOf(journalsIn(places.journals), 1)
      endHost(places.journals)
      assert.lengthOf(yield* recover(places), 1)
    })
  )

  it.live("is not recovered outside what commands may change: a command can forge its journals", () =>
    Effect.gen(function* () {
      const { journals, root } = yield* tree
      const outside = join(journals, "..", "mine")
      writeFileSync(outside, "mine\n")
      const forge = (path: string) => ({
        phase: "writing",
        host: endedHost,
        startedAt: 0,
        steps: [{ path, before: "Zm9yZ2VkCg==", after: "bWluZQo=", inode: "1" }],
        directories: []
      })
      const link = join(root, "link-out")
      yield* Effect.promise(() => import("node:fs/promises").then((fs) => fs.symlink(join(journals, ".."), link)))
      const paths = [outside, `${root}/../mine`, join(link, "mine"), join(root, ".git", "hooks", "post-commit")]
      for (const [index, path] of paths.entries()) {
        writeFileSync(join(journals, `${index}.json`), JSON.stringify(forge(path)))
      }
      assert.deepStrictEqual(yield* recover({ journals, root }), [])
      assert.strictEqual(readFileSync(outside, "utf8"), "mine\n")
      assert.lengthOf(journalsIn(journals), paths.length)
    })
  )

  it.live("is taken back when the tools are made next, if they may change the workspace", () =>
    Effect.gen(function* () {
      const { journals, root } = yield* tree
      const before = snapshot(root)
      const counting = dying(Infinity)
      yield* Effect.provide(apply(yield* tree), counting.layer)
      const cut = apply({ root, journals: join(journals, "an-earlier-session") })
      yield* Effect.exit(Effect.provide(cut, dying(Math.floor(counting.count() * 0.7)).layer))
      assert.notDeepEqual(snapshot(root), before)
      const make = (commands: SandboxPolicy.SandboxPolicy) =>
        Layer.build(
          CodingTools.layer({ cwd: root, commandJournals: journals, sandbox: { commands, patches: commands } })
        ).pipe(Effect.provide(Logger.layer([])))
      yield* make(SandboxPolicy.readOnly)
      assert.notDeepEqual(snapshot(root), before)
      yield* make(policyOf(root))
      assert.deepStrictEqual(snapshot(root), before)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  /** Tools whose command runs `sleep`, and has cut a patch in the middle. */
  const cutByCommand = Effect.gen(function* () {
    const { journals, root } = yield* tree
    const before = snapshot(root)
    const { cleanUp, started, turn } = yield* makeTurn
    const isWatched = yield* Deferred.make<void>()
    const members: Turn.Turn = {
      ...turn,
      onAbort: (cleanup) => Effect.tap(turn.onAbort(cleanup), () => Deferred.succeed(isWatched, undefined))
    }
    // the tests end the shell at once, which must not cut the profile of the user
    const tools = yield* Layer.build(CodingTools.layer({ cwd: root, login: false, commandJournals: journals }))
    const handlers = yield* Effect.provide(CodingTools.toolkit, tools)
    const call = (name: "exec_command" | "apply_patch", params: object) =>
      Stream.runCollect(Stream.unwrap(handlers.handle(name, params as never))).pipe(
        Effect.map((results) => String(results.at(-1)?.encodedResult)),
        Effect.provideService(Turn.Turn, members)
      ) as Effect.Effect<string>
    const running = yield* Effect.forkChild(call("exec_command", { cmd: "exec sleep 600", yield_time_ms: 30_000 }))
    yield* Deferred.await(isWatched)
    const own = join(journals, sessionId)
    const variables = { SPINDLE_PATCHES: own, SPINDLE_PROCESS: started[0]! }
    const counting = dying(Infinity)
    yield* Effect.provide(apply(yield* tree), counting.layer)
    const cut = ApplyPatch.applyInCommand(input, { cwd: root }, variables)
    assert.isTrue(isDeath(yield* Effect.exit(Effect.provide(cut, dying(Math.floor(counting.count() * 0.7)).layer))))
    assert.notDeepEqual(snapshot(root), before)
    const end = Effect.flatMap(Processes, (processes) => processes.end(started[0]!, 0))
    return { before, call, cleanUp, end, own, root, running }
  })

  it.live("is taken back in the clean-up of an aborted turn, when its command is gone", () =>
    Effect.gen(function* () {
      const { before, cleanUp, end, own, root, running } = yield* cutByCommand
      yield* Fiber.interrupt(running)
      assert.notDeepEqual(snapshot(root), before)
      yield* Effect.all([end, cleanUp], { concurrency: "unbounded" })
      assert.deepStrictEqual(snapshot(root), before)
      assert.deepStrictEqual(journalsIn(own), [])
    }).pipe(Effect.provide(Logger.layer([])), Effect.scoped, Effect.provide(host))
  )

  it.live("is taken back before the next patch of the session", () =>
    Effect.gen(function* () {
      const { before, call, end, root, running } = yield* cutByCommand
      yield* end
      yield* Fiber.await(running)
      const patch = ["*** Begin Patch", "*** Add File: later", "+1", "*** End Patch"].join("\n")
      assert.include(yield* call("apply_patch", { input: patch }), "A later")
      const { later, ...rest } = snapshot(root)
      assert.deepStrictEqual([later?.endsWith("1\n"), rest], [true, before])
    }).pipe(Effect.provide(Logger.layer([])), Effect.scoped, Effect.provide(host))
  )

  it.live("is taken back while its command lives, if its own program is gone", () =>
    Effect.gen(function* () {
      const { before, call, end, own, root, running } = yield* cutByCommand
      const [name] = journalsIn(own)
      const journal = JSON.parse(readFileSync(join(own, name!), "utf8")) as object
      writeFileSync(join(own, name!), JSON.stringify({ ...journal, writer: endedHost }))
      yield* call("exec_command", { cmd: "true" })
      assert.deepStrictEqual(snapshot(root), before)
      yield* end
      yield* Fiber.await(running)
    }).pipe(Effect.provide(Logger.layer([])), Effect.scoped, Effect.provide(host))
  )

  it.live("is applied without a journal where none can be written", () =>
    Effect.gen(function* () {
      const { root } = yield* tree
      const file = join(root, "a")
      const text = yield* ApplyPatch.applyInCommand(input, { cwd: root }, { SPINDLE_PATCHES: join(file, "below") })
      assert.include(text, "Success")
      assert.notInclude(Object.keys(contents(root)), "patches")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live(
    "is part of the diff of the turn in which its command is waited for, and an unreadable one is only logged",
    () =>
      Effect.gen(function* () {
        const { journals, root } = yield* tree
        const { turn } = yield* makeTurn
        const diffs: Array<string> = []
        const noting: Turn.Turn = {
          ...turn,
          note: (kind, data) =>
            Effect.sync(() => {
              if (kind.name === TurnDiff.TurnDiffUpdated.name) diffs.push((data as unknown as TurnDiff.TurnDiff).diff)
            })
        }
        const logged: Array<string> = []
        const logger = Logger.make(({ message }) => void logged.push(String(message)))
        const tools = yield* Layer.build(CodingTools.layer({ cwd: root, commandJournals: journals })).pipe(
          Effect.provide(Logger.layer([logger]))
        )
        const call = (cmd: string) =>
          Effect.gen(function* () {
            const handlers = yield* Effect.provide(CodingTools.toolkit, tools)
            const results = yield* Stream.runCollect(Stream.unwrap(handlers.handle("exec_command", { cmd } as never)))
            return String(results.at(-1)?.encodedResult)
          }).pipe(Effect.provideService(Turn.Turn, noting), Effect.provide(Logger.layer([logger])))
        const own = join(journals, sessionId)
        const shown = yield* call('printf %s "$SPINDLE_PATCHES"')
        assert.include(shown, own)
        assert.deepStrictEqual(diffs, [])
        const patchOf = (from: string, to: string) =>
          ["*** Begin Patch", "*** Update File: b", "@@", `-${from}`, `+${to}`, "*** End Patch"].join("\n")
        const program = (from: string, to: string) =>
          ApplyPatch.applyInCommand(patchOf(from, to), { cwd: root }, { SPINDLE_PATCHES: own })
        yield* program("2", "two")
        yield* program("two", "zwei")
        writeFileSync(join(own, "0.json"), "no json")
        yield* call("true")
        assert.strictEqual(diffs.at(-1), "diff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1 +1 @@\n-2\n+zwei\n")
        assert.include(logged.join("\n"), "cannot read the patch of a command")
        assert.deepStrictEqual(journalsIn(own), ["0.json"])
      }).pipe(Effect.scoped, Effect.provide(host))
  )
})

const contentsOf = (files: { readonly [path: string]: string }) =>
  Object.fromEntries(Object.entries(files).map(([path, text]) => [path, text.replace(/^\d+ /, "")]))

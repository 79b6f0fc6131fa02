import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Exit, Layer, Logger } from "effect"
import { CodingTools } from "../src/index.ts"
import * as PatchJournal from "../src/internal/patch/patchJournal.ts"
import { apply, contents, dying, endHost, isDeath, snapshot, tree } from "./patch/cutPatches.ts"
import { host } from "./turn.ts"

/** A patch whose program died after most of its writes: the places that it wrote to, and what was there before. */
const cutOff = Effect.gen(function* () {
  const places = yield* tree
  const before = snapshot(places.root)
  const counting = dying(Infinity)
  yield* Effect.provide(apply(yield* tree), counting.layer)
  yield* Effect.exit(Effect.provide(apply(places), dying(Math.floor(counting.count() * 0.7)).layer))
  endHost(places.journals)
  return { before, places }
})

describe("a program that dies while it writes a patch", () => {
  it.live("leaves all files or none after the next start, wherever it dies", () =>
    Effect.gen(function* () {
      const whole = yield* tree
      const counting = dying(Infinity)
      yield* Effect.provide(apply(whole), counting.layer)
      const total = counting.count()
      assert.isAbove(total, 30)
      const done = contents(whole.root)
      const results = { none: 0, rolledBack: 0, finished: 0 }
      for (let at = 0; at < total; at++) {
        const places = yield* tree
        const before = snapshot(places.root)
        assert.isTrue(isDeath(yield* Effect.exit(Effect.provide(apply(places), dying(at).layer))), `no death at ${at}`)
        endHost(places.journals)
        const [recovered] = yield* Effect.provide(PatchJournal.recover(places.journals), NodeServices.layer)
        results[recovered?.result ?? "none"]++
        assert.deepStrictEqual(recovered?.untouched ?? [], [], `at ${at}`)
        if (recovered?.result === "finished") assert.deepStrictEqual(contents(places.root), done, `at ${at}`)
        else assert.deepStrictEqual(snapshot(places.root), before, `at ${at}`)
        assert.deepStrictEqual(
          readdirSync(places.journals).filter((name) => name.endsWith(".json")),
          []
        )
      }
      assert.isAbove(results.rolledBack, 20)
      assert.isAbove(results.finished, 3)
    })
  )

  it.live("and again while the next start restores them", () =>
    Effect.gen(function* () {
      const counting = dying(Infinity)
      yield* Effect.provide(apply(yield* tree), counting.layer)
      // the middle of the writes, where most has to be undone
      const at = Math.floor(counting.count() * 0.7)
      let isComplete = false
      for (let again = 0; !isComplete; again++) {
        const places = yield* tree
        const before = snapshot(places.root)
        yield* Effect.exit(Effect.provide(apply(places), dying(at).layer))
        endHost(places.journals)
        const first = yield* Effect.exit(Effect.provide(PatchJournal.recover(places.journals), dying(again).layer))
        isComplete = Exit.isSuccess(first)
        yield* Effect.provide(PatchJournal.recover(places.journals), NodeServices.layer)
        assert.deepStrictEqual(snapshot(places.root), before, `at ${again}`)
      }
    })
  )

  it.live("a file that was changed since is left alone and named, and a living program is not disturbed", () =>
    Effect.gen(function* () {
      const places = yield* tree
      const counting = dying(Infinity)
      yield* Effect.provide(apply(yield* tree), counting.layer)
      const [journal] = yield* Effect.gen(function* () {
        // dies when every file is written, and the journal is not yet marked
        for (let at = counting.count() - 1; at > 0; at--) {
          const one = yield* tree
          yield* Effect.exit(Effect.provide(apply(one), dying(at).layer))
          const [name] = readdirSync(one.journals).filter((entry) => entry.endsWith(".json"))
          if (name !== undefined && readFileSync(join(one.journals, name), "utf8").includes('"writing"')) return [one]
        }
        return [places]
      })
      const { journals, root } = journal!
      assert.deepStrictEqual(yield* Effect.provide(PatchJournal.recover(journals), NodeServices.layer), [])
      assert.strictEqual(endHost(journals), 1)
      writeFileSync(join(root, "a"), "mine\n")
      writeFileSync(join(root, "new/deep/c"), "mine as well\n")
      const [recovered] = yield* Effect.provide(PatchJournal.recover(journals), NodeServices.layer)
      assert.deepStrictEqual([...recovered!.untouched].sort(), [join(root, "a"), join(root, "new/deep/c")])
      const { a, b, d, e, long } = contents(root)
      assert.deepStrictEqual([a, b, d, e], ["644 mine\n", "644 2\n", "644 4\n", undefined])
      assert.include(long, "a long line that becomes short")
    })
  )

  it.live("a damaged journal is reported, stays, and does not keep the others from being undone", () =>
    Effect.gen(function* () {
      const { before, places } = yield* cutOff
      // in the order of names it comes first
      const damaged = join(places.journals, "0.json")
      writeFileSync(damaged, '{"phase":"wri')
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => void logged.push(String(message)))
      const recovered = yield* PatchJournal.recover(places.journals).pipe(
        Effect.provide(Layer.merge(NodeServices.layer, Logger.layer([logger])))
      )
      assert.strictEqual(recovered.length, 1)
      assert.deepStrictEqual(snapshot(places.root), before)
      assert.deepStrictEqual([logged.length, existsSync(damaged)], [1, true])
      assert.include(logged[0], damaged)
    })
  )

  it.live("is undone when the tools are made next, with a warning", () =>
    Effect.gen(function* () {
      const { before, places } = yield* cutOff
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const tools = CodingTools.layer({ cwd: places.root, journals: places.journals })
      yield* Layer.build(Layer.provide(tools, host)).pipe(Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(snapshot(places.root), before)
      assert.match(String(logged[0]), /^a patch that was cut off was undone: .*\/a, /)
    }).pipe(Effect.scoped)
  )
})

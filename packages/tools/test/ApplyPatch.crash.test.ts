import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Exit, FileSystem, Layer, Logger } from "effect"
import { ApplyPatch, CodingTools } from "../src/index.ts"
import * as PatchJournal from "../src/internal/patch/patchJournal.ts"
import { directory } from "./host.ts"
import { host } from "./turn.ts"

/** Everything below a directory: the number of a file, its mode and its content; the target of a link. */
const snapshot = (root: string): { readonly [path: string]: string } =>
  Object.fromEntries(
    readdirSync(root, { recursive: true, withFileTypes: true })
      .map((entry): readonly [string, string] => {
        const path = join(entry.parentPath, entry.name)
        const name = path.slice(root.length + 1)
        if (entry.isSymbolicLink()) return [name, `-> ${readlinkSync(path)}`]
        if (entry.isDirectory()) return [name, "directory"]
        const { ino, mode } = statSync(path)
        return [name, `${ino} ${(mode & 0o777).toString(8)} ${readFileSync(path, "latin1")}`]
      })
      .sort()
  )

const mutations = ["open", "rename", "remove", "makeDirectory", "chmod", "writeFileString"] as const

class Died extends Error {}

/**
 * A file system of a program that dies at its operation `at`: that one and all later ones do nothing, but a write of a file
 * writes the first half. `count` is the number of operations.
 */
const dying = (at: number) => {
  let count = 0
  const step = <A, E, R>(run: Effect.Effect<A, E, R>, half: Effect.Effect<unknown, unknown, R> = Effect.void) =>
    Effect.suspend(() => {
      const now = count++
      if (now === at) return Effect.andThen(Effect.exit(half), Effect.die(new Died()))
      return now < at ? run : Effect.die(new Died())
    })
  const layer = Layer.provideMerge(
    Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fileSystem): FileSystem.FileSystem => {
        const all = Object.fromEntries(
          mutations.map((name) => [name, (...args: Array<any>) => step((fileSystem[name] as any)(...args))])
        ) as Pick<FileSystem.FileSystem, (typeof mutations)[number]>
        return {
          ...fileSystem,
          ...all,
          writeFileString: (path, content) =>
            step(
              fileSystem.writeFileString(path, content),
              fileSystem.writeFileString(path, content.slice(0, content.length / 2))
            ),
          open: (path, options) =>
            // a directory is only read
            options?.flag === undefined
              ? fileSystem.open(path, options)
              : Effect.map(
                  step(fileSystem.open(path, options)),
                  (file): FileSystem.File =>
                    new Proxy(file, {
                      get: (target: any, name) => {
                        if (name === "truncate") return (length: any) => step(target.truncate(length))
                        if (name !== "writeAll") return target[name]
                        return (bytes: Uint8Array) =>
                          step(target.writeAll(bytes), target.writeAll(bytes.subarray(0, Math.ceil(bytes.length / 2))))
                      }
                    })
                )
        }
      })
    ),
    NodeServices.layer
  )
  return { layer, count: () => count }
}

const input = [
  "*** Begin Patch",
  "*** Update File: a",
  "@@",
  "-1",
  "+one, and longer than before",
  "*** Update File: long",
  "@@",
  "-a long line that becomes short",
  "+short",
  "*** Delete File: b",
  "*** Add File: new/deep/c",
  "+c",
  "*** Update File: d",
  "*** Move to: e",
  "@@",
  "-4",
  "+four",
  "*** Delete File: link",
  "*** Delete File: again",
  "*** Add File: again",
  "+anew",
  "*** End Patch"
].join("\n")

/** A directory with files, and the directory of the journals next to it. */
const tree = Effect.map(directory, (top) => {
  const root = join(top, "work")
  mkdirSync(root)
  mkdirSync(join(top, "patches"))
  const files = { a: "1\n", long: "a long line that becomes short\nend\n", b: "2\n", d: "4\n", again: "old\n" }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, name), content)
  linkSync(join(root, "a"), join(root, "other-name"))
  symlinkSync("a", join(root, "link"))
  return { root, journals: join(top, "patches") }
})

const apply = ({ journals, root }: { readonly root: string; readonly journals: string }) =>
  ApplyPatch.apply(input, { cwd: root }).pipe(Effect.provideService(PatchJournal.Directory, journals))

const contents = (root: string) =>
  Object.fromEntries(Object.entries(snapshot(root)).map(([path, text]) => [path, text.replace(/^\d+ /, "")]))

/** Makes the program that wrote the journals one that has ended. */
const endHost = (journals: string) => {
  const names = readdirSync(journals).filter((name) => name.endsWith(".json"))
  for (const name of names) {
    const path = join(journals, name)
    writeFileSync(path, readFileSync(path, "utf8").replace(/"host":"[^/]*/, '"host":"an-earlier-boot'))
  }
  return names.length
}

const isDeath = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) && exit.cause.reasons.some((reason) => reason._tag === "Die" && reason.defect instanceof Died)

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
      const places = yield* tree
      const before = snapshot(places.root)
      const counting = dying(Infinity)
      yield* Effect.provide(apply(yield* tree), counting.layer)
      yield* Effect.exit(Effect.provide(apply(places), dying(Math.floor(counting.count() * 0.7)).layer))
      endHost(places.journals)
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
      const places = yield* tree
      const before = snapshot(places.root)
      const counting = dying(Infinity)
      yield* Effect.provide(apply(yield* tree), counting.layer)
      yield* Effect.exit(Effect.provide(apply(places), dying(Math.floor(counting.count() * 0.7)).layer))
      endHost(places.journals)
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const tools = CodingTools.layer({ cwd: places.root, journals: places.journals })
      yield* Layer.build(Layer.provide(tools, host)).pipe(Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(snapshot(places.root), before)
      assert.match(String(logged[0]), /^a patch that was cut off was undone: .*\/a, /)
    }).pipe(Effect.scoped)
  )
})

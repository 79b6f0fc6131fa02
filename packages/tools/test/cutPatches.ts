/** Patches that a program writes when it dies. */
import {
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
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Exit, FileSystem, Layer } from "effect"
import { ApplyPatch } from "../src/index.ts"
import * as PatchJournal from "../src/internal/patch/patchJournal.ts"
import { directory } from "./host.ts"

/** Everything below a directory: the number of a file, its mode and its content; the target of a link. */
export const snapshot = (root: string): { readonly [path: string]: string } =>
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
 * A file system of a program that dies at its operation `at`: that one and all later ones do nothing, but a write of a
 * file writes the first half. `count` is the number of operations.
 */
export const dying = (at: number) => {
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

/** A patch that changes, adds, moves, replaces and deletes files of {@link tree}. */
export const input = [
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
export const tree = Effect.map(directory, (top) => {
  const root = join(top, "work")
  mkdirSync(root)
  mkdirSync(join(top, "patches"))
  const files = { a: "1\n", long: "a long line that becomes short\nend\n", b: "2\n", d: "4\n", again: "old\n" }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, name), content)
  linkSync(join(root, "a"), join(root, "other-name"))
  symlinkSync("a", join(root, "link"))
  return { root, journals: join(top, "patches") }
})

/** Applies the patch as the tool does. */
export const apply = ({ journals, root }: { readonly root: string; readonly journals: string }) =>
  ApplyPatch.apply(input, { cwd: root }).pipe(Effect.provideService(PatchJournal.Directory, journals))

/** A {@link snapshot} without the numbers of the files. */
export const contents = (root: string) =>
  Object.fromEntries(Object.entries(snapshot(root)).map(([path, text]) => [path, text.replace(/^\d+ /, "")]))

/** Makes the program that wrote the journals one that has ended. */
export const endHost = (journals: string) => {
  const names = readdirSync(journals).filter((name) => name.endsWith(".json"))
  for (const name of names) {
    const path = join(journals, name)
    writeFileSync(path, readFileSync(path, "utf8").replace(/"host":"[^/]*/, '"host":"an-earlier-boot'))
  }
  return names.length
}

/** True if a program died at its operation. */
export const isDeath = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) && exit.cause.reasons.some((reason) => reason._tag === "Die" && reason.defect instanceof Died)

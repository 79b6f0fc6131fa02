/** Walks a directory as git sees it: without the files that its ignore files name, and without following links. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Globs from "./globs.ts"
import * as RegularFile from "./regularFile.ts"
import * as Utf8 from "../../Utf8.ts"

/** The most characters of all paths that a walk finds, so that a process takes them at once. */
export const maxCharacters = 300_000

const ignoreFiles = [".gitignore", ".ignore"]
const maxIgnoreBytes = 1_048_576

/** The files that a walk finds. `isCut`: there are more than {@link maxCharacters} allow. */
export interface Found {
  readonly paths: ReadonlyArray<string>
  readonly isCut: boolean
}

interface Walk {
  readonly root: string
  readonly paths: Array<string>
  characters: number
}

/** Returns the regular files below a directory, relative to it. */
export const files = Effect.fnUntraced(function* (root: string) {
  const walk: Walk = { root, paths: [], characters: 0 }
  yield* visit(walk, "", [])
  return { paths: walk.paths, isCut: walk.characters >= maxCharacters } satisfies Found
})

const visit = (
  walk: Walk,
  directory: string,
  outer: ReadonlyArray<Globs.Rules>
): Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const here = path.join(walk.root, directory)
    const rules = [...outer]
    for (const name of ignoreFiles) {
      const bytes = yield* Effect.option(RegularFile.readAll(path.join(here, name), maxIgnoreBytes))
      if (bytes._tag === "Some") rules.push(Globs.rulesOf(directory, Utf8.decode(bytes.value)))
    }
    // a directory that cannot be read has no files to search
    const names = yield* Effect.orElseSucceed(fileSystem.readDirectory(here), () => [])
    for (const name of names.toSorted()) {
      if (walk.characters >= maxCharacters) return
      if (name === ".git") continue
      const relative = directory === "" ? name : `${directory}/${name}`
      const info = yield* Effect.option(fileSystem.lstat(path.join(here, name)))
      const type = info._tag === "None" ? undefined : info.value.type
      if (type === "Directory") {
        if (!Globs.isIgnored(rules, relative, true)) yield* visit(walk, relative, rules)
      } else if (type === "File" && !Globs.isIgnored(rules, relative, false)) {
        walk.paths.push(relative)
        walk.characters += relative.length + 1
      }
    }
  })

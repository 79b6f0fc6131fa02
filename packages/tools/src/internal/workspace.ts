/** The directory that a patch may change, and the files in it. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import { PatchError } from "../Patch.ts"
import * as SystemReasons from "./systemReasons.ts"

/** Resolves the paths of a patch to files inside a directory. */
export interface Workspace {
  /** The real path of the directory. */
  readonly root: string
  /**
   * Returns the real path of a file that may or may not exist; of a symbolic link the path of the link itself if
   * `keepsLink`. Fails if it is outside the directory, or not the path of a file.
   */
  readonly resolve: (path: string, keepsLink: boolean) => Effect.Effect<string, PatchError>
}

/**
 * Makes the workspace of a working directory. Relative paths start in `directory`, which is inside it. Fails if the
 * working directory does not exist.
 */
export const make = Effect.fnUntraced(function* (cwd: string, directory: string = cwd) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = yield* Effect.mapError(
    fileSystem.realPath(cwd),
    () => new PatchError({ detail: `there is no working directory ${cwd}` })
  )

  const isInside = (target: string, directory: string): boolean => {
    const relative = path.relative(directory, target)
    return relative !== "" && relative !== ".." && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative)
  }

  const isLink = (target: string): Effect.Effect<boolean, PlatformError> =>
    fileSystem.lstat(target).pipe(
      Effect.map(({ type }) => type === "SymbolicLink"),
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(false))
    )

  /** Returns the real path of the deepest part that exists, followed by the rest. */
  const realPath = (target: string): Effect.Effect<string, PatchError> =>
    fileSystem.realPath(target).pipe(
      Effect.catchReason("PlatformError", "NotFound", () =>
        Effect.gen(function* () {
          const refuse = (detail: string) => new PatchError({ path: target, detail })
          if (yield* isLink(target)) return yield* refuse("is a symbolic link to a file that does not exist")
          const parent = path.dirname(target)
          return parent === target ? target : path.join(yield* realPath(parent), path.basename(target))
        })
      ),
      Effect.catchTag("PlatformError", (error) =>
        Effect.fail(new PatchError({ path: target, detail: `cannot be reached: ${SystemReasons.reasonOf(error)}` }))
      )
    )

  const workspace: Workspace = {
    root,
    resolve: Effect.fnUntraced(function* (name, keepsLink) {
      const target = path.resolve(directory, name)
      const outside = new PatchError({ path: name, detail: `is outside the working directory ${cwd}` })
      if (name.includes("\0")) return yield* new PatchError({ path: name, detail: "is not a path" })
      if (!isInside(target, path.resolve(cwd)) && !isInside(target, root)) return yield* outside
      const real = keepsLink
        ? path.join(yield* realPath(path.dirname(target)), path.basename(target))
        : yield* realPath(target)
      if (!isInside(real, root)) return yield* outside
      return real
    })
  }
  return workspace
})

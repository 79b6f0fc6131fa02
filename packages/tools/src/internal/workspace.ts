/** The directory that a patch may change. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { PatchError } from "../Patch.ts"

/** Resolves the paths of a patch to files inside a directory. */
export interface Workspace {
  /**
   * The real path of a file that may or may not exist; of a symbolic link the link itself when `keepsLink`. Fails when
   * it is outside, or no path of a file.
   */
  readonly resolve: (path: string, keepsLink: boolean) => Effect.Effect<string, PatchError>
}

/** Looks at the working directory. Fails when there is none. */
export const make = Effect.fnUntraced(function* (cwd: string) {
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

  /** The real path of the deepest part that exists, and the rest below it. */
  const realPath = (target: string): Effect.Effect<string, PatchError> =>
    fileSystem.realPath(target).pipe(
      Effect.catchReason("PlatformError", "NotFound", () => {
        const parent = path.dirname(target)
        return parent === target
          ? Effect.succeed(target)
          : Effect.map(realPath(parent), (real) => path.join(real, path.basename(target)))
      }),
      Effect.catchTag("PlatformError", (error) =>
        Effect.fail(new PatchError({ path: target, detail: `cannot be reached: ${error.reason._tag}` }))
      )
    )

  const workspace: Workspace = {
    resolve: Effect.fnUntraced(function* (name, keepsLink) {
      const target = path.resolve(cwd, name)
      const outside = new PatchError({ path: name, detail: `is outside the working directory ${cwd}` })
      if (name.includes("\0")) return yield* new PatchError({ path: name, detail: "is no path" })
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

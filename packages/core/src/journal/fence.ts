/**
 * The fence of a journal: an empty file whose inode names the current writer.
 *
 * Opening an existing journal replaces its fence. A writer keeps its own fence open, so that the inode is not reused
 * during its lifetime. The creator of a journal has no fence: it is the current writer while no fence exists.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { isNotFound } from "./files.ts"
import * as Paths from "./paths.ts"

/** Replaces the fence of the journal at `path`. An earlier writer is refused from then on. */
export const make = (fs: FileSystem.FileSystem, path: string): Effect.Effect<Fence, PlatformError, Scope.Scope> => {
  const fencePath = Paths.fencePath(path)
  return Effect.gen(function* () {
    yield* fs.remove(fencePath, { force: true })
    const file = yield* fs.open(fencePath, { flag: "wx", mode: 0o600 })
    return (yield* file.stat).ino
  })
}

/** The fence of a creator. */
export const none: Fence = Option.none()

/** The reason for which a writer that lost its fence is refused. */
export const lost = "another writer has opened the journal"

/** Returns whether a fence is still the fence of the journal at `path`. */
export const isHeld = (fs: FileSystem.FileSystem, path: string, fence: Fence): Effect.Effect<boolean, PlatformError> =>
  Effect.matchEffect(fs.stat(Paths.fencePath(path)), {
    onFailure: (error) => (isNotFound(error) ? Effect.succeed(Option.isNone(fence)) : Effect.fail(error)),
    onSuccess: ({ ino }) => Effect.succeed(Option.getOrUndefined(ino) === Option.getOrUndefined(fence))
  })

/** The inode of a fence. */
export type Fence = Option.Option<bigint>

/** Shared parts of a file journal: the file system, reading in chunks, and failures as `JournalFailed`. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { type PlatformError, systemError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SessionId } from "../protocol/Ids.ts"
import { JournalFailed } from "../protocol/SessionError.ts"

/** The directory of the journals, and the file system to reach it. */
export interface Files {
  readonly fs: FileSystem.FileSystem
  readonly directory: string
  /** True if records are on the disk before they are acknowledged. */
  readonly isSynced: boolean
}

/** Maps a failure of the file system to `JournalFailed`, with the words of the operating system (`ENOSPC: ...`). */
export const asJournalFailed =
  (operation: JournalFailed["operation"], sessionId: SessionId) =>
  <A, R>(effect: Effect.Effect<A, PlatformError, R>): Effect.Effect<A, JournalFailed, R> =>
    Effect.mapError(effect, (cause) => new JournalFailed({ sessionId, operation, detail: detailOf(cause), cause }))

const detailOf = ({ message, reason }: PlatformError): string => {
  const cause = reason.cause
  if (!(cause instanceof Error)) return message
  const path = "pathOrDescriptor" in reason ? reason.pathOrDescriptor : undefined
  return typeof path !== "string" || cause.message.includes(path) ? cause.message : `${cause.message} (${path})`
}

/** Returns whether a file does not exist, from the failure of the file system. */
export const isNotFound = (error: PlatformError): boolean => error.reason._tag === "NotFound"

/** Opens a regular file for reading. Opening a named pipe could wait forever. */
export const openRegular = (
  fs: FileSystem.FileSystem,
  path: string
): Effect.Effect<FileSystem.File, PlatformError, Scope.Scope> =>
  Effect.flatMap(fs.stat(path), ({ type }) =>
    type === "File"
      ? fs.open(path, { flag: "r" })
      : Effect.fail(
          systemError({
            _tag: "BadResource",
            module: "FileSystem",
            method: "open",
            pathOrDescriptor: path,
            description: "not a regular file"
          })
        )
  )

/**
 * Returns the bytes of an open file from `start` up to `end`, or up to its end if the file is shorter. A chunk is valid
 * until the next one is read.
 */
export const chunksOf = (
  file: FileSystem.File,
  { end, start }: { readonly start: number; readonly end: number }
): Stream.Stream<Uint8Array, PlatformError> =>
  Stream.suspend(() => {
    let buffer = new Uint8Array(end - start <= chunkBytes ? end - start : firstChunkBytes)
    return Stream.unfold(start, (at) => {
      if (at >= end) return Effect.undefined
      return Effect.map(file.read(buffer.subarray(0, end - at), { position: BigInt(at) }), (count) => {
        if (count === 0) return undefined
        const chunk = buffer.subarray(0, count)
        if (count === firstChunkBytes) buffer = new Uint8Array(chunkBytes)
        return [chunk, at + count] as const
      })
    })
  })

/** Enough for most first lines, and for a short journal. */
const firstChunkBytes = 8 * 1024
const chunkBytes = 256 * 1024

/** Reads regular files, and opens nothing else: a FIFO or a device could block, or never end. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as SystemReasons from "../systemReasons.ts"

const kinds: { readonly [type: string]: string } = {
  Directory: "it is a directory",
  FIFO: "it is a named pipe, not a regular file",
  Socket: "it is a socket, not a regular file",
  CharacterDevice: "it is a device, not a regular file",
  BlockDevice: "it is a device, not a regular file"
}

/** Returns the status of a regular file. **Errors**: the reason why it is not one. Symbolic links are followed. */
export const stat: (path: string) => Effect.Effect<FileSystem.File.Info, string, FileSystem.FileSystem> =
  Effect.fnUntraced(function* (path) {
    const fileSystem = yield* FileSystem.FileSystem
    if (path.includes("\0")) return yield* Effect.fail("it is not a path")
    const info = yield* Effect.mapError(fileSystem.stat(path), SystemReasons.reasonOf)
    return info.type === "File" ? info : yield* Effect.fail(kinds[info.type] ?? "it is not a regular file")
  })

/** Reads a complete file. **Errors**: the reason why it cannot be read, or that it has more bytes. */
export const readAll: (path: string, maxBytes: number) => Effect.Effect<Uint8Array, string, FileSystem.FileSystem> =
  Effect.fnUntraced(function* (path, maxBytes) {
    const fileSystem = yield* FileSystem.FileSystem
    const { size } = yield* stat(path)
    if (size > maxBytes) return yield* Effect.fail(`it has ${size} bytes, and the limit is ${maxBytes}`)
    return yield* Effect.mapError(fileSystem.readFile(path), SystemReasons.reasonOf)
  })

const sampleBytes = 8_192

/** True if the first bytes of a file are not text. */
export const isBinary = (bytes: Uint8Array): boolean => bytes.subarray(0, sampleBytes).includes(0)

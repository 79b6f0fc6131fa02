/**
 * Reads files that another program may have created: the configuration, rules, keys, caches.
 *
 * A named pipe in place of a file would block the thread that opens it, and with it the signals that could stop the
 * program. So a file is opened without waiting, and its type is checked before it is read. All functions throw the
 * errors of the system, or an `Error` with the reason why it is not a regular file.
 */
import * as FileSystem from "node:fs"

/** The flags that open a file without waiting. Windows has neither named pipes in directories nor the flag. */
const flags = FileSystem.constants.O_RDONLY | (FileSystem.constants.O_NONBLOCK ?? 0)

/** Opens a regular file for reading, and calls `use` with its descriptor and its file status. */
export const useUnsafe = <A>(path: string, use: (descriptor: number, stat: FileSystem.Stats) => A): A => {
  const descriptor = FileSystem.openSync(path, flags)
  try {
    const stat = FileSystem.fstatSync(descriptor)
    if (stat.isFIFO()) throw new Error("it is a named pipe, not a regular file")
    if (stat.isCharacterDevice() && !isEmpty(descriptor)) throw new Error("it is a device, not a regular file")
    return use(descriptor, stat)
  } finally {
    FileSystem.closeSync(descriptor)
  }
}

/** Returns true if there is nothing to read. Containers hide a file by mounting `/dev/null` over it. */
const isEmpty = (descriptor: number): boolean => FileSystem.readSync(descriptor, Buffer.alloc(1)) === 0

/** Returns the content of a regular file. */
export const readUnsafe = (path: string): Buffer => useUnsafe(path, (descriptor) => FileSystem.readFileSync(descriptor))

/** Returns the content of a regular file as UTF-8. */
export const readTextUnsafe = (path: string): string => readUnsafe(path).toString("utf8")

/** A file system that kills its own process with SIGKILL at one of its boundaries: before, after or within the n-th operation that changes something. */
import { writeSync } from "node:fs"
import { Effect, type FileSystem } from "effect"

/**
 * Where to die: at the `nth` changing operation, counted from 1, and when; `within` means after `share` (0 to 1) of
 * the bytes were written.
 */
export interface Death {
  readonly nth: number
  readonly when: "before" | "within" | "after"
  readonly share: number
}

const die = () => {
  process.kill(process.pid, "SIGKILL")
  // nothing may happen between the signal and the end
  for (;;);
}

/** A file system that dies. It prints the name of the operation before it dies. */
export const make = (fs: FileSystem.FileSystem, death: Death | undefined): FileSystem.FileSystem => {
  let count = 0
  const at = <A, E, R>(
    name: string,
    operation: Effect.Effect<A, E, R>,
    some?: (share: number) => Effect.Effect<unknown, E, R>
  ): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      if (++count !== death?.nth) return operation
      const when = death.when === "within" && some === undefined ? "after" : death.when
      writeSync(1, `${JSON.stringify({ boundary: `${when} ${name}` })}\n`)
      if (when === "before") return Effect.sync(die)
      if (when === "within") return Effect.andThen(Effect.exit(some!(death.share)), Effect.sync(die))
      return Effect.ensuring(operation, Effect.sync(die))
    })
  /** Less than all of it, and at least one byte. */
  const beginning = (bytes: Uint8Array, share: number) =>
    bytes.subarray(0, Math.max(1, Math.min(bytes.length - 1, Math.floor(share * bytes.length))))
  const file = (real: FileSystem.File): FileSystem.File =>
    Object.create(real, {
      writeAll: {
        value: (bytes: Uint8Array) =>
          at("append", real.writeAll(bytes), (share) => real.writeAll(beginning(bytes, share)))
      },
      truncate: { value: (size?: number) => at("truncate", real.truncate(size)) },
      sync: { get: () => at("sync", real.sync) }
    })
  return {
    ...fs,
    makeDirectory: (path, options) => at("makeDirectory", fs.makeDirectory(path, options)),
    rename: (from, to) => at("rename", fs.rename(from, to)),
    remove: (path, options) => at("remove", fs.remove(path, options)),
    writeFile: (path, bytes, options) =>
      at("writeFile", fs.writeFile(path, bytes, options), (share) =>
        fs.writeFile(path, beginning(bytes, share), options)
      ),
    open: (path, options) => {
      const opened = Effect.map(fs.open(path, options), file)
      return options?.flag === "r" ? opened : at("open", opened)
    }
  }
}

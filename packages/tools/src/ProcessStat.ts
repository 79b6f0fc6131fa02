/**
 * The port to `/proc/<pid>/stat`. {@link ProcessGroups} reads this file of each process of the host when it looks for those
 * of a command. Effect's `FileSystem` reads a file in several steps on other threads, which costs many times the processor
 * time of the read itself. The kernel never waits for a process to make this file, unlike its environment, so that a
 * program may read it at once. Without this port the files are read through `FileSystem`.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/** Returns `/proc/<pid>/stat`. Throws an error with a code, like `ENOENT`, if it cannot be read. */
export type Read = (pid: number) => string

/** The reader of the platform; undefined if it has none. `ProcessGroups.layer` reads it. */
export class ProcessStat extends Context.Reference<Read | undefined>("@spindle/tools/ProcessStat", {
  defaultValue: () => undefined
}) {}

/** Reads with a function: on Node ``(pid) => readFileSync(`/proc/${pid}/stat`, "utf8")``. */
export const layerRead = (read: Read): Layer.Layer<never> => Layer.succeed(ProcessStat, read)

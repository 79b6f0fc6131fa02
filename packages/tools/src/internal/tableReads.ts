/**
 * Reads of the process table that concurrent looks share. Looks that begin together are one pass, in which each file is
 * read once; those that come later wait for the next pass, so that none sees a file as it was before the look began.
 * Without this, ending many processes at once reads the table once for each of them.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import { type PlatformError, systemError, type SystemErrorTag } from "effect/PlatformError"
import type * as ProcessStat from "../ProcessStat.ts"

/** The reads of one pass. */
export interface Reads {
  readonly directory: Effect.Effect<ReadonlyArray<string>, PlatformError>
  readonly file: (path: string) => Effect.Effect<string, PlatformError>
  /** Reads `/proc/<pid>/stat`. */
  readonly stat: (pid: number) => Effect.Effect<string, PlatformError>
  /** Reads `/proc/<pid>/stat`, even if it was read before. */
  readonly statAgain: (pid: number) => Effect.Effect<string, PlatformError>
  /** Reads the environment of a process whose first thread has ended, from its other threads. */
  readonly threads: (pid: number) => Effect.Effect<string, PlatformError>
}

interface Pass {
  readonly reads: Reads
  readonly started: Deferred.Deferred<void>
  count: number
}

/** Runs a look with the reads of its pass. */
export type WithReads = <A>(look: (reads: Reads) => Effect.Effect<A>) => Effect.Effect<A>

/** Makes the passes over `/proc`. `readStat` is undefined on a platform that does not read at once. */
export const make = (fileSystem: FileSystem.FileSystem, readStat: ProcessStat.Read | undefined): WithReads => {
  let current: Pass | undefined
  let next: Pass | undefined
  const enter = Effect.suspend(() => {
    next ??= makePass(fileSystem, readStat)
    const pass = next
    pass.count++
    const isFirst = current === undefined
    if (isFirst) current = pass
    // those that begin at the same time join before it starts
    const start = isFirst ? Effect.andThen(Effect.yieldNow, Effect.sync(begin)) : Effect.void
    return Effect.as(Effect.andThen(start, Deferred.await(pass.started)), pass)
  })
  const begin = () => {
    const pass = next!
    next = undefined
    current = pass
    Deferred.doneUnsafe(pass.started, Effect.void)
  }
  const leave = (pass: Pass) =>
    Effect.sync(() => {
      pass.count--
      if (pass.count > 0) return
      current = undefined
      if (next !== undefined) begin()
    })
  return (look) => Effect.acquireUseRelease(enter, ({ reads }) => look(reads), leave)
}

const makePass = (fileSystem: FileSystem.FileSystem, readStat: ProcessStat.Read | undefined): Pass => {
  const file = memoizeBy((path: string) => memoize(fileSystem.readFileString(path)))
  const statAgain = (pid: number) =>
    readStat === undefined ? fileSystem.readFileString(statPath(pid)) : Effect.suspend(() => readAtOnce(readStat, pid))
  const threads = Effect.fnUntraced(function* (pid: number) {
    const ids = yield* fileSystem.readDirectory(`/proc/${pid}/task`)
    const other = ids.find((id) => id !== String(pid))
    return other === undefined ? "" : yield* fileSystem.readFileString(`/proc/${pid}/task/${other}/environ`)
  })
  return {
    reads: {
      directory: memoize(fileSystem.readDirectory("/proc")),
      file,
      stat:
        readStat === undefined ? (pid) => file(statPath(pid)) : memoizeBy((pid: number) => readAtOnce(readStat, pid)),
      statAgain,
      threads: memoizeBy((pid: number) => memoize(threads(pid)))
    },
    started: Deferred.makeUnsafe(),
    count: 0
  }
}

const statPath = (pid: number): string => `/proc/${pid}/stat`

const memoizeBy = <Key, A>(make: (key: Key) => A): ((key: Key) => A) => {
  const made = new Map<Key, A>()
  return (key) => {
    let value = made.get(key)
    if (value === undefined) made.set(key, (value = make(key)))
    return value
  }
}

const tags: { readonly [code: string]: SystemErrorTag } = {
  ENOENT: "NotFound",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied"
}

/** Reads `/proc/<pid>/stat`. */
export const readAtOnce = (read: ProcessStat.Read, pid: number): Exit.Exit<string, PlatformError> => {
  try {
    return Exit.succeed(read(pid))
  } catch (cause) {
    const code = (cause as { readonly code?: unknown }).code
    if (typeof code !== "string") throw cause
    const _tag = tags[code] ?? "Unknown"
    return Exit.fail(
      systemError({ _tag, module: "ProcessStat", method: "read", pathOrDescriptor: statPath(pid), cause })
    )
  }
}

/**
 * Runs an effect once, when its result is first needed. It is not interruptible, because others wait for the result.
 */
const memoize = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  let result: Deferred.Deferred<A, E> | undefined
  return Effect.suspend(() => {
    if (result !== undefined) return Deferred.await(result)
    const made = (result = Deferred.makeUnsafe<A, E>())
    const run = Effect.flatMap(Effect.exit(effect), (exit) => {
      Deferred.doneUnsafe(made, exit)
      return exit
    })
    return Effect.uninterruptible(run)
  })
}

/** A host without control groups that hides files of its processes. */
import { tmpdir } from "node:os"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem, Layer, PlatformError, Stream } from "effect"
import { Processes } from "@spindle/core/Processes"
import { ProcessGroups } from "../../src/index.ts"
import { groupOf, newId, signals } from "../host.ts"

const cwd = tmpdir()

/** Starts a script as a command. */
export const shell = Effect.fnUntraced(function* (script: string) {
  return yield* (yield* Processes).start({ processId: newId(), command: ["bash", "-c", script], cwd })
})

/** The first number that a process prints. */
export const pidFrom = (output: Stream.Stream<Uint8Array>) =>
  output.pipe(
    Stream.decodeText,
    Stream.scan(
      () => "",
      (all, text) => all + text
    ),
    Stream.filter((all) => /\d+\n/.test(all)),
    Stream.runHead,
    Effect.map((all) => Number(all._tag === "Some" ? /\d+/.exec(all.value)![0] : NaN))
  )

/** Waits until a process has ended: the kernel ends it a moment after the signal. */
export const awaitEnd = (pid: number) =>
  Effect.gen(function* () {
    while (!Number.isNaN(groupOf(pid))) yield* Effect.sleep(5)
  }).pipe(Effect.timeout("5 seconds"))

/** The failure of a read. */
export const failed = (tag: "NotFound" | "PermissionDenied", path: string) =>
  Effect.fail(PlatformError.systemError({ _tag: tag, module: "FileSystem", method: "test", pathOrDescriptor: path }))

/** A host without control groups that hides environments, and shows what `texts` says instead of a file. */
export const hostOf = (options: {
  readonly isHidden?: (pid: number) => boolean
  /** Returns true for a process that each look reads too late, as if it had ended. */
  readonly isMissed?: (pid: number) => boolean
  readonly texts?: (path: string) => string | undefined
  /** Runs before a file is read. */
  readonly before?: Effect.Effect<void>
  readonly signals?: typeof signals
}) => {
  const files = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fileSystem): FileSystem.FileSystem => ({
      ...fileSystem,
      readFileString: (path) => {
        const [, pid, file] = /^\/proc\/(\d+)\/(\w+)$/.exec(path) ?? []
        if (path === "/proc/self/mounts" || options.isMissed?.(Number(pid)) === true) return failed("NotFound", path)
        if (file === "environ" && options.isHidden?.(Number(pid)) === true) return failed("PermissionDenied", path)
        const text = options.texts?.(path)
        const read = text === undefined ? fileSystem.readFileString(path) : Effect.succeed(text)
        return options.before === undefined ? read : Effect.andThen(options.before, read)
      }
    }))
  )
  const platform = Layer.merge(NodeServices.layer, options.signals ?? signals)
  return Layer.provideMerge(ProcessGroups.layer.pipe(Layer.provide(files)), platform)
}

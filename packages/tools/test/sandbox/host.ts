/** The sandbox of this host, or the reason why it has none. */
import { Effect, Layer, Stream } from "effect"
import { Processes } from "@spindle/core/Processes"
import { ProcessGroups, Sandbox } from "../../src/index.ts"
import * as ProcessLimit from "../../src/internal/sandbox/processLimit.ts"
import { newId, platform } from "../host.ts"

const machine = { platform: process.platform, architecture: process.arch }

/** A host whose commands are confined, with `bwrap` from one of these places. */
export const hostWith = (programs?: ReadonlyArray<string>) =>
  Sandbox.layer({ ...machine, programs }).pipe(Layer.provideMerge(ProcessGroups.layer), Layer.provideMerge(platform))

export const confined = hostWith()

/** The reason why the tests that need a sandbox are skipped; undefined where they run. */
export const whySkipped: string | undefined = await Effect.runPromise(
  Effect.flatMap(Sandbox.Sandbox, ({ available }) => available).pipe(
    Effect.match({ onFailure: (error) => error.message, onSuccess: () => undefined }),
    Effect.provide(confined),
    Effect.scoped
  )
)

/** True if the number of processes can be limited here: for root only with a control group. */
export const canLimitProcesses: boolean =
  process.getuid?.() !== 0 ||
  (await Effect.runPromise(
    Effect.gen(function* () {
      const { acquire } = yield* ProcessLimit.make
      const { line, release } = yield* acquire(newId(), 100)
      yield* release
      return line !== ":"
    }).pipe(Effect.provide(platform))
  ))

/** Returns the title of a group of tests that need a sandbox, with the reason why they are skipped. */
export const titled = (title: string) => (whySkipped === undefined ? title : `${title} (skipped: ${whySkipped})`)

/** Starts a shell command. */
export const shell = Effect.fnUntraced(function* (script: string, cwd: string) {
  return yield* (yield* Processes).start({ processId: newId(), command: ["/bin/sh", "-c", script], cwd })
})

/** Runs a shell command to its end. */
export const run = Effect.fnUntraced(function* (script: string, cwd: string) {
  const process = yield* shell(script, cwd)
  const output = yield* Stream.mkString(Stream.decodeText(process.output))
  const { exitCode } = yield* process.exit
  yield* process.gone
  return { exitCode, output: output.trim() }
})

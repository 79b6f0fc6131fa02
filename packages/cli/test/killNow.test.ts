import { spawn } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as KillNow from "../src/killNow.ts"

const nothing = { targets: [], controlFiles: [], isMarked: undefined }

/** Starts a process in a separate session, which is killed when the scope closes. */
const daemon = (env: { readonly [name: string]: string }) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn("sleep", ["300"], { detached: true, env, stdio: "ignore" })),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    ),
    (child) => ({
      pid: child.pid!,
      ended: Effect.callback<string | null>((resume) => {
        child.once("exit", (_code, signal) => resume(Effect.succeed(signal)))
      })
    })
  )

describe("run", () => {
  it.live("X2 kills the targets, and whatever carries the mark although no look has found it", () =>
    Effect.gen(function* () {
      const isMarked = (text: string) => text.split("\0").includes(`SPINDLE_HOST=test-${process.pid}`)
      const marked = yield* daemon({ SPINDLE_HOST: `test-${process.pid}`, SPINDLE_PROCESS: "one" })
      const target = yield* daemon({})
      const other = yield* daemon({ SPINDLE_HOST: `test-${process.pid}0` })
      const ends = yield* Effect.forkChild(Effect.all([marked.ended, target.ended], { concurrency: 2 }), {
        startImmediately: true
      })
      KillNow.run({ ...nothing, targets: [-target.pid], isMarked })
      assert.deepStrictEqual(yield* Fiber.join(ends), ["SIGKILL", "SIGKILL"])
      assert.doesNotThrow(() => process.kill(other.pid, 0))
    })
  )

  it.live("X2 kills the group of a marked process, with what has shed the mark", () =>
    Effect.gen(function* () {
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("bash", ["-c", "env -i sleep 300 & echo; exec sleep 300"], {
            detached: true,
            env: { PATH: process.env.PATH, SPINDLE_HOST: "group" },
            stdio: ["ignore", "pipe", "ignore"]
          })
        ),
        (child) => Effect.sync(() => void child.kill("SIGKILL"))
      )
      yield* Effect.callback<void>((resume) => void child.stdout.once("data", () => resume(Effect.void)))
      const closed = yield* Effect.forkChild(
        Effect.callback<void>((resume) => void child.stdout.once("close", () => resume(Effect.void))),
        { startImmediately: true }
      )
      KillNow.run({ ...nothing, isMarked: (text) => text.split("\0").includes("SPINDLE_HOST=group") })
      // both hold this stream
      yield* Fiber.join(closed)
    })
  )

  it.live("X2 leaves alone the service that has started a marked process", () =>
    Effect.gen(function* () {
      const service = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("bash", ["-c", "SPINDLE_HOST=service bash -c 'echo; exec sleep 300' & wait; sleep 300"], {
            detached: true,
            env: { PATH: process.env.PATH },
            stdio: ["ignore", "pipe", "ignore"]
          })
        ),
        (child) => Effect.sync(() => void process.kill(-child.pid!, "SIGKILL"))
      )
      yield* Effect.callback<void>((resume) => void service.stdout.once("data", () => resume(Effect.void)))
      KillNow.run({ ...nothing, isMarked: (text) => text.split("\0").includes("SPINDLE_HOST=service") })
      yield* Effect.sleep("20 millis")
      assert.deepStrictEqual([service.exitCode, service.signalCode], [null, null])
    })
  )

  it("does not throw if all have ended, or if there are no control groups", () => {
    KillNow.run({ targets: [-0x3fffffff], controlFiles: ["/nowhere/cgroup.kill"], isMarked: () => false })
  })
})

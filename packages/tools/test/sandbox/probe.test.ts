import { execFileSync } from "node:child_process"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Fiber, Layer } from "effect"
import { ChildProcessSpawner } from "effect/process"
import { TestClock } from "effect/testing"
import { probe } from "../../src/internal/sandbox/probe.ts"
import { directory } from "../host.ts"

const filter = Uint8Array.of(6, 0, 0, 0, 0, 0, 255, 127)

/** A program in place of `bwrap`. */
const makeProgram = (path: string, script: string) => {
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

describe("probe", () => {
  it.effect("finds no weaker way in place of one that does not end in time", () =>
    Effect.gen(function* () {
      const folder = yield* directory
      const gate = join(folder, "gate")
      execFileSync("mkfifo", [gate])
      const program = makeProgram(join(folder, "bwrap"), `echo called > ${gate}; exec sleep 600`)
      const probing = yield* Effect.forkChild(Effect.flip(probe([program], filter)), { startImmediately: true })
      assert.strictEqual(yield* Effect.promise(() => readFile(gate, "utf8")), "called\n")
      yield* TestClock.adjust("10 seconds")
      const { detail, reason } = yield* Fiber.join(probing)
      assert.deepStrictEqual(
        [reason, detail],
        ["Refused", "this host refuses a sandbox: bwrap did not end within 10 seconds"]
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("releases a sandbox that has ended, so that nothing waits for zombies that nothing reaps", () =>
    Effect.suspend(() => {
      const released: Array<boolean> = []
      const watched = Layer.effect(
        ChildProcessSpawner.ChildProcessSpawner,
        Effect.map(ChildProcessSpawner.ChildProcessSpawner, (spawner) =>
          ChildProcessSpawner.make((command) =>
            Effect.map(spawner.spawn(command), (handle) =>
              Object.assign(Object.create(handle) as typeof handle, {
                unref: Effect.tap(handle.unref, () =>
                  Effect.map(handle.isRunning, (isRunning) => released.push(!isRunning))
                )
              })
            )
          )
        )
      )
      return Effect.gen(function* () {
        const program = makeProgram(join(yield* directory, "bwrap"), "exit 0")
        yield* probe([program], filter)
        assert.deepStrictEqual(released, [true])
      }).pipe(Effect.provide(watched.pipe(Layer.provideMerge(NodeServices.layer))))
    })
  )

  it.live("takes the strictest way that works, and says why the strictest one did not if none does", () =>
    Effect.gen(function* () {
      const folder = yield* directory
      const calls = join(folder, "calls")
      const log = `echo "$*" >> ${calls}`
      const older = makeProgram(
        join(folder, "older"),
        `${log}\ncase "$*" in *--disable-userns*) echo unknown option; exit 1;; esac`
      )
      const found = yield* probe([join(folder, "missing"), older], filter)
      assert.deepStrictEqual(found, {
        program: older,
        userNamespace: true,
        disablesUserNamespaces: false,
        ownProc: true
      })
      assert.lengthOf(readFileSync(calls, "utf8").trim().split("\n"), 2)
      const broken = makeProgram(join(folder, "broken"), `${log}\nwc -l < ${calls}; exit 1`)
      writeFileSync(calls, "")
      const { detail } = yield* Effect.flip(probe([broken], filter))
      assert.strictEqual(detail, "this host refuses a sandbox: 1")
      assert.lengthOf(readFileSync(calls, "utf8").trim().split("\n"), 6)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

import { tmpdir } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import { Effect, Stream } from "effect"
import { Turn } from "@spindle/core"
import { Processes } from "@spindle/core/Processes"
import { ExecCommand } from "../../src/index.ts"
import { directory, host as machine, newId } from "../host.ts"
import { host, makeTurn } from "../turn.ts"

vi.mock("@lydell/node-pty", () => {
  throw new Error("not installed")
})

describe("a host without the package for terminals", () => {
  it.live("gives a process pipes instead of a terminal", () =>
    Effect.gen(function* () {
      const child = yield* (yield* Processes).start({
        processId: newId(),
        command: ["bash", "-c", "test -t 0 || echo pipe; cat"],
        cwd: tmpdir(),
        input: { columns: 80, rows: 24 }
      })
      assert.isFalse(child.input?.isTerminal)
      yield* child.input!.write(new TextEncoder().encode("text"))
      yield* child.input!.close
      assert.strictEqual(yield* Stream.mkString(Stream.decodeText(child.output)), "pipe\ntext")
    }).pipe(Effect.provide(machine))
  )

  it.live("exec_command says that the command runs on pipes", () =>
    Effect.gen(function* () {
      const { turn } = yield* makeTurn
      const cwd = yield* directory
      const text = yield* ExecCommand.run({ cmd: "true", tty: true }, "call", { cwd, shell: "/bin/bash" }).pipe(
        Effect.provideService(Turn.Turn, turn)
      )
      assert.match(text, /^This host has no pseudo terminals .*: the command runs on pipes\.\nWall time: /)
    }).pipe(Effect.scoped, Effect.provide(host))
  )
})

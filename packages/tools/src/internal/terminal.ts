/**
 * Processes on a pseudo terminal, through the optional package `@lydell/node-pty`. It is loaded when the first terminal is
 * wanted, and hosts without it have no terminals.
 */
import { InputClosed, type ProcessExit, type ProcessSpec, type TerminalSize } from "@spindle/core/Processes"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Signals from "../Signals.ts"
import type { Spawned } from "./spawned.ts"

/** The part of a terminal of the package that is used. */
interface Pty {
  readonly pid: number
  readonly onData: (listener: (data: Uint8Array) => void) => unknown
  readonly onExit: (listener: (exit: { readonly exitCode: number; readonly signal?: number }) => void) => unknown
  readonly write: (data: Uint8Array) => void
  readonly resize: (columns: number, rows: number) => void
  readonly pause: () => void
  readonly resume: () => void
}

/** Opens terminals. */
export interface Terminals {
  readonly spawn: (
    program: string,
    args: ReadonlyArray<string>,
    options: {
      readonly cols: number
      readonly rows: number
      readonly cwd: string
      readonly env: { readonly [name: string]: string }
      /** Null for bytes. */
      readonly encoding: null
    }
  ) => Pty
}

/** Loads the package; undefined if it is not installed, or not for this host. */
export const load: Effect.Effect<Terminals | undefined> = Effect.promise(() =>
  import("@lydell/node-pty").then(
    (loaded): Terminals => loaded as unknown as Terminals,
    () => undefined
  )
)

/** The most bytes of output that wait for their reader. With more the terminal is paused. */
const capacityBytes = 65_536
/** The end-of-file character. */
const endOfFile = Uint8Array.of(4)

/** Starts a command on a new terminal. Throws if the host refuses. */
export const spawn = (
  terminals: Terminals,
  { command: [program = "", ...args], cwd, processId }: ProcessSpec,
  { env, size }: { readonly env: { readonly [name: string]: string }; readonly size: TerminalSize }
): Effect.Effect<Spawned> =>
  Effect.gen(function* () {
    const exit = yield* Deferred.make<ProcessExit>()
    const pty = terminals.spawn(program, args, { cols: size.columns, rows: size.rows, cwd, env, encoding: null })
    // bounded by pausing the terminal
    const queue = yield* Queue.unbounded<Uint8Array, Cause.Done>()
    let waitingBytes = 0
    let isOpen = true
    pty.onData((bytes) => {
      waitingBytes += bytes.length
      if (waitingBytes >= capacityBytes) pty.pause()
      Queue.offerUnsafe(queue, bytes)
    })
    // reported when the last output has arrived, at most 200 ms after the exit
    pty.onExit(({ exitCode, signal }) => {
      isOpen = false
      Queue.endUnsafe(queue)
      // the exit code of a process that died of a signal is 0
      Deferred.doneUnsafe(exit, Effect.succeed(signal ? { exitCode: null, signal: nameOf(signal) } : { exitCode }))
    })
    const write = (bytes: Uint8Array) =>
      Effect.suspend(() => {
        if (!isOpen) return Effect.fail(new InputClosed({ processId, detail: "it has ended" }))
        pty.write(bytes)
        return Effect.void
      })
    return {
      pid: pty.pid,
      input: {
        isTerminal: true,
        write,
        close: Effect.ignore(write(endOfFile)),
        resize: ({ columns, rows }) =>
          Effect.sync(() => {
            if (isOpen) pty.resize(Math.max(1, Math.floor(columns)), Math.max(1, Math.floor(rows)))
          })
      },
      output: Stream.map(Stream.fromQueue(queue), (bytes) => {
        waitingBytes -= bytes.length
        if (isOpen && waitingBytes < capacityBytes) pty.resume()
        return bytes
      }),
      exit: Deferred.await(exit),
      unref: Effect.void
    }
  })

/** Returns the name of a signal, or its number if that differs between hosts. */
const nameOf = (signal: number): string => Signals.nameOf(signal) ?? `signal ${signal}`

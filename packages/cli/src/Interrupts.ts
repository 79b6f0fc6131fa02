/**
 * Runs the program: keeps the process alive for it, turns signals into an orderly end, and sets the exit code (contract
 * X2).
 *
 * The `runMain` of the platform is not used: it exits with 130 for TERM, dies of HUP without running finalizers, and
 * ignores a second Ctrl-C.
 *
 *     running --signal--> stopping (onInterrupt, then interrupt the program) --program ended--> exit 128 + signal
 *        |                    |
 *        |                    +--SIGINT--> killNow(), exit 130 at once
 *        +--stdout full--> stopping, exit 1
 *        +--program ended--> exit with its code
 *        +--thrown outside of it--> killNow(), exit 1 at once
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/**
 * The signals that end the program, with their exit codes. Node.js has no SIGPIPE; here it means that the reader of
 * stdout has gone.
 */
export const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGPIPE: 141 } as const
/** @see {@link exitCodes} */
export type Signal = keyof typeof exitCodes

/** The reactions to the first signal, to the second, and to a defect. */
export interface Options {
  /**
   * Runs at the first signal, while the program keeps running: aborts the turn and waits for it. Afterwards the program
   * is interrupted, unless it has ended. It must limit its own time.
   */
  readonly onInterrupt: (signal: Signal) => Effect.Effect<void>
  /**
   * Kills the processes that must not outlive this one. Runs synchronously before the process exits at a second SIGINT, and after
   * an exception outside of any effect.
   */
  readonly killNow: () => void
  /** Reports why standard output cannot be written. The exit code is then 1. A reader that has gone is a SIGPIPE. */
  readonly onOutputFailed: (error: Error) => void
  /** The signals that stop nothing. */
  readonly ignored?: ReadonlyArray<Signal> | undefined
  /** Reports a defect of the program or of `onInterrupt`; this module prints nothing. The exit code is then 1. */
  readonly onDefect: (cause: Cause.Cause<never>) => void
  /**
   * The time after a first SIGINT in which another one counts as the same key press, in milliseconds (default 50). The
   * terminal sends SIGINT to npm and to the program, and npm forwards its own.
   */
  readonly repeatMillis?: number | undefined
}

/**
 * Runs a program that returns its exit code, and exits the process with it after stdout and stderr were flushed. Called
 * once.
 */
export const run = (program: Effect.Effect<number>, options: Options): void => {
  // the runtime does not keep the process alive; this timer does, until the program has ended
  const alive = setInterval(() => {}, 0x7fffffff)
  // assigned before a signal can arrive: signals are delivered between turns of the event loop
  let main: Fiber.Fiber<number> | undefined
  let stopping: { readonly signal: Signal; readonly code: number; readonly at: number } | undefined

  const onSignal = (signal: Signal, code: number = exitCodes[signal]): void => {
    if (stopping === undefined) {
      stopping = { signal, code, at: performance.now() }
      const handled = Effect.catchCause(options.onInterrupt(signal), (cause) =>
        Effect.sync(() => options.onDefect(cause))
      )
      Effect.runFork(
        Effect.andThen(
          handled,
          Effect.suspend(() => Fiber.interrupt(main!))
        )
      )
      return
    }
    const isRepeat = stopping.signal === "SIGINT" && performance.now() - stopping.at < (options.repeatMillis ?? 50)
    if (signal !== "SIGINT" || isRepeat) return
    options.killNow()
    process.exit(exitCodes.SIGINT)
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, options.ignored?.includes(signal) === true ? () => undefined : () => onSignal(signal))
  }
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED") return onSignal("SIGPIPE")
    if (stopping === undefined) options.onOutputFailed(error)
    onSignal("SIGPIPE", 1)
  })
  // thrown outside any fiber, so no finalizer can run: kill the process groups and exit
  process.on("uncaughtException", (error) => {
    options.onDefect(Cause.die(error))
    options.killNow()
    process.exit(1)
  })
  // a failure to write to stderr cannot be reported
  process.stderr.on("error", () => undefined)

  // forked after the handlers are installed, because it runs its first steps at once
  main = Effect.runFork(program)
  main.addObserver((exit) => {
    clearInterval(alive)
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) options.onDefect(exit.cause)
    // the failure of the last write is reported after it
    const code = () => stopping?.code ?? (Exit.isSuccess(exit) ? exit.value : 1)
    setImmediate(() => drain(process.stdout, () => drain(process.stderr, () => process.exit(code()))))
  })
}

// a stream whose reader has gone never calls back
const drain = (stream: NodeJS.WriteStream, then: () => void): void => {
  if (stream.destroyed || stream.writableEnded || stream.writableLength === 0) return then()
  stream.write("", () => then())
}

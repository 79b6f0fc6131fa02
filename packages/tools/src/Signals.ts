/**
 * The port to signals. Effect has no service that signals a process that it did not start, and the descendants of a
 * command are such processes. The program provides it from its platform, `Signals.layerKill(process.kill)` on Node;
 * {@link ProcessGroups} uses it. The module also names the signals that have one number on every host.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** A signal; 0 sends nothing and only checks whether the process exists. */
export type Signal = "SIGTERM" | "SIGSTOP" | "SIGKILL" | 0

/** Sends signals to processes of the host. */
export interface Signals {
  /**
   * Signals the process `target`, or each process of the group `-target` if it is negative. Returns whether there
   * was one; a zombie counts. A target of -1, 0 or 1 is a defect, because it would mean every process, the host itself
   * or its first process.
   */
  readonly send: (target: number, signal: Signal) => Effect.Effect<boolean>
}

/** The service key of {@link Signals}. */
export const Signals: Context.Service<Signals, Signals> = Context.Service("@spindle/tools/Signals")

/**
 * Sends signals with a function like `process.kill` of Node: it throws an error with the code `ESRCH` if there is no
 * such process, and with `EPERM` if there is one that may not be signalled. Any other error is a defect.
 */
export const layerKill = (kill: (target: number, signal: Signal) => unknown): Layer.Layer<Signals> =>
  Layer.succeed(Signals, {
    send: (target, signal) =>
      Effect.sync(() => {
        if (!Number.isInteger(target) || Math.abs(target) <= 1)
          throw new RangeError(`not a target for a signal: ${target}`)
        try {
          kill(target, signal)
          return true
        } catch (error) {
          const code = (error as { readonly code?: unknown }).code
          if (code === "ESRCH") return false
          if (code === "EPERM") return true
          throw error
        }
      })
  })

/** Returns the name of a signal by its number; undefined unless that number means the same signal on every host. */
export const nameOf = (signal: number): string | undefined => names[signal]

const names: { readonly [signal: number]: string } = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  6: "SIGABRT",
  8: "SIGFPE",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  14: "SIGALRM",
  15: "SIGTERM"
}

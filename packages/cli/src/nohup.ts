/**
 * Finds out whether the program was started by `nohup`, so that HUP must not stop it.
 *
 * `nohup` ignores HUP and executes its command. Node resets ignored signals before it runs a program, so the
 * program cannot ask what was ignored. Each sign belongs to one way to call `nohup`:
 *
 * - A shell leaves the name of the command in `_`.
 * - `nohup` gives a command whose input was a terminal an input that cannot be read, even if the shell called it
 *   through another program (`env nohup`). Linux only.
 * - A script that `nohup` runs still ignores HUP, as does everything that it starts. Linux only.
 *
 * A program that executes `nohup` itself, without a terminal, leaves no sign.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"

/** The signs that a process can read about itself. */
export interface Signs {
  /** The variable `_`. */
  readonly command: string | undefined
  /** The kind of standard input: the target of `/proc/self/fd/0`, and the text of `/proc/self/fdinfo/0`. */
  readonly input: { readonly path: string; readonly info: string } | undefined
  /** The text of `/proc/<parent>/status`. */
  readonly parent: string | undefined
}

/** Returns true if these signs are those of `nohup`. */
export const isNohup = ({ command, input, parent }: Signs): boolean =>
  Path.basename(command ?? "") === "nohup" ||
  (input?.path === "/dev/null" && isWriteOnly(input.info)) ||
  ignoresHup(parent ?? "")

/** Returns true for a write-only file. The lowest two bits of the octal flags are the access mode; 1 is `O_WRONLY`. */
const isWriteOnly = (info: string): boolean => /^flags:\s*[0-7]*[15]$/m.test(info)

/** Returns true if a process ignores HUP, the first signal and so the lowest bit of the mask. */
const ignoresHup = (status: string): boolean => /^SigIgn:\s*[0-9a-f]*[13579bdf]$/m.test(status)

/** Reads the signs of this process. A sign that the host does not have is undefined. */
export const readSigns = (): Signs => ({
  command: process.env["_"],
  input: ifThere(() => ({
    path: Fs.readlinkSync("/proc/self/fd/0"),
    info: Fs.readFileSync("/proc/self/fdinfo/0", "utf8")
  })),
  parent: ifThere(() => Fs.readFileSync(`/proc/${process.ppid}/status`, "utf8"))
})

const ifThere = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    // the host is not Linux, or hides it
    return undefined
  }
}
